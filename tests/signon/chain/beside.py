"""Gateways of a test's own: their clocks and their line to Kubernetes can be meddled with."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from chain.customers import PATIENCE
from talkdesk_gateway.envoy import EnvoySettings, config
from talkdesk_gateway.main import Gateway, gateway
from talkdesk_gateway.settings import GatewaySettings
from talkdesk_sandbox.envoy import EnvoyProcess
from talkdesk_sandbox.interceptor import Cut, before_kubernetes
from talkdesk_sandbox.ports import free_port
from talkdesk_sandbox.story.observe import NotYet, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import web

    from chain.people import Person
    from chain.world import World
    from talkdesk_sandbox.interceptor import Exchange


class Cable:
    """Between a gateway and Kubernetes: once pulled nothing passes, and what passed is cut."""

    def __init__(self) -> None:
        self._pulled = False
        self._passing: set[asyncio.Task[Any]] = set()

    def pull(self) -> None:
        """From now on Kubernetes does not answer."""
        self._pulled = True
        for task in self._passing:
            task.cancel()

    def plug(self) -> None:
        """It answers again."""
        self._pulled = False

    async def __call__(self, exchange: Exchange) -> web.StreamResponse:
        """The interceptor's rule."""
        task = asyncio.current_task()
        if self._pulled or task is None:
            raise Cut
        self._passing.add(task)
        try:
            return await exchange.forward()
        finally:
            self._passing.discard(task)


@dataclass
class Beside:
    """Gateways of the test's own beside the chart's, under the same account, behind an Envoy of their own.

    ``cable`` is between them and Kubernetes; ``since_heard`` seconds are added to how long they have not
    heard of it.
    """

    world: World
    port: int
    cable: Cable
    metrics: str
    since_heard: float = 0.0

    def take(self, *people: Person) -> None:
        """These browsers come by this Envoy from now on."""
        for person in people:
            person.transport.through = self.port

    async def asked(self, path: str) -> tuple[int, str]:
        """Of the first gateway's port for kubelet and Prometheus."""
        async with self.world.raw.get(f"{self.metrics}{path}") as answer:
            return answer.status, await answer.text()


@contextlib.asynccontextmanager
async def gateways_beside(
    world: World, folder: Path, *, skews: tuple[float, ...] = (0.0,), stale: float = 300.0
) -> AsyncIterator[Beside]:
    """See Beside; one gateway for each of ``skews``, by whose clock it is so many seconds later."""
    environment, cable = world.environment, Cable()
    ports = {
        name: free_port() for name in ("port", "decision_port", "relay_port", "jwks_port", "metrics_port")
    }
    hosts = [f"127.0.0.{number}" for number in range(2, 2 + len(skews))]
    async with contextlib.AsyncExitStack() as stack:
        between = await stack.enter_async_context(before_kubernetes(environment.control_plane))
        between.rule = cable
        told = await asyncio.to_thread(environment.release.settings, "gateway")
        values: dict[str, Any] = {
            name.removeprefix("TALKDESK_").lower(): value for name, value in told.items()
        }
        values["kubeconfig"] = str(between.kubeconfig(Path(values["kubeconfig"])))
        public: dict[str, Any] = {"public_scheme": "http", "public_port": environment.edge.port}
        outside = {"egress_proxy": environment.stand_in.proxy, "ca_file": environment.stand_in.ca_file}
        envoy = EnvoySettings(
            bind_address="127.0.0.1", port=0, metrics_port=0, drain_port=0, admin_port=free_port(),
            gateway_hosts=",".join(hosts), web_port=ports["port"], decision_port=ports["decision_port"],
            relay_port=ports["relay_port"], **public,
        )  # fmt: skip
        running = EnvoyProcess.start(config(envoy), folder)
        process = await asyncio.to_thread(running.__enter__)
        stack.push_async_callback(asyncio.to_thread, running.__exit__, None, None, None)
        metrics = f"http://{hosts[0]}:{ports['metrics_port']}"
        beside = Beside(world, process.ports["public"], cable, metrics)
        for host, skew in zip(hosts, skews, strict=True):
            own = {"bind_address": host, "stale_seconds": stale}
            settings = GatewaySettings(**(values | ports | public | outside | own))

            def clock(skew: float = skew) -> datetime:
                return datetime.now(UTC) + timedelta(seconds=skew)

            it = await stack.enter_async_context(gateway(settings, registry=CollectorRegistry(), clock=clock))

            async def ready(it: Gateway = it) -> None:
                if (missing := it.readiness.ready()) is not None:
                    raise NotYet(missing)

            await eventually(ready, within=PATIENCE)
            fault: Any = it.readiness.fault
            for reflector in fault.__self__.reflectors:
                reflector._clock = lambda: time.monotonic() + beside.since_heard
        yield beside
