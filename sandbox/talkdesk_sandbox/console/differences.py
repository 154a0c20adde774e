"""What a change of a Kubernetes object changed, as paths with the old and the new value."""

from __future__ import annotations

from typing import Any

Obj = dict[str, Any]
#: What changes with every write, or says the same as something else.
_NOISE = frozenset(
    {"resourceVersion", "managedFields", "generation", "observedGeneration", "lastTransitionTime", "uid"}
)
_MOST = 40
#: Items of these lists are known by this field, as the API server does it.
_NAMED_BY = "type"


def differences(old: Any, new: Any) -> list[dict[str, Any]]:
    """``{path, from, to}`` for each value that differs, at the most 40; None for what is not there."""
    found: list[dict[str, Any]] = []
    _compare(old, new, "", found)
    return found[:_MOST]


def _compare(old: Any, new: Any, path: str, found: list[dict[str, Any]]) -> None:
    old, new = _by_name(old), _by_name(new)
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys(), key=str):
            if key not in _NOISE:
                _compare(old.get(key), new.get(key), f"{path}.{key}" if path else str(key), found)
    elif old != new:
        found.append({"path": path, "from": old, "to": new})


def _by_name(value: Any) -> Any:
    if not isinstance(value, list) or not value:
        return value
    if all(isinstance(one, dict) and _NAMED_BY in one for one in value):
        return {one[_NAMED_BY]: {key: each for key, each in one.items() if key != _NAMED_BY} for one in value}
    return value
