"""Waiting until something is so."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from talkdesk_sandbox.story.observe import pause

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def until(look: Callable[[], Awaitable[bool]], *, within: float) -> bool:
    """Whether ``look`` said yes within so many seconds."""
    looks = began = time.monotonic()
    while not await look():
        now = time.monotonic()
        if now - began > within:
            return False
        await asyncio.sleep(pause(now - began, now - looks, least=0.02))
        looks = time.monotonic()
    return True
