"""The operator's process: what is built from what, started, and ended in order."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from prometheus_client import REGISTRY

from talkdesk_client import ClientOptions, TalkdeskClient, http_client
from talkdesk_kube import Kube, Timeouts
from talkdesk_kube.events import EventRecorder
from talkdesk_kube.lease import Lease, LeaseLost, LeaseTimings
from talkdesk_kube.pod import Listener, configure_logging, stop_on_signals
from talkdesk_operator.assembly import (
    Parts,
    apps,
    endings,
    gateway_keys,
    mailer,
    now,
    revocation_desk,
    sweeper,
    tenants,
)
from talkdesk_operator.cache import Caches
from talkdesk_operator.directory import Directory
from talkdesk_operator.fleet import Fleet
from talkdesk_operator.health import Health
from talkdesk_operator.kopf_edge import KopfEdge
from talkdesk_operator.mail.desk import MailDesk, Policy
from talkdesk_operator.memory import Memory
from talkdesk_operator.metrics import Metrics
from talkdesk_operator.probe import Prober
from talkdesk_operator.queue import Backoff, WorkQueue
from talkdesk_operator.revision_store import RevisionStore
from talkdesk_operator.slices import SliceStore
from talkdesk_operator.tenant import Release
from talkdesk_operator.urgent import UrgentRevoker
from talkdesk_operator.wake import Waker
from talkdesk_operator.workers import Workers

if TYPE_CHECKING:
    from talkdesk_operator.keys import Key, MailKey, RevokeKey
    from talkdesk_operator.settings import OperatorSettings

_log = structlog.get_logger(__name__)

#: How long giving the Lease back may take.
_RELEASE_SECONDS = 5.0
#: The longest pause between two attempts to send a mail.
_MAIL_PAUSE_SECONDS = 1800.0


async def run(settings: OperatorSettings) -> None:
    """Run until SIGTERM. SystemExit(1) where the Lease is lost: the pod starts anew, as a candidate."""
    configure_logging(level=settings.log_level, format=settings.log_format)
    try:
        await operate(settings, stop=stop_on_signals())
    except LeaseLost as lost:
        _log.warning("the workers were stopped, this process ends", reason=str(lost))
        raise SystemExit(1) from None


async def operate(settings: OperatorSettings, *, stop: asyncio.Event) -> None:
    """Run until ``stop`` is set."""
    release = Release(
        namespace=settings.namespace,
        name=settings.release,
        service_account=settings.service_account or f"{settings.release}-operator",
        tenant_cluster_role=settings.tenant_cluster_role,
        public_scheme=settings.public_scheme,
        public_port=settings.public_port,
    )
    async with contextlib.AsyncExitStack() as stack:
        kube = await stack.enter_async_context(
            await Kube.connect(settings, connections=128, timeouts=_timeouts(settings))
        )
        http = await stack.enter_async_context(
            http_client(proxy=settings.egress_proxy, ca_file=settings.ca_file)
        )
        client = await stack.enter_async_context(TalkdeskClient(http, ClientOptions()))
        recorder = await stack.enter_async_context(
            EventRecorder(kube, "operator", settings.namespace, instance=settings.pod_name)
        )
        caches = Caches(kube, release)
        memory, metrics = Memory(), Metrics()
        directory = Directory(caches, release)
        queue: WorkQueue[Key] = WorkQueue(observe=metrics.passed)
        urgent: WorkQueue[RevokeKey] = WorkQueue(observe=metrics.passed)
        pauses = Backoff(first=settings.mail_retry_seconds, most=_MAIL_PAUSE_SECONDS)
        mails: WorkQueue[MailKey] = WorkQueue(backoff=pauses, observe=metrics.passed)
        prober = Prober(caches, every=settings.probe_seconds, monotonic=time.monotonic)
        stack.push_async_callback(prober.aclose)
        slices = SliceStore(kube, caches)
        parts = Parts(
            settings=settings,
            release=release,
            kube=kube,
            client=client,
            recorder=recorder,
            caches=caches,
            directory=directory,
            memory=memory,
            metrics=metrics,
            prober=prober,
            revisions=RevisionStore(kube, caches, release),
            wake=queue.add,
            slices=slices,
            revocations=revocation_desk(kube, caches, slices, settings),
            mails=MailDesk(
                kube,
                caches,
                memory,
                Policy(configured=settings.mails, patience=timedelta(seconds=settings.mail_seconds)),
                wake=mails.add,
                clock=now,
            ),
        )
        waker = Waker(
            queue,
            urgent,
            mails=mails,
            caches=caches,
            directory=directory,
            memory=memory,
            namespace=settings.namespace,
        )
        reconciler = tenants(parts)
        workers = Workers(
            queue,
            urgent,
            mails,
            tenants=reconciler,
            apps=apps(parts, told=waker.tenant),
            sweeper=sweeper(parts),
            keys=gateway_keys(parts),
            revoker=UrgentRevoker(
                caches, directory, parts.revocations, reconciler.end, namespace=settings.namespace
            ),
            mailer=mailer(parts),
            settings=settings,
        )
        waker.subscribe()
        loop = asyncio.get_running_loop()
        edge = KopfEdge(
            namespace=settings.namespace,
            settings=settings,
            wake=lambda *seen: loop.call_soon_threadsafe(waker.outside, *seen),
        )
        health = Health(
            caches=caches,
            edge=edge,
            stale=settings.stale_seconds,
            monotonic=time.monotonic,
            started=time.monotonic(),
        )
        edge.start()
        stack.push_async_callback(edge.stop)
        await stack.enter_async_context(
            Listener.of_metrics(
                settings.bind_address, settings.metrics_port, healthy=health.healthy, ready=health.ready
            )
        )
        lease = Lease(
            kube,
            f"{settings.release}-operator",
            settings.namespace,
            settings.pod_name,
            LeaseTimings(settings.lease_seconds, settings.lease_renew_seconds, settings.lease_retry_seconds),
        )

        async def led() -> None:
            await caches.synced()
            waker.everything()
            # Until then the watches fill it, and no worker empties it: what waits tells nothing.
            metrics.watch(queue)
            fleet = Fleet(caches, memory, endings(parts), time.monotonic)
            REGISTRY.register(fleet)
            try:
                await workers.run()
            finally:
                REGISTRY.unregister(fleet)

        watching = asyncio.create_task(caches.run())
        leading = asyncio.create_task(lease.run(led))
        await _until_stopped(stop, watching, leading, workers, health)


def _timeouts(settings: OperatorSettings) -> Timeouts:
    return replace(Timeouts(), silence=settings.watch_silence_seconds)


async def _until_stopped(
    stop: asyncio.Event,
    watching: asyncio.Task[None],
    leading: asyncio.Task[None],
    workers: Workers,
    health: Health,
) -> None:
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({watching, leading, stopping}, return_when=asyncio.FIRST_COMPLETED)
        health.stopping = True
        if stopping.done():
            _log.info("stopping: passes in hand are finished first")
            if await workers.drain():
                # With the work done the Lease is released; cancelled now, it would be left to expire.
                await asyncio.wait({leading}, timeout=_RELEASE_SECONDS)
        for ended in (leading, watching):
            if ended.done():
                ended.result()
    finally:
        health.stopping = True
        for task in (leading, watching, stopping):
            task.cancel()
        await asyncio.wait({leading, watching, stopping})
