"""The gateway as a process: everything put together from settings, and an orderly end on SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web
from prometheus_client import REGISTRY, CollectorRegistry

from talkdesk_client import ClientOptions, Clock, TalkdeskClient, http_client
from talkdesk_gateway import jwks
from talkdesk_gateway.asking import MOST_HEADER_BYTES, AskingServer
from talkdesk_gateway.bar import handler as bar_script
from talkdesk_gateway.caches import Caches
from talkdesk_gateway.decision import Decision
from talkdesk_gateway.directory import WatchedDirectory
from talkdesk_gateway.identity import Identity
from talkdesk_gateway.judge import Judge
from talkdesk_gateway.keys import WatchedKeys
from talkdesk_gateway.lookup import WatchedLookup
from talkdesk_gateway.metrics import Metrics
from talkdesk_gateway.ready import Readiness, Watches
from talkdesk_gateway.relay import Relay
from talkdesk_gateway.sign_out import StoredSignOut
from talkdesk_gateway.signin.edge import Parts
from talkdesk_gateway.signin.talkdesk import TalkdeskSignOn
from talkdesk_gateway.web import sign_in_app
from talkdesk_kube import Kube
from talkdesk_kube.pod import Listener, configure_logging, stop_on_signals

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from talkdesk_gateway.seams import Keys
    from talkdesk_gateway.settings import GatewaySettings

_log = structlog.get_logger("talkdesk_gateway.main")

#: How long requests in flight may take once we end, in seconds: a callback waits for Talkdesk.
_FINISH_SECONDS: Final = 15.0


@dataclass(frozen=True)
class Ports:
    """Where it listens."""

    web: int
    decision: int
    relay: int
    jwks: int
    metrics: int


@dataclass(frozen=True)
class Gateway:
    """A running gateway. ``watching`` ends only where it broke."""

    ports: Ports
    readiness: Readiness
    directory: WatchedDirectory
    watching: asyncio.Task[None]
    asking: AskingServer

    def drain(self) -> None:
        """Say "not ready", and send Envoy's questions to other replicas; everything is still answered."""
        self.readiness.draining = True
        self.asking.draining = True


async def run(settings: GatewaySettings, *, registry: CollectorRegistry = REGISTRY) -> None:
    """Serve until SIGTERM or SIGINT; then not ready for ``drain_seconds``, then finish what is in hand.

    Raises OSError where a port cannot be had, and talkdesk_kube.NoConfiguration.
    """
    configure_logging(level=settings.log_level, format=settings.log_format)
    stop = stop_on_signals()
    async with gateway(settings, registry=registry) as running:
        _log.info("serving", **vars(running.ports))
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({stopped, running.watching}, return_when=asyncio.FIRST_COMPLETED)
        if not stopped.done():
            stopped.cancel()
            running.watching.result()
        running.drain()
        await asyncio.sleep(settings.drain_seconds)
    _log.info("ended")


def _now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def gateway(
    settings: GatewaySettings, *, registry: CollectorRegistry, clock: Callable[[], datetime] = _now
) -> AsyncIterator[Gateway]:
    """A gateway that serves while the context is open; leaving it finishes the requests under way.

    ``clock`` is this machine's, by which everything that is sealed and signed begins and ends.
    """
    namespace, release, address = settings.namespace, settings.release, settings.bind_address
    metrics, options = Metrics(registry), ClientOptions()
    machine = Clock(wall=lambda: clock().timestamp())
    async with AsyncExitStack() as stack:
        kube = await stack.enter_async_context(await Kube.connect(settings))
        http = await stack.enter_async_context(
            http_client(proxy=settings.egress_proxy, ca_file=settings.ca_file)
        )
        client = await stack.enter_async_context(TalkdeskClient(http, options, clock=machine))
        caches = Caches(kube, namespace=namespace, release=release)
        keys = WatchedKeys(kube, namespace=namespace, release=release)
        watches = Watches((*caches.reflectors(), *keys.reflectors), stale=settings.stale_seconds)
        directory = WatchedDirectory(caches, namespace=namespace, fault=watches.fault)
        readiness = Readiness(watches.fault, keys)
        metrics.watch(fresh=lambda: directory.fresh, installations=directory.installations)
        judge = Judge(directory, keys, settings.origin, clock=clock)
        identity = Identity(keys, origin=settings.origin)
        parts = Parts(
            directory=directory,
            keys=keys,
            lookup=WatchedLookup(kube, directory, wait=settings.wait_seconds, clock=clock),
            sign_out=StoredSignOut(kube),
            talkdesk=TalkdeskSignOn(
                kube, client, namespace=settings.credentials_namespace, pkce=options.pkce
            ),
            metrics=metrics,
            origin=settings.origin,
            switch_path=settings.switch_path,
            clock=clock,
        )
        watching = asyncio.create_task(watches.run(), name="watches")
        stack.push_async_callback(_cancelled, watching)
        health = Listener.of_metrics(
            address,
            settings.metrics_port,
            healthy=readiness.healthy,
            ready=readiness.ready,
            registry=registry,
        )
        await stack.enter_async_context(health)
        tenants = Listener(jwks.application(keys), address, settings.jwks_port)
        await stack.enter_async_context(tenants)
        decide = Decision(judge, identity, metrics).answer
        asking = AskingServer(decide, address=address, port=settings.decision_port)
        await asking.start()
        stack.push_async_callback(asking.close)
        pages = await _serve(stack, parts, keys, settings)
        relay = Relay(judge, identity, metrics, address=address, port=settings.relay_port)
        await relay.start()
        stack.push_async_callback(relay.close)
        ports = Ports(pages, asking.port, relay.port, tenants.port, health.port)
        yield Gateway(ports, readiness, directory, watching, asking)


async def _serve(stack: AsyncExitStack, parts: Parts, keys: Keys, settings: GatewaySettings) -> int:
    """Serve the pages until the stack is left; the port."""

    async def key_set(_: web.Request) -> web.Response:
        return jwks.answer(keys)

    app = sign_in_app(
        parts, more=[web.get("/_td/jwks.json", key_set), web.get("/_td/bar.js", bar_script.handle)]
    )
    runner = web.AppRunner(
        app,
        access_log=None,
        handle_signals=False,
        shutdown_timeout=_FINISH_SECONDS,
        max_line_size=MOST_HEADER_BYTES,
        max_field_size=MOST_HEADER_BYTES,
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, settings.bind_address, settings.port).start()
    return int(runner.addresses[0][1])


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
