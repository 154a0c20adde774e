"""What a change of a Kubernetes object changed, as paths with the old and the new value, without secrets."""

from __future__ import annotations

from typing import Any

from talkdesk_sandbox.console.hiding import hidden_under

Obj = dict[str, Any]
#: What changes with every write, or says the same as something else.
_NOISE = frozenset(
    {"resourceVersion", "managedFields", "generation", "observedGeneration", "lastTransitionTime", "uid"}
    | {"kubectl.kubernetes.io/last-applied-configuration"}
)
_MOST = 40
#: The items of this list are known by a field of theirs, as the API server does it.
_NAMED, _NAMED_BY = "conditions", "type"


def differences(old: Any, new: Any) -> list[dict[str, Any]]:
    """``{path, from, to}`` for each value that differs, at the most 40; None for what is not there."""
    found: list[dict[str, Any]] = []
    _compare(old, new, (), found)
    return found[:_MOST]


def _compare(old: Any, new: Any, path: tuple[str, ...], found: list[dict[str, Any]]) -> None:
    name = path[-1] if path else ""
    if name == _NAMED:
        old, new = _by_name(old), _by_name(new)
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys(), key=str):
            if key not in _NOISE:
                _compare(old.get(key), new.get(key), (*path, str(key)), found)
    elif old != new:
        # A value that is a secret by its name has left the name behind: it is hidden here.
        values = {"from": hidden_under(name, old), "to": hidden_under(name, new)}
        found.append({"path": ".".join(path)} | values)


def _by_name(value: Any) -> Any:
    if not isinstance(value, list) or not value:
        return value
    if all(isinstance(one, dict) and _NAMED_BY in one for one in value):
        return {one[_NAMED_BY]: {key: each for key, each in one.items() if key != _NAMED_BY} for one in value}
    return value
