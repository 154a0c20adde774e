"""JSON merge patch (RFC 7386): the smallest patch that turns one object into another.

Merging an object into another keeps what the new one lacks; so what must go is named with null.
"""

from __future__ import annotations

from typing import Any


def merge_diff(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The merge patch from ``old`` to ``new``; empty where they are equal. ``new`` must hold no None."""
    patch: dict[str, Any] = {name: None for name in old if name not in new}
    for name, value in new.items():
        held = old.get(name)
        if isinstance(held, dict) and isinstance(value, dict):
            if changes := merge_diff(held, value):
                patch[name] = changes
        elif name not in old or held != value:
            patch[name] = value
    return patch
