"""How long what nobody claims any more is kept. Pure.

A tenant that nobody claims carries the time since when, as an annotation: the clean-up record, which outlives
the operator and the installation. The record takes the later of two clocks, the operator's and the API
server's, and a deletion waits for both: a clock that is wrong alone deletes nothing early.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from talkdesk_crds import conditions as types
from talkdesk_operator.incumbent import Role
from talkdesk_operator.over import is_over
from talkdesk_operator.paused import is_paused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from talkdesk_crds.app import Retention
    from talkdesk_crds.installation import TalkdeskInstallation

#: Talkdesk completes an uninstallation by itself after so long; then no answer is owed any more.
ANSWERED_BY_TALKDESK = timedelta(days=7)

#: So far Talkdesk's clock may be ahead of ours.
_CLOCK_AHEAD = timedelta(days=7)

#: A record that is older than an event by less than this may have been made after it: clocks differ.
_SKEW = timedelta(minutes=5)

_AT_ONCE = datetime.min.replace(tzinfo=UTC)

#: What the tenant's holder is to it; everybody else of those who were installed is superseded.
_HOLDING = frozenset({Role.INCUMBENT, Role.UNINSTALLED})


@dataclass(frozen=True)
class Party:
    """An installation and what it is to the tenant. ``leaving``: uninstalled, as far as anybody knows."""

    installation: TalkdeskInstallation
    role: Role
    leaving: bool


@dataclass(frozen=True)
class Situation:
    """One tenant and everyone who has to do with it.

    :ivar marked: since when nobody claims it, as recorded; None where nothing is.
    :ivar exists: its namespace or its inventory is there, so that the record has a place.
    :ivar written: when the record was written, whatever it says; None where nothing tells.
    """

    parties: tuple[Party, ...]
    policy: Retention
    marked: datetime | None
    exists: bool
    written: datetime | None = None


@dataclass(frozen=True)
class Keeping:
    """What follows.

    :ivar claimed: somebody holds it; a record of the contrary has to go, unless ``record_stays``.
    :ivar record_stays: who holds it is paused: nothing is written.
    :ivar mark: the record has to be made, and says ``since``.
    :ivar since: since when nobody claims it.
    :ivar tenant_due: when the tenant is deleted; None: not at all.
    :ivar rest_due: when what else is kept of it is deleted: credentials, inventory.
    :ivar due: when each installation that holds nothing any more is deleted, by name.
    """

    claimed: bool
    record_stays: bool = False
    mark: bool = False
    since: datetime | None = None
    tenant_due: datetime | None = None
    rest_due: datetime | None = None
    due: Mapping[str, datetime] = field(default_factory=dict)


def keeping(situation: Situation, *, now: datetime) -> Keeping:
    """Whether anybody claims the tenant, and when what nobody claims is deleted.

    ``now`` is for a record that has to be made: the time it will say.
    """
    parties, kept = situation.parties, timedelta(seconds=situation.policy.seconds)
    holder = next((one.installation for one in parties if one.role in _HOLDING), None)
    superseded = [one for one in parties if one.role is Role.SUPERSEDED]
    starts = [own_start(one.installation, now, holder=holder) for one in superseded]
    due = {
        one.installation.metadata.name: _due(one, own, kept, own=own)
        for one, own in zip(superseded, starts, strict=True)
    }
    incumbents = [party.installation for party in parties if party.role is Role.INCUMBENT]
    if incumbents:
        return Keeping(claimed=True, record_stays=any(map(is_paused, incumbents)), due=due)
    record = _record(situation, _newest(parties, now))
    mark = situation.exists and record is None
    if any(party.role is Role.AWAITED for party in parties):
        # It may turn out to be a customer any moment: the clock runs, and nothing happens.
        return Keeping(claimed=False, mark=mark, since=record or now, due=due)
    last = [party for party in parties if party.role is Role.UNINSTALLED]
    since = record or (
        now if situation.exists else max((own_start(one.installation, now) for one in last), default=now)
    )
    tenant_due = max(
        (_due(one, since, kept, own=own_start(one.installation, now)) for one in last), default=since + kept
    )
    due |= {party.installation.metadata.name: tenant_due for party in last}
    # The credentials are kept in any case: somebody deleted the installation, its customer may live on.
    at_once = not parties and situation.policy.on_delete == "Delete"
    return Keeping(
        claimed=False,
        mark=mark,
        since=since,
        tenant_due=_AT_ONCE if at_once else tenant_due,
        rest_due=tenant_due,
        due=due,
    )


def _newest(parties: Iterable[Party], now: datetime) -> datetime | None:
    """When a customer last came or left; None where nothing tells, or some clock is ahead of ours."""
    said = [one.installation.spec.talkdesk for one in parties]
    told = _moments(one.at for each in said for one in (each.installed, each.uninstalled) if one is not None)
    return max((one for one in told if one <= now), default=None)


def _record(situation: Situation, newest: datetime | None) -> datetime | None:
    """What the record says, unless it is from before a customer last came or left.

    Nobody took it away then: it was paused, or the operator did not run. An earlier time that was written
    since is a person's wish.
    """
    marked = situation.marked
    if marked is None or newest is None:
        return marked
    return marked if max(marked, situation.written or marked) >= newest - _SKEW else None


def anything_due(found: Keeping, *, now: datetime) -> bool:
    """Something is to be deleted by ``now``."""
    return any(one <= now for one in _moments_of(found))


def until_next(found: Keeping, *, now: datetime) -> float | None:
    """Seconds until something more is; None where nothing will be."""
    later = [(one - now).total_seconds() for one in _moments_of(found) if one > now]
    return min(later, default=None)


def _moments_of(found: Keeping) -> list[datetime]:
    tenant = [one for one in (found.tenant_due, found.rest_due) if one is not None]
    return [*found.due.values(), *tenant]


def own_start(
    installation: TalkdeskInstallation, now: datetime, *, holder: TalkdeskInstallation | None = None
) -> datetime:
    """Since when ``installation`` holds nothing: the latest of what tells.

    :param holder: the newer installation that has superseded it. Where no event says when it was uninstalled,
        that was hardly before; ``Ready`` does not tell, for it may have been False for long.
    """
    uninstalled = installation.spec.talkdesk.uninstalled
    told = [
        uninstalled.at if uninstalled is not None else _begun(holder, now),
        installation.metadata.creation_timestamp,
        *(
            condition.last_transition_time
            for condition in installation.status.conditions
            if condition.type == types.READY and condition.status != "True"
        ),
    ]
    if uninstalled is None and any(
        condition.type == types.READY and condition.status == "True"
        for condition in installation.status.conditions
    ):
        return now  # it was served until this pass
    # A time far in the future is some clock's mistake, and must not keep anything for ever. A near one is
    # taken as it is: the present in its place would be another answer, and another write, each time.
    return max((one if one <= now + _CLOCK_AHEAD else now for one in _moments(told)), default=now)


def _begun(holder: TalkdeskInstallation | None, now: datetime) -> str | None:
    """Since when ``holder`` is installed; by its object, where nothing tells or Talkdesk's clock is ahead."""
    if holder is None:
        return None
    installed = holder.spec.talkdesk.installed
    at = installed.at if installed is not None else None
    told = any(one <= now for one in _moments([at]))
    return at if told else holder.metadata.creation_timestamp


