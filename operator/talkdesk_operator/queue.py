"""The work queue: one worker per key at a time, each key once, failures backed off.

The rules are those of controller-runtime's queue. A key that is woken while its worker runs is run once more
afterwards. What a pass returns replaces the key's timer; a failure's delay doubles, with jitter, until a pass
succeeds. A wake-up runs at once, for what it announces may be what the failure waited for; only the echo of a
failed pass's own writes waits for the first step of the backoff.
"""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

K = TypeVar("K", bound=Hashable)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What a pass over a key came to. ``after``: seconds until the next look (None: when woken)."""

    after: float | None = None
    #: Counts as a failure: ``after`` is then the least delay, and the backoff grows.
    failed: bool = False
    #: The clock decides something in so many seconds: no backoff puts the next look off beyond that.
    deadline: float | None = None


@dataclass(frozen=True)
class Backoff:
    """Seconds between failures: ``first`` doubles up to ``most``; ``draw`` gives the jitter in 0…1."""

    first: float = 0.2
    most: float = 120.0
    draw: Callable[[], float] = random.random

    def delay(self, failures: int) -> float:
        """Delay after so many failures in a row (1 and up): between half and all of the doubled value."""
        full = min(self.most, self.first * 2.0 ** min(failures - 1, 30))
        return full * (0.5 + 0.5 * self.draw())


Worker = Callable[[K], Awaitable[Outcome]]
Observer = Callable[[K, float, bool], None]


class WorkQueue(Generic[K]):
    """Keys that want a worker. All methods but :meth:`wake` belong to the loop that runs the workers."""

    def __init__(self, *, backoff: Backoff | None = None, observe: Observer[K] | None = None) -> None:
        self._backoff = backoff or Backoff()
        self._observe = observe
        self._waiting: OrderedDict[K, float] = OrderedDict()
        self._running: set[K] = set()
        self._dirty: set[K] = set()
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._failures: dict[K, int] = {}
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._begun: float | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Keys being worked on."""
        return len(self._running)

    @property
    def idle(self) -> bool:
        """Nothing waits, nothing runs (timers may be set)."""
        return not self._waiting and not self._running

    def oldest(self) -> float:
        """Seconds that the oldest waiting key has waited since :meth:`run` began; 0 where none waits."""
        first = next(iter(self._waiting.values()), None)
        if first is None or self._begun is None:
            return 0.0
        return self._loop.time() - max(first, self._begun)

    def wake(self, key: K) -> None:
        """:meth:`add` from any thread."""
        self._loop.call_soon_threadsafe(self.add, key)

    def add(self, key: K) -> None:
        """``key`` wants a worker now."""
        if key in self._running:
            self._dirty.add(key)
        elif key not in self._waiting:
            self._waiting[key] = self._loop.time()
            self._changed.set()

    def add_after(self, key: K, delay: float) -> None:
        """``key`` wants a worker in ``delay`` seconds; replaces what was set before."""
        self._unset(key)
        if delay <= 0:
            self.add(key)
        else:
            self._timers[key] = self._loop.call_later(delay, self._due, key)

    async def run(self, worker: Worker[K], *, workers: int) -> None:
        """Work until :meth:`close`, with ``workers`` keys at once. Cancelling cancels the passes in hand."""
        self._begun = self._loop.time()
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(self._work(worker))

    def close(self) -> None:
        """Take no further key; :meth:`run` returns when the passes in hand have ended."""
        self._closed = True
        for key in list(self._timers):
            self._unset(key)
        self._changed.set()

    async def _work(self, worker: Worker[K]) -> None:
        while (key := await self._next()) is not None:
            started = self._loop.time()
            try:
                outcome = await worker(key)
            except Exception:  # noqa: BLE001 - a defect in one pass must not end the worker; it is logged
                _log.exception("a pass over the key ended in a defect", key=str(key))
                outcome = Outcome(failed=True)
            finally:
                self._running.discard(key)
            if self._observe is not None:
                self._observe(key, self._loop.time() - started, outcome.failed)
            self._finished(key, outcome)

    def _finished(self, key: K, outcome: Outcome) -> None:
        if self._closed:
            return
        woken = key in self._dirty
        self._dirty.discard(key)
        if outcome.failed:
            self._failures[key] = self._failures.get(key, 0) + 1
            delay = max(self._backoff.delay(self._failures[key]), outcome.after or 0.0)
            if woken:
                delay = min(delay, self._backoff.first)
            if outcome.deadline is not None:
                delay = min(delay, max(outcome.deadline, self._backoff.first))
            self.add_after(key, delay)
            return
        self._failures.pop(key, None)
        if woken:
            self.add(key)
        elif outcome.after is not None:
            self.add_after(key, outcome.after)

    async def _next(self) -> K | None:
        while not self._closed:
            if self._waiting:
                key, _ = self._waiting.popitem(last=False)
                self._unset(key)
                self._running.add(key)
                return key
            self._changed.clear()
            await self._changed.wait()
        return None

    def _due(self, key: K) -> None:
        self._timers.pop(key, None)
        self.add(key)

    def _unset(self, key: K) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
