"""Being asked to end: an event, and a second one when the time to do so in is over."""

from __future__ import annotations

import asyncio
import contextlib


class Stop:
    """``asked`` is set by the first `ask`, ``over`` when the grace is used up; the shortest grace counts."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.over = asyncio.Event()
        self._ends_at: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def ask(self, grace: float) -> None:
        """End within ``grace`` seconds."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + max(grace, 0.0)
        if self._ends_at is not None and self._ends_at <= ends_at:
            return
        self._ends_at = ends_at
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(ends_at, self.over.set)
        self.asked.set()

    @property
    def remaining(self) -> float:
        """Seconds of grace left; 0 where nobody asked."""
        if self._ends_at is None:
            return 0.0
        return max(self._ends_at - asyncio.get_running_loop().time(), 0.0)

    async def pause(self, seconds: float) -> None:
        """Sleep, but not beyond the moment of being asked."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.asked.wait()

    def close(self) -> None:
        """Forget the timer."""
        if self._timer is not None:
            self._timer.cancel()
