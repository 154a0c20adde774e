"""The API server's audit log, read while it is being written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_READ_SIZE = 1 << 16


def entries(path: Path, *, since: int = 0, saying: Sequence[bytes] = ()) -> Iterator[dict[str, Any]]:
    """Those that began at the position ``since`` (bytes) or after it and are complete, oldest first.

    Only those are parsed whose text holds one of ``saying``, if any are given: a log may be long.

    A long entry appears piece by piece: one that was half there when the position was taken began before it.
    """
    with path.open("rb", buffering=_READ_SIZE) as file:
        if since:
            file.seek(since - 1)
            if file.read(1) != b"\n":
                file.readline()
        for line in file:
            if line.endswith(b"\n") and (not saying or any(text in line for text in saying)):
                yield json.loads(line)
