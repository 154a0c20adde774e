"""Waiting until something is so: a check says what is still missing, a deadline says how long it may be."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

#: How often the observer looks (seconds); it only reads.
LOOK = 0.05


class NotYet(Exception):  # noqa: N818 - an observation, not a fault
    """What a check still misses."""


class NotObserved(Exception):  # noqa: N818 - an outcome of the story
    """The deadline passed; the message says what was missing to the last."""


async def eventually(check: Callable[[], Awaitable[T]], *, within: float) -> T:
    """The first result of ``check`` that is no :class:`NotYet`, looked for over ``within`` seconds.

    Raises :class:`NotObserved` with the last reason.
    """
    deadline = time.monotonic() + within
    while True:
        try:
            return await check()
        except NotYet as missing:
            if time.monotonic() > deadline:
                raise NotObserved(f"after {within:g} s: {missing}") from None
        await asyncio.sleep(LOOK)
