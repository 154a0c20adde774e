"""What of a stored object is ours, by ``metadata.managedFields``, and a digest of it. Pure.

Two digests decide whether an object needs applying: that of what we want, and that of what we own in what
is stored. Both are remembered in the inventory after each apply, so that a quantity the server spells another
way (``1000m``, ``1``) is no difference, and an edit, even one that takes a field over from us, is one.
Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/ (FieldsV1).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

FIELD_MANAGER = "talkdesk-operator"


def digest_of(value: Any) -> str:
    """A short digest of any JSON; the order of an object's fields does not count."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def is_ours(obj: Mapping[str, Any], *, manager: str = FIELD_MANAGER) -> bool:
    """True where server-side apply records ``manager`` on ``obj``."""
    return _fields(obj, manager) is not None


def owns(obj: Mapping[str, Any], *path: str, manager: str = FIELD_MANAGER) -> bool:
    """True where ``manager`` applied the field at ``path`` (names of objects in objects) of ``obj``."""
    return _node(_fields(obj, manager), path) is not None


def written_at(obj: Mapping[str, Any], *path: str) -> str | None:
    """When somebody last wrote the field at ``path``, by the API server's clock; None where nothing tells."""
    entries = obj.get("metadata", {}).get("managedFields") or []
    times = [one.get("time") for one in entries if _node(one.get("fieldsV1"), path) is not None]
    return max((one for one in times if one), default=None)


def owned_digest(obj: Mapping[str, Any], *, manager: str = FIELD_MANAGER) -> str:
    """Digest of the fields of ``obj`` (stored, with managedFields) that ``manager`` applied; "" for none."""
    fields = _fields(obj, manager)
    return "" if fields is None else digest_of(_extract(obj, fields))


def _fields(obj: Mapping[str, Any], manager: str) -> Mapping[str, Any] | None:
    for entry in obj.get("metadata", {}).get("managedFields") or []:
        is_main = not entry.get("subresource")
        if entry.get("manager") == manager and entry.get("operation") == "Apply" and is_main:
            fields = entry.get("fieldsV1")
            return fields if isinstance(fields, Mapping) else {}
    return None


def _node(fields: Any, path: tuple[str, ...]) -> Any:
    """What of ``fields`` (FieldsV1) is about the field at ``path``; None where nothing is."""
    for name in path:
        fields = fields.get(f"f:{name}") if isinstance(fields, Mapping) else None
    return fields


def _extract(value: Any, fields: Mapping[str, Any]) -> Any:
    """The part of ``value`` that ``fields`` (a FieldsV1 node) names."""
    named = {name: node for name, node in fields.items() if name != "."}
    if not named:
        return value
    if isinstance(value, Mapping):
        return {
            name[2:]: _extract(value[name[2:]], node)
            for name, node in named.items()
            if name.startswith("f:") and name[2:] in value
        }
    if isinstance(value, list):
        return [_element(value, name, node) for name, node in sorted(named.items())]
    return value


def _element(items: list[Any], name: str, node: Mapping[str, Any]) -> Any:
    """One element of a list: ``k:{…}`` by its keys, ``v:…`` by its value, ``i:…`` by its place."""
    kind, _, text = name.partition(":")
    wanted = json.loads(text)
    if kind == "k":
        for item in items:
            if isinstance(item, Mapping) and all(item.get(key) == want for key, want in wanted.items()):
                return [name, _extract(item, node)]
    elif kind == "v" and wanted in items:
        return [name, wanted]
    elif kind == "i" and 0 <= wanted < len(items):
        return [name, _extract(items[wanted], node)]
    return [name]
