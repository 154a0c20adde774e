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


class NotYet(Exception):  # noqa: N818 - an observation, not a fault
    """What a check still misses."""


class NotObserved(Exception):  # noqa: N818 - an outcome of the story
    """The deadline passed; the message says what was missing to the last."""


def pause(waited: float, looked: float, *, least: float = LOOK) -> float:
    """Seconds until the next look, after so many of waiting and a look of so many.

    A twentieth of the waiting is added by it, unless a look takes long: whoever looks all the time takes the
    processor from what is waited for.
    """
    return max(min(max(least, waited / 20), _SELDOM), min(_LEISURE * looked, 1.0))


async def eventually(check: Callable[[], Awaitable[T]], *, within: float) -> T:
    """The first result of ``check`` that is no :class:`NotYet`, looked for over ``within`` seconds.

    Raises :class:`NotObserved` with the last reason.
    """
    began = time.monotonic()
    while True:
        looks = time.monotonic()
        try:
            return await check()
        except NotYet as missing:
            now = time.monotonic()
            if now - began > within:
                raise NotObserved(f"after {within:g} s: {missing}") from None
        await asyncio.sleep(pause(now - began, now - looks))
