"""When something happens by itself: ``status.deadlines``. Pure; one function a deadline.

Talkdesk's times are held against the operator's clock.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from talkdesk_crds import conditions as types
from talkdesk_crds.installation import Deadlines
from talkdesk_crds.meta import time

if TYPE_CHECKING:
    from talkdesk_operator.notes import Notes

#: Talkdesk waits so long for an answer, then the customer has to repeat what they did.
ANSWER_WITHIN = timedelta(days=7)


def deadlines(notes: Notes, *, trial: datetime | None = None, retention: datetime | None = None) -> Deadlines:
    """All deadlines of an installation after a pass; what the pass could not find out stays as it was.

    :param trial: when the trial ends, None where none runs.
    :param retention: when the tenant is deleted, None where somebody claims it.
    """
    old = notes.installation.status.deadlines
    verdict = notes.verdicts.get(types.CONFIRMED)
    answer, patience = old.answer, old.patience
    if verdict is not None and notes.reading is not None:
        owed = verdict.status != "True"
        answer = _shown(answer_deadline(notes.reading.updated_at) if owed else None)
        patience = _shown(notes.patience if owed else None)
    return Deadlines(
        answer=answer,
        patience=patience,
        trial=_shown(trial),
        rotation=old.rotation,
        credentials=old.credentials,
        retention=_shown(retention),
    )


def answer_deadline(updated_at: str | None) -> datetime | None:
    """When Talkdesk gives up waiting, counted from its ``updated_at`` of the pending state."""
    since = moment(updated_at)
    if since is None or since > datetime.max.replace(tzinfo=UTC) - ANSWER_WITHIN:
        return None
    return since + ANSWER_WITHIN


def moment(text: str | None) -> datetime | None:
    """One of Talkdesk's times, aware; None where there is none that can be read."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _shown(deadline: datetime | None) -> str | None:
    return time(deadline) if deadline is not None else None
