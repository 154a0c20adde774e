"""Waiting until something is so."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

#: Seconds between two looks.
_LOOK = 0.02


async def until(look: Callable[[], Awaitable[bool]], *, within: float) -> bool:
    """Whether ``look`` said yes within so many seconds."""
    deadline = time.monotonic() + within
    while not await look():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(_LOOK)
    return True
