"""The kinds' sample objects, in which every field has a value: read once, for reading takes longest."""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from typing import Any

import yaml

_FOLDER = Path(__file__).parent / "crds" / "samples"


@functools.cache
def _read(kind: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((_FOLDER / f"{kind}.yaml").read_text(encoding="utf-8"))
    return found


def sample_of(kind: str) -> dict[str, Any]:
    """That of a kind, by its name in lower case; the caller's own to change."""
    return copy.deepcopy(_read(kind))
