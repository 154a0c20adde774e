"""Which tenants get the wanted revision next, and how far it has come. Pure.

Two numbers are kept at or below ``max_unavailable``: the tenants that have been told the revision and are not
ready with it, and, wherever a tenant that is ready would be told, those that are not ready for any reason.
Tenants that are not ready anyway go first, for they cost nobody anything; tenants that serve nobody go last,
for a revision that breaks tenants should not wait in them for the day they are resumed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from talkdesk_crds.app import RolloutProgress
from talkdesk_crds.conditions import Reason
from talkdesk_crds.meta import parse_time, time
from talkdesk_operator.conditions import Verdict, false, true

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from talkdesk_crds.app import Rollout

#: Names that a message has room for.
_NAMED = 5


@dataclass(frozen=True)
class Member:
    """A tenant, as far as a roll-out sees it.

    :ivar tenant: its namespace.
    :ivar shown: what people know it by: its installation's name, or the namespace where it has none.
    :ivar told: the revision that it is rendered from; None where that is gone, or was never said.
    :ivar applied: the revision that it was last made from completely.
    :ivar why: the reason of TenantReady.
    :ivar serving: somebody may be using it; suspended, uninstalled and rejected ones serve nobody.
    :ivar paused: a person wants nothing of it changed.
    """

    tenant: str
    shown: str
    told: str | None
    applied: str | None
    ready: bool
    why: str = ""
    serving: bool = True
    paused: bool = False

    @property
    def up(self) -> bool:
        """Ready with what it was told."""
        return self.ready and (self.told is None or self.applied == self.told)


@dataclass(frozen=True)
class Plan:
    """What to do and what to show.

    :ivar orders: tenants that are told the wanted revision now.
    :ivar settled: the revision that rolled out last, as far as is known.
    :ivar look_in: seconds until the roll-out counts as stalled, None where nothing is waited for.
    """

    orders: tuple[str, ...]
    progress: RolloutProgress
    verdict: Verdict
    settled: str | None
    look_in: float | None = None


@dataclass(frozen=True)
class Past:
    """What the app's status says: the progress, whether it was complete, and the settled revision."""

    progress: RolloutProgress | None = None
    complete: bool = False
    settled: str | None = None


def orders(members: Iterable[Member], *, target: str, max_unavailable: int) -> tuple[str, ...]:
    """The tenants to be told ``target`` now, in order."""
    everyone = sorted((one for one in members if not one.paused), key=lambda one: one.tenant)
    serving = [one for one in everyone if one.serving]
    left = [one for one in serving if one.told != target]
    in_flight = sum(one.told == target and not one.up for one in serving)
    unavailable = sum(not one.up for one in serving)
    chosen = []
    for member in sorted(left, key=lambda one: (one.up, one.told is not None)):
        if in_flight >= max_unavailable or (member.up and unavailable >= max_unavailable):
            break
        in_flight += 1
        unavailable += member.up
        chosen.append(member.tenant)
    if not left and not in_flight:
        chosen += [one.tenant for one in everyone if not one.serving and one.told != target]
    return tuple(chosen)


def rollout(members: Sequence[Member], *, target: str, policy: Rollout, past: Past, now: datetime) -> Plan:
    """The next step of rolling ``target`` out over all tenants of an app."""
    given = orders(members, target=target, max_unavailable=policy.max_unavailable)
    members = [replace(one, told=target) if one.tenant in given else one for one in members]
    latched = past.complete and past.progress is not None and past.progress.revision == target
    done = {one.tenant for one in members if _done(one, target, latched=latched)}
    complete = all(one.paused or one.tenant in done for one in members)
    before = past.progress
    moved = before is None or before.revision != target or before.updated != len(done)
    progressed_at = time(now) if moved or before is None else before.progressed_at or time(now)
    progress = RolloutProgress(
        revision=target,
        tenants=len(members),
        updated=len(done),
        unavailable=0 if complete else sum(one.serving and not one.paused and not one.up for one in members),
        progressed_at=progressed_at,
    )
    if complete:
        return Plan(given, progress, true(Reason.ROLLED_OUT, _kept(members, target)), settled=target)
    left = policy.progress_seconds - (now - parse_time(progressed_at)).total_seconds()
    return Plan(
        given,
        progress,
        _unfinished(members, progress, policy, stalled=left <= 0),
        settled=past.settled or _mostly(members),
        look_in=left if left > 0 else None,
    )


def _done(member: Member, target: str, *, latched: bool) -> bool:
    """Once all were ready with it the roll-out is over, and what breaks later is no part of it.

    One that serves nobody has to be told, no more.
    """
    if member.told != target:
        return False
    return latched or not member.serving or (member.ready and member.applied == target)


def _mostly(members: Iterable[Member]) -> str | None:
    """The revision that most ready tenants have: what rolled out last, where the app's status was lost."""
    counted = Counter(one.told for one in members if one.told is not None and one.serving and one.up)
    return min(counted, key=lambda name: (-counted[name], name), default=None)


def _unfinished(
    members: Iterable[Member], progress: RolloutProgress, policy: Rollout, *, stalled: bool
) -> Verdict:
    far = f"{progress.updated} of {progress.tenants} tenants updated"
    waiting = sorted(
        f"{one.shown} ({'being updated' if one.ready else one.why or 'not ready'})"
        for one in members
        if one.serving and not one.paused and not one.up
    )
    said = f"{far}; waiting for {_listed(waiting)}" if waiting else far
    if not stalled:
        return false(Reason.ROLLING_OUT, said)
    return false(Reason.ROLLOUT_STALLED, f"no progress for {policy.progress_seconds} s: {said}")


def _kept(members: Iterable[Member], target: str) -> str:
    paused = sorted(one.shown for one in members if one.paused and one.told != target)
    return f"paused, with an older revision: {_listed(paused)}" if paused else ""


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
