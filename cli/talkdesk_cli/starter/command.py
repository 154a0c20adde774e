"""Writing the starter into a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_cli.starter.files import SHEET, starter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from talkdesk_cli.starter.answers import Answers


def init(given: Answers, *, directory: Path, force: bool, say: Callable[[str], None]) -> None:
    """Write the files into ``directory`` (made where it is missing), and tell the sheet.

    All of them or none: raises FileExistsError where one is there already and ``force`` is not given.
    """
    texts = starter(given)
    directory.mkdir(parents=True, exist_ok=True)
    there = [name for name in texts if (directory / name).exists()]
    if there and not force:
        raise FileExistsError(f"{', '.join(there)} in {directory}: --force writes anew")
    for name, text in texts.items():
        (directory / name).write_text(text, encoding="utf-8")
        say(f"wrote {name}")
    say("")
    say(texts[SHEET].rstrip())
