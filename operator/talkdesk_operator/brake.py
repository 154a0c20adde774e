"""The brake: when Talkdesk's API says of very many customers at once that they are none any more. Pure.

A wrong answer from Talkdesk, or a key that is wrong everywhere, must not switch a whole region off. What a
signed event, a person or the clock says passes untouched. An end of access that only Talkdesk's API tells of
is noted in ``status.impending`` first and comes ``hold`` later, unless by then it is one of too many.

Nothing here is remembered: everything follows from the installations' status, so that a restart changes
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from talkdesk_crds.names import RELEASE_BRAKE_ANNOTATION

if TYPE_CHECKING:
    from collections.abc import Iterable

    from talkdesk_crds.app import TalkdeskApp


@dataclass(frozen=True)
class BrakePolicy:
    """``window`` is how long an end that has come counts among the many."""

    hold: timedelta
    window: timedelta
    least: int = 5
    share: float = 0.2


@dataclass(frozen=True)
class Member:
    """One installation: may its users enter, and since when does Talkdesk's API say that they may not?"""

    name: str
    served: bool
    impending_since: datetime | None = None


@dataclass(frozen=True)
class Brake:
    """``ending`` of ``customers`` lose, or just lost, their access; up to ``limit`` is business as usual.

    ``waiting`` of them still have it.
    """

    customers: int
    ending: int
    waiting: int
    limit: int

    @property
    def holds(self) -> bool:
        """Too many at once."""
        return self.ending > self.limit


def brake(
    members: Iterable[Member], *, now: datetime, policy: BrakePolicy, released: datetime | None
) -> Brake:
    """Whether the customers of one app in one region lose their access in a mass.

    :param released: what was said until then is believed: a person has looked at it.
    """
    customers = ending = waiting = 0
    for member in members:
        since = member.impending_since
        recent = since is not None and now - since <= policy.window
        if not member.served and not recent:
            continue
        customers += 1
        if since is None or (released is not None and since <= released):
            continue
        ending += 1
        waiting += member.served
    limit = max(policy.least, int(policy.share * customers))
    return Brake(customers=customers, ending=ending, waiting=waiting, limit=limit)


def ends_at(
    since: datetime, found: Brake, *, policy: BrakePolicy, released: datetime | None
) -> datetime | None:
    """When an access ends whose end was first told of at ``since``; None while the brake holds it."""
    if released is not None and since <= released:
        return since
    return None if found.holds else since + policy.hold


def released_until(app: TalkdeskApp) -> datetime | None:
    """The time in the annotation by which a person releases the brake; None where none can be read."""
    try:
        moment = datetime.fromisoformat(app.metadata.annotations.get(RELEASE_BRAKE_ANNOTATION, ""))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
