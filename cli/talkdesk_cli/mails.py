"""``talkdesk-operator mails``: check a TalkdeskApp's mail templates, and look at what they come to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from talkdesk_crds.manifest import app_in
from talkdesk_crds.meta import time
from talkdesk_operator.mail.compose import problems
from talkdesk_operator.mail.preview import preview

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def mails(manifest: Path, *, output: Path | None, say: Callable[[str], None]) -> bool:
    """Check the first TalkdeskApp in ``manifest``; with ``output`` write each mail there. True: all is well.

    Raises OSError, and ValueError where the file has no TalkdeskApp that can be read.
    """
    _, app = app_in(manifest)
    wrong = problems(app)
    for problem in wrong:
        say(str(problem))
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        for outcome, letter in preview(app, at=time(datetime.now(UTC))).items():
            (output / f"{outcome.value}.txt").write_text(f"Subject: {letter.subject}\n\n{letter.text}")
            if letter.html is not None:
                (output / f"{outcome.value}.html").write_text(letter.html)
            say(f"{outcome.value}: {letter.subject}")
    return not wrong
