"""Waiting until something is so: a check says what is still missing, a deadline says how long it may be."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

#: How soon the observer looks again, at first and at the most (seconds); it only reads.
LOOK = 0.05
_SELDOM = 0.5
#: How many times as long as it looked the observer then leaves alone what it looks at.
_LEISURE = 4.0
_LONGEST = 1.0


class NotYet(Exception):  # noqa: N818 - an observation, not a fault
    """What a check still misses."""


class NotObserved(Exception):  # noqa: N818 - an outcome of the story
    """The deadline passed; the message says what was missing to the last."""


class Looks:
    """The looks of somebody who waits for at most ``within`` seconds; it begins with the first.

    A pause is a twentieth of the waiting so far, from ``least`` seconds on, unless a look takes long: whoever
    looks all the time takes the processor from what is waited for.
    """

    def __init__(self, *, within: float, least: float = LOOK) -> None:
        self._within, self._least = within, least
        self._began = self._looked = time.monotonic()

    async def again(self) -> bool:
        """After a look that was in vain: pause, and look again if this is true; else the time is over."""
        now = time.monotonic()
        waited, took = now - self._began, now - self._looked
        if waited > self._within:
            return False
        pause = max(min(max(self._least, waited / 20), _SELDOM), min(_LEISURE * took, _LONGEST))
        await asyncio.sleep(min(pause, self._within - waited))
        self._looked = time.monotonic()
        return True


async def eventually(check: Callable[[], Awaitable[T]], *, within: float) -> T:
    """The first result of ``check`` that is no :class:`NotYet`, looked for over ``within`` seconds.

    Raises :class:`NotObserved` with the last reason.
    """
    looks = Looks(within=within)
    while True:
        try:
            return await check()
        except NotYet as missing:
            reason = str(missing)
        if not await looks.again():
            raise NotObserved(f"after {within:g} s: {reason}")
