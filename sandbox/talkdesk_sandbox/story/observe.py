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
_SELDOM = 0.25


class NotYet(Exception):  # noqa: N818 - an observation, not a fault
    """What a check still misses."""


class NotObserved(Exception):  # noqa: N818 - an outcome of the story
    """The deadline passed; the message says what was missing to the last."""


def pause(waited: float, *, least: float = LOOK) -> float:
    """Seconds until the next look after so many of waiting: no more than a twentieth is added by looking.

    Whoever looks all the time takes the processor from what is waited for.
    """
    return min(max(least, waited / 20), _SELDOM)


async def eventually(check: Callable[[], Awaitable[T]], *, within: float) -> T:
    """The first result of ``check`` that is no :class:`NotYet`, looked for over ``within`` seconds.

    Raises :class:`NotObserved` with the last reason.
    """
    began = time.monotonic()
    while True:
        try:
            return await check()
        except NotYet as missing:
            waited = time.monotonic() - began
            if waited > within:
                raise NotObserved(f"after {within:g} s: {missing}") from None
        await asyncio.sleep(pause(waited))
