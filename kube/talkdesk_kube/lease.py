"""Leader election on a ``coordination.k8s.io`` Lease.

As client-go judges it (https://pkg.go.dev/k8s.io/client-go/tools/leaderelection): nobody compares clocks. A
candidate takes over when *it* has seen the record unchanged for as long as the record itself says; the holder
gives up when its last renewal, counted from when it was *sent*, is older than the renew deadline, which is
shorter. A Lease is no fence all the same: what the holder does must be harmless if done twice.
"""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any

import structlog

from talkdesk_kube import metrics
from talkdesk_kube.errors import AlreadyExists, Conflict, KubeError, NotFound
from talkdesk_kube.resources import LEASES, Obj

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from talkdesk_kube.client import Kube

_log = structlog.get_logger("talkdesk_kube.lease")


#: How long a release may take at most; what is not released by then expires.
RELEASE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class LeaseTimings:
    """In seconds. ``duration`` is written into the Lease, rounded up to whole seconds as its type demands.

    Raises ValueError unless duration > renew_deadline > retry > 0.
    """

    duration: float = 15.0
    renew_deadline: float = 10.0
    retry: float = 2.0

    def __post_init__(self) -> None:
        if not self.duration > self.renew_deadline > self.retry > 0:
            raise ValueError(f"Lease timings: need duration > renew_deadline > retry > 0, got {self}")


class LeaseLost(Exception):  # noqa: N818 -- named after what it says
    """The Lease could not be renewed in time, or another took it; the work has been stopped."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A Lease as seen: by whom it is held, and since when (local clock) this record has not changed."""

    holder: str
    seconds: float
    version: str
    transitions: int
    since: float

    def takeable(self, identity: str, now: float) -> bool:
        """Whether ``identity`` may take it at ``now``: free, its own from a former life, or expired."""
        return self.holder in {"", identity} or now - self.since >= self.seconds


def observe(lease: Obj, now: float, before: Observation | None) -> Observation:
    """What ``lease`` shows at ``now``; an unchanged record keeps the time it was first seen at."""
    spec = lease.get("spec") or {}
    version = str(lease["metadata"]["resourceVersion"])
    since = before.since if before is not None and before.version == version else now
    return Observation(
        holder=str(spec.get("holderIdentity") or ""),
        seconds=float(spec.get("leaseDurationSeconds") or 0),
        version=version,
        transitions=int(spec.get("leaseTransitions") or 0),
        since=since,
    )


