"""When something happens by itself: ``status.deadlines``. Pure; one function a deadline.

Talkdesk's times are held against the operator's clock.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from talkdesk_crds import conditions as types
from talkdesk_crds.installation import Deadlines
from talkdesk_crds.meta import time
from talkdesk_operator.incumbent import Role
from talkdesk_operator.moments import moment
from talkdesk_operator.rotation import old_set_ends
from talkdesk_operator.standing.credentials import refused_since

if TYPE_CHECKING:
    from talkdesk_operator.notes import Notes

#: Talkdesk waits so long for an answer, then the customer has to repeat what they did.
ANSWER_WITHIN = timedelta(days=7)


def deadlines(
    notes: Notes, *, now: datetime, trial: datetime | None = None, retention: datetime | None = None
) -> Deadlines:
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
        rotation=_shown(_rotation(notes)),
        credentials=_shown(_credentials(notes, now)),
        retention=_shown(retention),
    )


def _rotation(notes: Notes) -> datetime | None:
    acknowledged = notes.acknowledged or notes.installation.status.acknowledged
    return None if notes.leaving else old_set_ends(notes.installation, acknowledged=acknowledged)


def _credentials(notes: Notes, now: datetime) -> datetime | None:
    if notes.role is not Role.INCUMBENT or notes.grace is None:
        return None
    since = refused_since(notes.installation, notes.verdicts.get(types.CREDENTIALS_VALID), now)
    return since + notes.grace if since is not None else None


def answer_deadline(updated_at: str | None) -> datetime | None:
    """When Talkdesk gives up waiting, counted from its ``updated_at`` of the pending state."""
    since = moment(updated_at)
    if since is None or since > datetime.max.replace(tzinfo=UTC) - ANSWER_WITHIN:
        return None
    return since + ANSWER_WITHIN


def _shown(deadline: datetime | None) -> str | None:
    return time(deadline) if deadline is not None else None
