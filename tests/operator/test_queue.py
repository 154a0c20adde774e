"""The work queue: one worker a key, each key once, failures backed off."""

from __future__ import annotations

import asyncio
import math
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from talkdesk_operator.notes import Agenda
from talkdesk_operator.queue import Backoff, Outcome, WorkQueue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


@pytest.fixture
async def run() -> AsyncIterator[Any]:
    """Starts a queue's workers; they are ended with the test."""
    tasks: list[asyncio.Future[None]] = []

    def start(queue: WorkQueue[str], worker: Any, workers: int = 2) -> asyncio.Future[None]:
        task = asyncio.ensure_future(queue.run(worker, workers=workers))
        tasks.append(task)
        return task

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        # The queue tells nobody that it is idle.
        while not condition():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.001)


async def test_a_key_added_many_times_is_worked_on_once(run: Any) -> None:
    queue: WorkQueue[str] = WorkQueue()
    seen = []

    async def work(key: str) -> Outcome:
        seen.append(key)
        return Outcome()

    for key in ("a", "b", "a", "a"):
        queue.add(key)
    run(queue, work)
    await until(lambda: queue.idle and seen)
    assert seen == ["a", "b"]


async def test_a_key_never_has_two_workers_and_a_wake_up_meanwhile_is_not_lost(run: Any) -> None:
    queue: WorkQueue[str] = WorkQueue()
    gate = asyncio.Event()
    running, most, passes = 0, 0, 0

    async def work(_key: str) -> Outcome:
        nonlocal running, most, passes
        running += 1
        most = max(most, running)
        await gate.wait()
        running -= 1
        passes += 1
        return Outcome()

    run(queue, work, workers=3)
    queue.add("a")
    await until(lambda: running == 1)
    queue.add("a")
    queue.add("a")
    gate.set()
    await until(lambda: queue.idle and passes >= 2)
    assert (most, passes) == (1, 2)


async def test_other_keys_go_on_while_one_is_stuck(run: Any) -> None:
    queue: WorkQueue[str] = WorkQueue()
    stuck, done = asyncio.Event(), []

    async def work(key: str) -> Outcome:
        if key == "stuck":
            await stuck.wait()
        done.append(key)
        return Outcome()

    run(queue, work)
    queue.add("stuck")
    for number in range(20):
        queue.add(f"k{number}")
    await until(lambda: len(done) == 20)
    stuck.set()
    await until(lambda: len(done) == 21)


async def test_failures_are_repeated_with_growing_delays_until_one_pass_succeeds(run: Any) -> None:
    queue: WorkQueue[str] = WorkQueue(backoff=Backoff(first=0.001, most=0.004, draw=lambda: 1.0))
    outcomes = iter([Outcome(failed=True), ValueError("a defect"), Outcome(failed=True), Outcome()])
    calls = 0

    async def work(_key: str) -> Outcome:
        nonlocal calls
        calls += 1
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    run(queue, work)
    queue.add("a")
    await until(lambda: calls == 4 and queue.idle)


async def test_what_the_clock_decides_is_not_put_off_by_failures(run: Any) -> None:
    queue: WorkQueue[str] = WorkQueue(backoff=Backoff(first=0.001, most=3600, draw=lambda: 1.0))
    calls = 0

    async def work(_key: str) -> Outcome:
        nonlocal calls
        calls += 1
        return Outcome(after=1800, failed=True, deadline=0.005) if calls < 3 else Outcome()

    run(queue, work)
    queue.add("a")
    await until(lambda: calls == 3)


def test_a_pass_that_failed_says_when_the_clock_decides_next() -> None:
    agenda = Agenda()
    agenda.look_in(1)
    agenda.decide_in(7)
    agenda.decide_in(math.inf)
    assert agenda.outcome() == Outcome(after=1)
    agenda.fail(retry_after=5)
    assert agenda.outcome() == Outcome(after=5, failed=True, deadline=7)


def test_backoff_doubles_up_to_its_limit_and_jitters_down_to_half() -> None:
    full = Backoff(first=1, most=10, draw=lambda: 1.0)
    assert [full.delay(failures) for failures in (1, 2, 3, 4, 5, 500)] == [1, 2, 4, 8, 10, 10]
    assert Backoff(first=1, most=10, draw=lambda: 0.0).delay(3) == 2


async def test_a_key_comes_again_after_the_time_its_pass_asked_for(run: Any) -> None:
    queue: WorkQueue[str] = WorkQueue()
    calls = 0

    async def work(_key: str) -> Outcome:
        nonlocal calls
        calls += 1
        return Outcome(after=0.005) if calls < 3 else Outcome()

    run(queue, work)
    queue.add("a")
    await until(lambda: calls == 3)


async def test_close_lets_the_pass_in_hand_finish_and_starts_no_other(run: Any) -> None:
    queue: WorkQueue[str] = WorkQueue()
    started, gate, done = asyncio.Event(), asyncio.Event(), []

    async def work(key: str) -> Outcome:
        started.set()
        await gate.wait()
        done.append(key)
        return Outcome(after=0.0)

    task = run(queue, work, workers=1)
    queue.add("a")
    queue.add("b")
    await started.wait()
    queue.close()
    gate.set()
    await asyncio.wait_for(task, 5)
    assert done == ["a"]


async def test_a_key_can_be_woken_from_another_thread(run: Any) -> None:
    queue: WorkQueue[str] = WorkQueue()
    seen = []

    async def work(key: str) -> Outcome:
        seen.append(key)
        return Outcome()

    run(queue, work)
    await asyncio.to_thread(queue.wake, "a")
    await until(lambda: seen == ["a"])


async def test_nothing_grows_old_before_the_workers_run(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    queue: WorkQueue[str] = WorkQueue()
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(queue, "_loop", SimpleNamespace(time=lambda: clock.now))
    started, gate = asyncio.Event(), asyncio.Event()

    async def work(_key: str) -> Outcome:
        started.set()
        await gate.wait()
        return Outcome()

    queue.add("stuck")
    queue.add("a")
    clock.now = 4000.0
    assert queue.oldest() == 0
    run(queue, work, workers=1)
    await started.wait()
    assert queue.oldest() == 0
    clock.now = 4007.0
    assert queue.oldest() == 7
    gate.set()
    await until(lambda: queue.idle)
    assert queue.oldest() == 0


async def test_what_comes_while_the_workers_run_is_as_old_as_it_waits(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue: WorkQueue[str] = WorkQueue()
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(queue, "_loop", SimpleNamespace(time=lambda: clock.now))
    gate = asyncio.Event()

    async def work(_key: str) -> Outcome:
        await gate.wait()
        return Outcome()

    run(queue, work, workers=1)
    queue.add("stuck")
    await until(lambda: queue.running)
    clock.now = 150.0
    queue.add("a")
    clock.now = 152.0
    assert queue.oldest() == 2
    gate.set()
    await until(lambda: queue.idle)
