"""When the gateway's keys are turned: a new one now and then, an old one gone once it is good for nothing.

Pure. What a key seals is good for a bounded time, so a key may go that long after its last use. Its last use
is when the next one takes over, which is :data:`~talkdesk_crds.key_ring.SPREADING` after that was made: a
routine turn therefore signs nobody out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from talkdesk_crds.key_ring import SPREADING, Key

#: Makes a key, as of the time given.
NewKey = Callable[[datetime], Key]

#: Keys one Secret holds at the most; a new one waits until an old one may go.
MOST = 64
#: By which the clocks of two machines may differ, and by which a replica may lag behind with the Secret.
_MARGIN = timedelta(minutes=5)


@dataclass(frozen=True)
class KeyPolicy:
    """``every``: age of the newest key at which another is made.

    ``good``: for how long at the most what a key sealed or signed is accepted.
    """

    every: timedelta
    good: timedelta


@dataclass(frozen=True)
class Turn:
    """The keys as they should be, and when to look again. ``changed``: they are not what they were."""

    keys: tuple[Key, ...]
    changed: bool
    look_at: datetime


def turn(keys: Sequence[Key], now: datetime, policy: KeyPolicy, *, new: NewKey) -> Turn:
    """Drop what is good for nothing any more, and make the next one if it is due; oldest first."""
    known = sorted(keys, key=lambda key: (key.made_at, key.id))
    kept = [key for key, end in zip(known, ends(known, policy), strict=True) if end is None or end > now]
    due = kept[-1].made_at + policy.every if kept else now
    if due <= now and len(kept) < MOST:
        kept.append(new(now))
        due = now + policy.every
    upcoming = [end for end in ends(kept, policy) if end is not None]
    return Turn(
        keys=tuple(kept),
        changed=kept != list(keys),
        look_at=min([*upcoming, *([due] if due > now else [])]),
    )


def ends(keys: Sequence[Key], policy: KeyPolicy) -> list[datetime | None]:
    """For each of ``keys``, oldest first: when nothing that it sealed is good; None for the newest."""
    after = [later.made_at + SPREADING + _MARGIN + policy.good for later in keys[1:]]
    return [*after, *([None] if keys else [])]
