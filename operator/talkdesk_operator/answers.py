"""The answers given to Talkdesk, as an annotation keeps them: JSON, newest last, bounded. Pure.

Backups drop status, and what was answered cannot be read anywhere else; status copies the annotation.
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING

from talkdesk_crds.installation import Answer
from talkdesk_operator.confirm import REMEMBERED, Given

if TYPE_CHECKING:
    from collections.abc import Sequence

_FIELDS = {field.name for field in fields(Given)}


def parse(annotation: str | None) -> tuple[Given, ...]:
    """The answers in ``annotation``; what is unreadable was not written by us and counts as none."""
    try:
        entries = json.loads(annotation or "[]")
        given = tuple(
            Given(**{name: value for name, value in entry.items() if name in _FIELDS}) for entry in entries
        )
    except (ValueError, TypeError, AttributeError):
        return ()
    return given[-REMEMBERED:]


def for_status(given: Sequence[Given]) -> list[Answer]:
    """``given`` as status shows them."""
    return [
        Answer(
            state=one.state[:64],
            updated_at=one.updated_at[:64] if one.updated_at is not None else None,
            answer=one.answer,
            reason=one.reason[:1024] if one.reason is not None else None,
            at=one.at,
        )
        for one in given
    ]
