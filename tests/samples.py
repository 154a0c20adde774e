"""The kinds' sample objects, in which every field has a value: read once, for reading takes longest."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import yaml

_FOLDER = Path(__file__).parent / "crds" / "samples"


@functools.cache
def _text(kind: str) -> str:
    return json.dumps(yaml.safe_load((_FOLDER / f"{kind}.yaml").read_text(encoding="utf-8")))


def sample_of(kind: str) -> dict[str, Any]:
    """That of a kind, by its name in lower case; the caller's own to change."""
    obj: dict[str, Any] = json.loads(_text(kind))
    return obj