def _due(party: Party, start: datetime, kept: timedelta, *, own: datetime) -> datetime:
    """``start`` and the retention, but not while Talkdesk waits for our approval of the uninstallation.

    Nobody installs twice without uninstalling: it may wait about a superseded one of which no event says so.

    :param own: see :func:`own_start`.
    """
    due, installation = start + kept, party.installation
    uninstalled = installation.spec.talkdesk.uninstalled
    left = party.leaving or party.role is Role.SUPERSEDED
    if not left or is_over(installation):
        return due
    if uninstalled is None:
        return max(due, max(start, own) + ANSWERED_BY_TALKDESK)
    began = next(iter(_moments([uninstalled.at])), None)
    created = next(iter(_moments([installation.metadata.creation_timestamp])), None)
    return max(due, *(one + ANSWERED_BY_TALKDESK for one in (began, created) if one is not None))


def earliest(own: datetime, server: datetime | None) -> datetime | None:
    """The time for a deletion: the earlier of the two clocks; None where one of them cannot be read."""
    return min(own, server) if server is not None else None


def latest(own: datetime, server: datetime | None) -> datetime:
    """The time for a record: the later of the two clocks."""
    return max(own, server) if server is not None else own


def _moments(texts: Iterable[str | None]) -> list[datetime]:
    found = []
    for text in texts:
        try:
            moment = datetime.fromisoformat(text or "")
        except ValueError:
            continue
        found.append(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    return found
