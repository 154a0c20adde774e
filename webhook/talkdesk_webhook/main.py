"""The webhook as a process: everything put together from settings, and an orderly end on SIGTERM."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog
from prometheus_client import REGISTRY, CollectorRegistry

from talkdesk_client import TalkdeskClient, http_client
from talkdesk_kube import EventRecorder, Kube, Timeouts
from talkdesk_kube.pod import Listener, configure_logging, stop_on_signals
from talkdesk_webhook.gateways import fetch_with, key_options
from talkdesk_webhook.keys import KeyCache, KeyLimits
from talkdesk_webhook.metrics import Metrics
from talkdesk_webhook.readiness import Readiness
from talkdesk_webhook.receiver import Home, Limits, Receiver
from talkdesk_webhook.server import Server
from talkdesk_webhook.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from talkdesk_webhook.settings import WebhookSettings

_log = structlog.get_logger("talkdesk_webhook.main")


@dataclass(frozen=True)
class Webhook:
    """A running webhook: the ports it listens on, and its readiness."""

    port: int
    metrics_port: int
    readiness: Readiness
    server: Server

    def drain(self) -> None:
        """Say "not ready", and let every answer end its connection; deliveries are still taken."""
        self.readiness.draining = True
        self.server.last_requests()


async def run(settings: WebhookSettings, *, registry: CollectorRegistry = REGISTRY) -> None:
    """Serve until SIGTERM or SIGINT; then not ready for ``drain_seconds``, then finish what is in hand.

    Raises OSError where a port cannot be had, and talkdesk_kube.NoConfiguration.
    """
    configure_logging(level=settings.log_level, format=settings.log_format)
    stop = stop_on_signals()
    async with webhook(settings, registry=registry) as running:
        _log.info("serving", port=running.port, metrics_port=running.metrics_port)
        await stop.wait()
        running.drain()
        await asyncio.sleep(settings.drain_seconds)
    _log.info("ended")


@asynccontextmanager
async def webhook(settings: WebhookSettings, *, registry: CollectorRegistry) -> AsyncIterator[Webhook]:
    """A webhook that serves while the context is open; leaving it finishes the requests under way."""
    budget = settings.store_budget_seconds
    metrics = Metrics(registry)
    async with AsyncExitStack() as stack:
        # A third of the budget each, so that one request that hangs leaves time to try again.
        timeouts = Timeouts(connect=budget / 3, request=budget / 3)
        kube = await stack.enter_async_context(await Kube.connect(settings, timeouts=timeouts))
        http = await stack.enter_async_context(
            http_client(proxy=settings.egress_proxy, ca_file=settings.ca_file, timeout=budget / 3)
        )
        client = TalkdeskClient(http, key_options(budget=budget))
        recorder = await stack.enter_async_context(
            EventRecorder(kube, "webhook", settings.namespace, instance=settings.pod_name)
        )
        keys = KeyCache(
            gateways=settings.gateways,
            fetch=fetch_with(client, metrics),
            clock=lambda: datetime.now(UTC),
            monotonic=time.monotonic,
            # A known key is used without its renewal while most of a request's time is left for storing.
            limits=KeyLimits(renewal_wait=budget / 8),
            point65=settings.point65_curve,
        )
        stack.push_async_callback(keys.close)
        receiver = Receiver(
            limits=Limits(
                max_body_bytes=settings.max_body_bytes,
                max_inflight_bytes=settings.max_inflight_bytes,
                read_seconds=settings.read_seconds,
                budget=budget,
            ),
            keys=keys,
            hash_name=settings.signature_hash,
            store=Store(
                kube=kube,
                namespace=settings.namespace,
                release=settings.release,
                credentials_namespace=settings.credentials_namespace,
                metrics=metrics,
            ),
            recorder=recorder,
            home=Home(namespace=settings.namespace, pod=settings.pod_name),
            metrics=metrics,
        )
        readiness = await stack.enter_async_context(Readiness(kube, namespace=settings.namespace))
        listener = await stack.enter_async_context(
            Listener.of_metrics(settings.bind_address, settings.metrics_port, registry=registry)
        )
        server = Server(receiver.handle, path=settings.path, ready=readiness.ready, metrics=metrics)
        await server.start(settings.bind_address, settings.port)
        stack.push_async_callback(server.close, seconds=settings.read_seconds + budget)
        yield Webhook(port=server.port, metrics_port=listener.port, readiness=readiness, server=server)
