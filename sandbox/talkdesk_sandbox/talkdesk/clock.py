"""A clock that can be moved, and the agenda of what falls due on it.

Life-cycle times (deadlines, trials, retries, token life) are on this clock: the wall clock plus an offset.
Moving it stops at each due moment on the way, so that what happens then sees exactly that time.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import logging
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_LOG = logging.getLogger(__name__)


class Clock:
    """Wall clock plus offset; while :meth:`hold` is in force it stands still."""

    def __init__(self, *, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._offset = 0.0
        self._held: datetime | None = None

    def now(self) -> datetime:
        """The time of Talkdesk's world, aware, UTC."""
        return self._held or datetime.fromtimestamp(self._wall() + self._offset, UTC)

    def hold(self, moment: datetime) -> None:
        """Stand still at ``moment``."""
        self._held = moment

    def release(self) -> None:
        """Run on from where it stands."""
        if self._held:
            self._offset = self._held.timestamp() - self._wall()
            self._held = None


class Agenda:
    """Actions at moments of a :class:`Clock`. They are quick; what takes time goes to :meth:`start`."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._due: list[tuple[datetime, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._changed = asyncio.Event()
        self._moving = asyncio.Lock()
        self._running: set[asyncio.Task[None]] = set()

    def at(self, moment: datetime, action: Callable[[], None]) -> None:
        """Call ``action`` once the clock reaches ``moment``."""
        heapq.heappush(self._due, (moment, next(self._order), action))
        self._changed.set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run ``work`` beside everything else; moving the clock waits for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._done)

    async def settle(self) -> None:
        """Wait for the work that is running now."""
        if self._running:
            await asyncio.wait(set(self._running))

    async def advance(self, by: timedelta) -> datetime:
        """Move the clock forward, doing what falls due on the way in order; answers the new time."""
        if by < timedelta(0):
            raise ValueError("the clock cannot go back")
        async with self._moving:
            await self.settle()
            target = self.clock.now() + by
            try:
                while self._due and self._due[0][0] <= target:
                    moment = max(self._due[0][0], self.clock.now())
                    self.clock.hold(min(moment, target))
                    self._fire()
                    await self.settle()
                self.clock.hold(target)
            finally:
                self.clock.release()
            self._changed.set()
            return target

    async def run(self) -> None:
        """Follow the wall clock for ever; ends by being cancelled."""
        while True:
            async with self._moving:
                self._fire()
            self._changed.clear()
            wait = None
            if self._due:
                wait = max(0.0, (self._due[0][0] - self.clock.now()).total_seconds())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), wait)

    async def close(self) -> None:
        """Cancel what is running."""
        for task in set(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (failure := task.exception()):
            _LOG.error("work on the agenda failed", exc_info=failure)

    def _fire(self) -> None:
        now = self.clock.now()
        while self._due and self._due[0][0] <= now:
            heapq.heappop(self._due)[2]()
