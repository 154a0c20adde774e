"""What comes of a request, an answer or the passing of time, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from talkdesk_sandbox.talkdesk.model import Installation, Verdict

_TICK = timedelta(milliseconds=1)


class NotPossibleError(Exception):
    """The request contradicts the installation's state."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """A line for the ledger. ``answer`` is the partner's, if it caused the step."""

    before: str
    after: str
    event_id: str | None = None
    answer: Verdict | None = None
    effective: bool = True


@dataclass(frozen=True, kw_only=True)
class Announcement:
    """An event to be sent: its type, and what its data says beyond the ids."""

    type: str
    data: dict[str, Any]
    event_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Change:
    """What came of a request, an answer or the passing of time."""

    installation: Installation
    steps: tuple[Step, ...] = ()
    announcements: tuple[Announcement, ...] = ()


def then(first: Change, second: Change) -> Change:
    """Both, one after the other; ``second`` began where ``first`` ended."""
    return Change(
        installation=second.installation,
        steps=(*first.steps, *second.steps),
        announcements=(*first.announcements, *second.announcements),
    )


def later(installation: Installation, now: datetime) -> datetime:
    """``now``, but always after the last change: readers compare updated_at at milliseconds."""
    return max(now, installation.updated_at + _TICK)
