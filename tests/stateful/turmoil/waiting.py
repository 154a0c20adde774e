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
    began = time.monotonic()
    while not await look():
        waited = time.monotonic() - began
        if waited > within:
            return False
        await asyncio.sleep(pause(waited, least=0.02))
    return True
