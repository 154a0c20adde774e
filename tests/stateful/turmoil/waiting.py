"""Waiting until something is so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_sandbox.story.observe import Looks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def until(look: Callable[[], Awaitable[bool]], *, within: float) -> bool:
    """Whether ``look`` said yes within so many seconds."""
    looks = Looks(within=within, least=0.02)
    while not await look():
        if not await looks.again():
            return False
    return True