def _micro_time() -> str:
    # For people only; no decision reads it.
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Lease:
    """One candidate for one Lease. RBAC: get, create, patch.

    :param identity: who we are: of one living process only. A process that comes back under the same
        identity (a container restarted in its pod) takes its Lease up again at once.
    :param clock: seconds, monotonic; for judging what is over. Waiting is real.
    """

    def __init__(
        self,
        kube: Kube,
        name: str,
        namespace: str,
        identity: str,
        timings: LeaseTimings | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kube = kube
        self._name = name
        self._namespace = namespace
        self._identity = identity
        self._timings = timings or LeaseTimings()
        self._clock = clock
        self._random = Random()  # noqa: S311 -- spreads load, guards nothing
        self._seen: Observation | None = None
        self._renewed = -math.inf
        self._holding = False

    @property
    def holding(self) -> bool:
        """Whether the work may run now."""
        return self._holding and self._in_time()

    def _in_time(self) -> bool:
        return self._clock() < self._renewed + self._timings.renew_deadline

    async def run(self, on_started: Callable[[], Awaitable[None]]) -> None:
        """Acquire, run ``on_started()`` while renewing, release.

        Returns (or raises) what ``on_started`` does, the Lease released. When this is cancelled, so is
        ``on_started``, and the Lease is released after it ended: it is held, and renewed, for as long as the
        work takes to finish. Raises :class:`LeaseLost` where the Lease is lost; ``on_started`` has been
        cancelled then, and was waited for as long as nobody else can hold the Lease.
        """
        await self._acquire()
        self._held(holding=True)
        work = asyncio.ensure_future(on_started())
        renewal = asyncio.create_task(self._renew_forever())
        try:
            await asyncio.wait({work, renewal}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                await self._stop_lost(work, renewal)
            await work
        except asyncio.CancelledError:
            # Renewed meanwhile, or lost: then the work was told to stop already.
            work.cancel()
            await asyncio.wait({work})
            raise
        finally:
            self._held(holding=False)
            ours = work.done() and not renewal.done()
            await _to_its_end(asyncio.create_task(self._let_go(renewal, ours=ours)))

    async def _let_go(self, renewal: asyncio.Task[None], *, ours: bool) -> None:
        renewal.cancel()
        await asyncio.wait({renewal})
        if ours:
            await self._release()

    async def _stop_lost(self, work: asyncio.Future[None], renewal: asyncio.Task[None]) -> None:
        self._held(holding=False)
        work.cancel()
        left = self._renewed + self._timings.duration - self._clock()
        await asyncio.wait({work}, timeout=max(0.0, left))
        if not work.done():
            _log.error("work did not stop in time after its Lease was lost", lease=self._name)
        elif not work.cancelled() and (error := work.exception()) is not None:
            _log.error("work failed while it was stopped", lease=self._name, error=str(error))
        renewal.result()

    def _held(self, *, holding: bool) -> None:
        if holding != self._holding:
            _log.info(
                "Lease acquired" if holding else "Lease given up", lease=self._name, identity=self._identity
            )
        self._holding = holding
        metrics.LEASE_HELD.labels(self._name).set(int(holding))

    async def _acquire(self) -> None:
        while True:
            try:
                # An answer that comes later says nothing: another may hold the Lease by then.
                async with asyncio.timeout(self._timings.renew_deadline):
                    taken = await self._take()
                if taken and self._in_time():
                    return
            except (Conflict, AlreadyExists):
                _log.debug("another candidate was faster", lease=self._name)
            except (KubeError, TimeoutError) as error:
                failure = str(error) or "no answer"
                _log.warning("cannot acquire the Lease, trying again", lease=self._name, error=failure)
            await asyncio.sleep(self._timings.retry * (1.0 + 0.2 * self._random.random()))

    async def _take(self) -> bool:
        try:
            lease = await self._kube.get(LEASES, self._name, namespace=self._namespace)
        except NotFound:
            await self._create()
            return True
        seen = self._seen = observe(lease, self._clock(), self._seen)
        if not seen.takeable(self._identity, self._clock()):
            return False
        spec = self._record()
        if seen.holder != self._identity:
            spec |= {"acquireTime": spec["renewTime"], "leaseTransitions": seen.transitions + 1}
        await self._write(spec)
        return True

    async def _create(self) -> None:
        spec = self._record()
        spec |= {"acquireTime": spec["renewTime"], "leaseTransitions": 0}
        sent = self._clock()
        lease = await self._kube.create(
            LEASES,
            {
                "apiVersion": LEASES.api_version,
                "kind": LEASES.kind,
                "metadata": {"name": self._name},
                "spec": spec,
            },
            namespace=self._namespace,
        )
        self._seen = observe(lease, sent, None)
        self._renewed = sent

    def _record(self) -> dict[str, Any]:
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": math.ceil(self._timings.duration),
            "renewTime": _micro_time(),
        }

    async def _write(self, spec: dict[str, Any]) -> None:
        if self._seen is None:
            raise AssertionError("a Lease is read before it is written")
        sent = self._clock()
        patch = {"metadata": {"resourceVersion": self._seen.version}, "spec": spec}
        lease = await self._kube.merge_patch(LEASES, self._name, patch, namespace=self._namespace)
        self._seen = observe(lease, sent, None)
        self._renewed = sent

    async def _renew_forever(self) -> None:
        while True:
            await asyncio.sleep(self._timings.retry)
            await self._renew()

    async def _renew(self) -> None:
        """One renewal, tried until it succeeds. Raises LeaseLost at the deadline."""
        deadline = self._renewed + self._timings.renew_deadline
        failure = "this process stood still"
        while (left := deadline - self._clock()) > 0:
            try:
                async with asyncio.timeout(left):
                    return await self._rewrite(self._record())
            except (KubeError, TimeoutError) as error:
                failure = str(error) or "no answer"
                _log.warning("cannot renew the Lease, trying again", lease=self._name, error=failure)
            await asyncio.sleep(min(self._timings.retry, max(0.0, deadline - self._clock())))
        raise LeaseLost(f"Lease {self._name}: not renewed in {self._timings.renew_deadline:g} s: {failure}")

    async def _rewrite(self, spec: dict[str, Any]) -> None:
        """Write ``spec`` into the Lease we hold. Raises LeaseLost where we hold it no more."""
        try:
            await self._write(spec)
        except (Conflict, NotFound):
            # Somebody wrote: another holder, a person, or we ourselves by a request whose answer got lost.
            _log.debug("Lease was changed by another", lease=self._name)
            try:
                lease = await self._kube.get(LEASES, self._name, namespace=self._namespace)
            except NotFound:
                raise LeaseLost(f"Lease {self._name}: was deleted") from None
            seen = observe(lease, self._clock(), None)
            if seen.holder != self._identity:
                raise LeaseLost(f"Lease {self._name}: taken by {seen.holder or 'nobody'}") from None
            self._seen = seen
            await self._write(spec)

    async def _release(self) -> None:
        """Let another take it at once. Best effort: what is not released expires."""
        spec = self._record() | {"holderIdentity": "", "leaseDurationSeconds": 1}
        try:
            async with asyncio.timeout(min(self._timings.renew_deadline, RELEASE_SECONDS)):
                await self._rewrite(spec)
        except (KubeError, LeaseLost, TimeoutError) as error:
            _log.debug("could not release the Lease", lease=self._name, error=str(error))


async def _to_its_end(task: asyncio.Task[None]) -> None:
    """Wait for ``task``, which does not last long; being cancelled meanwhile changes only what is raised."""
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
