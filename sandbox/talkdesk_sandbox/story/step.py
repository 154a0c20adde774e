"""A step of the story and its outcome; the report that is made of them."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

NOT_REACHED = "not reached: an earlier step failed"


@dataclass(frozen=True, slots=True)
class StepResult:
    """What became of one step; ``seconds`` is how long it took to be observed."""

    name: str
    ok: bool
    seconds: float
    detail: str


def report_json(results: Sequence[StepResult]) -> str:
    """The report as JSON text: ``{"ok": bool, "steps": [{"name", "ok", "seconds", "detail"}]}``."""
    body = {
        "ok": bool(results) and all(result.ok for result in results),
        "steps": [{**asdict(result), "seconds": round(result.seconds, 3)} for result in results],
    }
    return json.dumps(body, indent=2) + "\n"


def write_report(path: Path, results: Sequence[StepResult]) -> None:
    """Write the report to ``path``, whole or not at all. OSError where that cannot be done."""
    path = path.absolute()
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(report_json(results))
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
