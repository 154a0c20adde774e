"""What keeps walks that go on beside each other from disturbing each other.

Talkdesk's clock stands still while anybody is on their way, for a sign-on has a minute; and one request is
made at a time, for what is measured is how long the app takes for one customer.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Steady:
    """Many act beside each other; the clock is moved only while nobody does."""

    def __init__(self) -> None:
        self._changed = asyncio.Condition()
        self._acting = self._movers = 0
        self._request = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def acting(self) -> AsyncIterator[None]:
        """The clock is not moved in this block."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._movers)
            self._acting += 1
        try:
            yield
        finally:
            async with self._changed:
                self._acting -= 1
                self._changed.notify_all()

    @contextlib.asynccontextmanager
    async def one_request(self) -> AsyncIterator[None]:
        """Nobody else installs, changes or uninstalls in this block, and the clock is not moved."""
        async with self._request, self.acting():
            yield

    @contextlib.asynccontextmanager
    async def moving(self) -> AsyncIterator[None]:
        """Nobody acts in this block."""
        async with self._changed:
            self._movers += 1
            try:
                await self._changed.wait_for(lambda: not self._acting)
                yield
            finally:
                self._movers -= 1
                self._changed.notify_all()
