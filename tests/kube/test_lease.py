from __future__ import annotations

import asyncio
import math
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from talkdesk_kube import Kube, KubeSettings, Lease, LeaseLost, LeaseTimings
from talkdesk_kube.lease import Observation, observe
from talkdesk_kube.resources import LEASES, SERVICE_ACCOUNTS, Obj

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from talkdesk_sandbox.controlplane import ControlPlane

#: Nobody gets it by waiting within a test; what is handed over was released.
PATIENT = LeaseTimings(duration=600, renew_deadline=400, retry=0.02)
BRIEF = LeaseTimings(duration=3, renew_deadline=0.6, retry=0.05)


class Work:
    """Work that runs until it is cancelled, and then until it may stop."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.stopped_at = math.inf
        self.started_at = math.inf
        self.may_stop = asyncio.Event()
        self.may_stop.set()

    async def __call__(self) -> None:
        self.started_at = time.monotonic()
        self.started.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.stopped_at = time.monotonic()
            await self.may_stop.wait()


async def spec(kube: Kube, namespace: str) -> dict[str, Any]:
    found: dict[str, Any] = (await kube.get(LEASES, "l", namespace=namespace))["spec"]
    return found


def candidate(
    kube: Kube, namespace: str, identity: str, timings: LeaseTimings = PATIENT, **more: Any
) -> Lease:
    return Lease(kube, "l", namespace, identity, timings, **more)


async def started(work: Work) -> None:
    async with asyncio.timeout(10):
        await work.started.wait()


async def stop(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks)


async def test_of_two_candidates_one_leads_and_hands_over_when_it_ends(kube: Kube, namespace: str) -> None:
    works = {"a": Work(), "b": Work()}
    leases = {name: candidate(kube, namespace, name) for name in works}
    tasks = {name: asyncio.create_task(leases[name].run(works[name])) for name in works}
    async with asyncio.timeout(10):
        waits = [asyncio.create_task(work.started.wait()) for work in works.values()]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    (first,) = (name for name, work in works.items() if work.started.is_set())
    second = "b" if first == "a" else "a"
    held = await spec(kube, namespace)
    assert (held["holderIdentity"], held["leaseDurationSeconds"], held["leaseTransitions"]) == (first, 600, 0)
    assert leases[first].holding
    assert not leases[second].holding

    await stop(tasks[first])
    await started(works[second])
    held = await spec(kube, namespace)
    assert (held["holderIdentity"], held["leaseTransitions"]) == (second, 1)
    assert works[first].stopped_at < works[second].started_at
    await stop(tasks[second], *waits)
    assert (await spec(kube, namespace))["holderIdentity"] == ""


async def test_the_lease_is_kept_until_the_work_has_ended(
    kube: Kube, namespace: str, eventually: Any
) -> None:
    work = Work()
    work.may_stop.clear()
    task = asyncio.create_task(candidate(kube, namespace, "a").run(work))
    await started(work)
    task.cancel()
    await eventually(lambda: work.stopped_at < math.inf)
    before = await spec(kube, namespace)
    assert before["holderIdentity"] == "a"

    async def renewed() -> bool:
        return bool((await spec(kube, namespace))["renewTime"] != before["renewTime"])

    await eventually(renewed)
    work.may_stop.set()
    await stop(task)
    assert (await spec(kube, namespace))["holderIdentity"] == ""


async def test_work_that_ends_releases_the_lease_and_says_how_it_ended(kube: Kube, namespace: str) -> None:
    async def fail() -> None:
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        await candidate(kube, namespace, "a").run(fail)
    assert (await spec(kube, namespace))["holderIdentity"] == ""


async def test_a_lease_is_released_although_it_is_cancelled_in_the_middle_of_that(
    kube: Kube, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ends_by_itself() -> None:
        return

    plain = kube.merge_patch

    async def cancelled_meanwhile(resource: Any, name: str, patch: Obj, **more: Any) -> Obj:
        assert patch["spec"]["holderIdentity"] == ""
        task.cancel()
        return await plain(resource, name, patch, **more)

    monkeypatch.setattr(kube, "merge_patch", cancelled_meanwhile)
    task = asyncio.create_task(candidate(kube, namespace, "a").run(ends_by_itself))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await spec(kube, namespace))["holderIdentity"] == ""


async def test_a_lease_is_taken_only_after_it_was_seen_unchanged_for_its_duration(
    kube: Kube, namespace: str, eventually: Any
) -> None:
    now = 5000.0
    looked = 0

    def clock() -> float:
        nonlocal looked
        looked += 1
        return now

    record = {"holderIdentity": "frozen", "leaseDurationSeconds": 15, "leaseTransitions": 4}
    await kube.create(LEASES, {"metadata": {"name": "l"}, "spec": record}, namespace=namespace)
    work = Work()
    task = asyncio.create_task(candidate(kube, namespace, "b", clock=clock).run(work))
    await eventually(lambda: looked > 6)
    now += 14.9
    looked = 0
    await eventually(lambda: looked > 6)
    assert not work.started.is_set()
    # A renewal in time: the candidate's patience begins anew.
    await kube.merge_patch(
        LEASES, "l", {"spec": {"renewTime": "2026-01-01T00:00:00.000000Z"}}, namespace=namespace
    )
    looked = 0
    await eventually(lambda: looked > 6)
    now += 14.9
    looked = 0
    await eventually(lambda: looked > 6)
    assert not work.started.is_set()
    now += 0.1
    await started(work)
    held = await spec(kube, namespace)
    assert (held["holderIdentity"], held["leaseTransitions"]) == ("b", 5)
    await stop(task)


async def test_a_holder_that_stood_still_stops_its_work_and_says_so(kube: Kube, namespace: str) -> None:
    now = 0.0
    work = Work()
    lease = candidate(kube, namespace, "a", BRIEF, clock=lambda: now)
    task = asyncio.create_task(lease.run(work))
    await started(work)
    assert lease.holding
    now += BRIEF.renew_deadline
    assert not lease.holding
    with pytest.raises(LeaseLost, match="stood still"):
        await task
    assert work.stopped_at < math.inf


async def test_a_holder_that_cannot_renew_stops_before_another_starts(
    kube: Kube, namespace: str, relay: Any
) -> None:
    one, other = Work(), Work()
    async with await Kube.connect(KubeSettings(kubeconfig=relay.kubeconfig), user_agent="test") as through:
        holder = asyncio.create_task(candidate(through, namespace, "a", BRIEF).run(one))
        await started(one)
        next_holder = asyncio.create_task(candidate(kube, namespace, "b", BRIEF).run(other))
        relay.go_down()
        with pytest.raises(LeaseLost, match="no answer"):
            await holder
        lost_at = time.monotonic()
        assert not other.started.is_set()
        await started(other)
        assert one.stopped_at < lost_at < other.started_at
        await stop(next_holder)


async def test_work_that_does_not_stop_is_not_waited_for_longer_than_the_lease_lasts(
    namespace: str, relay: Any
) -> None:
    work = Work()
    work.may_stop.clear()
    timings = LeaseTimings(duration=0.5, renew_deadline=0.3, retry=0.05)
    async with await Kube.connect(KubeSettings(kubeconfig=relay.kubeconfig), user_agent="test") as through:
        task = asyncio.create_task(candidate(through, namespace, "a", timings).run(work))
        await started(work)
        relay.go_down()
        with pytest.raises(LeaseLost):
            await task
        work.may_stop.set()


async def test_a_stolen_or_deleted_lease_is_lost_at_once(kube: Kube, namespace: str) -> None:
    work = Work()
    task = asyncio.create_task(candidate(kube, namespace, "a").run(work))
    await started(work)
    await kube.merge_patch(LEASES, "l", {"spec": {"holderIdentity": "thief"}}, namespace=namespace)
    with pytest.raises(LeaseLost, match="taken by thief"):
        await task
    assert work.stopped_at < math.inf
    assert (await spec(kube, namespace))["holderIdentity"] == "thief"

    await kube.merge_patch(LEASES, "l", {"spec": {"holderIdentity": ""}}, namespace=namespace)
    again = Work()
    task = asyncio.create_task(candidate(kube, namespace, "a").run(again))
    await started(again)
    await kube.delete(LEASES, "l", namespace=namespace)
    with pytest.raises(LeaseLost, match="deleted"):
        await task


async def test_a_lease_somebody_annotated_is_still_held(kube: Kube, namespace: str, eventually: Any) -> None:
    work = Work()
    task = asyncio.create_task(candidate(kube, namespace, "a").run(work))
    await started(work)
    patched = await kube.merge_patch(
        LEASES, "l", {"metadata": {"annotations": {"a": "b"}}}, namespace=namespace
    )
    version = patched["metadata"]["resourceVersion"]

    async def renewed() -> bool:
        lease = await kube.get(LEASES, "l", namespace=namespace)
        return bool(lease["metadata"]["resourceVersion"] != version)

    await eventually(renewed)
    assert not task.done()
    await stop(task)


async def test_a_process_that_comes_back_under_its_name_takes_its_lease_up_again(
    kube: Kube, namespace: str
) -> None:
    record = {"holderIdentity": "a", "leaseDurationSeconds": 600, "leaseTransitions": 7}
    await kube.create(LEASES, {"metadata": {"name": "l"}, "spec": record}, namespace=namespace)
    work = Work()
    task = asyncio.create_task(candidate(kube, namespace, "a").run(work))
    await started(work)
    assert (await spec(kube, namespace))["leaseTransitions"] == 7
    await stop(task)


async def test_get_create_and_patch_of_leases_is_all_it_needs(
    kube: Kube, control_plane: ControlPlane, namespace: str, grant: Any
) -> None:
    rule = {"apiGroups": [LEASES.group], "resources": ["leases"], "verbs": ["get", "create", "patch"]}
    await kube.create(SERVICE_ACCOUNTS, {"metadata": {"name": "elector"}}, namespace=namespace)
    await grant("elector", rule)
    path = control_plane.kubeconfig_for("elector", namespace)
    async with await Kube.connect(KubeSettings(kubeconfig=path), user_agent="test") as limited:
        work = Work()
        task = asyncio.create_task(candidate(limited, namespace, "a").run(work))
        await started(work)
        await stop(task)
    assert (await spec(kube, namespace))["holderIdentity"] == ""


class OneLease:
    """An API server with one Lease; ``late`` runs between a patch being stored and its answer."""

    def __init__(self, late: Callable[[], Awaitable[None]]) -> None:
        self.spec: dict[str, Any] = {"holderIdentity": "", "leaseDurationSeconds": 1}
        self.version = 1
        self.looks = 0
        self._late = late

    def written(self, spec: dict[str, Any]) -> dict[str, Any]:
        self.spec |= spec
        self.version += 1
        return self.shown()

    def shown(self) -> dict[str, Any]:
        return {"metadata": {"name": "l", "resourceVersion": str(self.version)}, "spec": dict(self.spec)}

    async def answer(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            self.looks += 1
            return web.json_response(self.shown())
        patch = await request.json()
        if patch["metadata"]["resourceVersion"] != str(self.version):
            return web.json_response({"kind": "Status", "code": 409, "reason": "Conflict"}, status=409)
        answer = self.written(patch["spec"])
        await self._late()
        return web.json_response(answer)


async def test_no_work_starts_on_an_answer_that_comes_when_another_holds_the_lease(
    answering: Any, eventually: Any
) -> None:
    now = 0.0

    async def late() -> None:
        nonlocal now
        if server.version == 2:
            now += PATIENT.duration
            server.written({"holderIdentity": "b"})

    server = OneLease(late)
    work = Work()
    lease = candidate(await answering(server.answer), "n", "a", clock=lambda: now)
    task = asyncio.create_task(lease.run(work))
    await eventually(lambda: server.looks > 2 or work.started.is_set())
    assert not work.started.is_set()
    assert server.spec["holderIdentity"] == "b"
    server.written({"holderIdentity": ""})
    await started(work)
    assert lease.holding
    await stop(task)


async def test_taking_a_lease_is_tried_again_once_its_answer_would_come_too_late(answering: Any) -> None:
    async def late() -> None:
        if server.version == 2:
            await asyncio.Event().wait()

    server = OneLease(late)
    work = Work()
    task = asyncio.create_task(candidate(await answering(server.answer), "n", "a", BRIEF).run(work))
    await started(work)
    assert server.spec["holderIdentity"] == "a"
    await stop(task)


@pytest.mark.parametrize("numbers", [(10, 10, 2), (15, 10, 10), (15, 10, 0), (1, 10, 2)])
def test_timings_that_cannot_be_safe_are_refused(numbers: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="duration > renew_deadline > retry > 0"):
        LeaseTimings(*numbers)


def lease(holder: str, seconds: int, version: str) -> Obj:
    return {
        "metadata": {"resourceVersion": version},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": seconds},
    }


@given(
    seconds=st.integers(1, 60),
    looks=st.lists(st.tuples(st.floats(0.1, 50), st.sampled_from("12")), min_size=1, max_size=12),
)
def test_another_may_take_it_only_once_no_change_was_seen_for_its_duration(
    seconds: int, looks: list[tuple[float, str]]
) -> None:
    now = 0.0
    seen: Observation | None = None
    history: list[tuple[float, str]] = []
    for pause, version in looks:
        now += pause
        history.append((now, version))
        seen = observe(lease("other", seconds, version), now, seen)
    assert seen is not None
    last = history[-1][1]
    since = now
    for at, version in reversed(history):
        if version != last:
            break
        since = at
    assert seen.takeable("me", now) == (now - since >= seconds)
    assert seen.takeable("other", now)
