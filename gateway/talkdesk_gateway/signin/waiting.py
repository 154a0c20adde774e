"""Waiting for what the watches are about to show, for a bounded time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from talkdesk_gateway.seams import Directory


async def until(true: Callable[[], bool], directory: Directory, name: str, *, seconds: float) -> bool:
    """Wait until ``true()``, looking again at each change of the installation ``name``; what it was last."""
    changed = asyncio.Event()
    end = directory.subscribe(name, changed.set)
    try:
        async with asyncio.timeout(seconds):
            while not true():
                await changed.wait()
                changed.clear()
    except TimeoutError:
        return true()
    finally:
        end()
    return True
