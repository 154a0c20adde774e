"""What becomes of the connections to a ClusterIP whose Services change, without a cluster."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest

from talkdesk_sandbox.controlplane.network import ADVERTISED_ADDRESS, Network
from talkdesk_sandbox.node.services import ServiceProxy
from talkdesk_sandbox.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from conftest import Until
    from talkdesk_kube.reflector import Reflector

Obj = dict[str, Any]
HOST = "127.0.0.1"


@dataclass
class Shown:
    """Objects as a watch shows them: one after the other, or several at once where the reader was slow."""

    store: dict[tuple[str, str], Obj] = field(default_factory=dict)
    synced: asyncio.Event = field(default_factory=asyncio.Event)
    told: list[Callable[..., None]] = field(default_factory=list)

    def subscribe(self, tell: Callable[..., None]) -> None:
        self.told.append(tell)

    def show(self, *objects: Obj) -> None:
        """From now on these are all."""
        self.store = {(one["metadata"]["namespace"], one["metadata"]["name"]): one for one in objects}
        for tell in self.told:
            tell(None, None, None)


def service(tenant: str, port: int) -> Obj:
    return {
        "metadata": {"namespace": tenant, "name": "demo", "uid": f"uid of {tenant}"},
        "spec": {"clusterIP": HOST, "ports": [{"name": "http", "port": port}]},
    }


def endpoints(tenant: str, port: int) -> Obj:
    labels = {"kubernetes.io/service-name": "demo"}
    return {
        "metadata": {"namespace": tenant, "name": "demo-1", "labels": labels},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": port}],
        "endpoints": [{"addresses": [ADVERTISED_ADDRESS]}],
    }


@contextlib.asynccontextmanager
async def app(name: bytes) -> AsyncIterator[int]:
    """Says its name for each byte it reads; yields its port."""
    served = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.current_task())
        with contextlib.suppress(ConnectionError):
            while await reader.read(1):
                writer.write(name)
        writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
    await asyncio.gather(*filter(None, served))


@contextlib.asynccontextmanager
async def proxied(services: Shown, slices: Shown) -> AsyncIterator[None]:
    proxy = ServiceProxy(
        cast("Reflector", services),
        cast("Reflector", slices),
        Network.of_block(200),
        lambda *said: pytest.fail(f"{said}"),
    )
    running = asyncio.create_task(proxy.run())
    services.synced.set()
    slices.synced.set()
    yield
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


@dataclass
class Line:
    """A connection to an address."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def answer(self) -> bytes | None:
        """Who answers on it; None: it was cut."""
        try:
            self.writer.write(b"?")
            return await self.reader.readexactly(4)
        except (OSError, asyncio.IncompleteReadError):
            return None


@contextlib.asynccontextmanager
async def line(port: int) -> AsyncIterator[Line]:
    """Raises ConnectionError."""
    opened = Line(*await asyncio.open_connection(HOST, port))
    yield opened
    opened.writer.close()
    with contextlib.suppress(OSError):
        await opened.writer.wait_closed()


async def who(port: int) -> bytes | None:
    """Answers a new connection; None: nobody (yet)."""
    try:
        async with line(port) as opened:
            return await opened.answer()
    except ConnectionError:
        return None


async def is_(seen: Awaitable[bytes | None], name: bytes | None) -> bool:
    return await seen == name


@pytest.mark.parametrize("at_once", [False, True], ids=["before it has endpoints", "with its endpoints"])
async def test_a_service_that_takes_a_freed_address_takes_over_no_connection(
    until: Until, at_once: bool
) -> None:
    port, services, slices = free_port(), Shown(), Shown()
    async with app(b"acme") as acme, app(b"bolt") as bolt, proxied(services, slices):
        services.show(service("acme", port))
        slices.show(endpoints("acme", acme))
        await until(lambda: is_(who(port), b"acme"))
        async with line(port) as standing:
            assert await standing.answer() == b"acme"
            # The one is gone and the other there before this node has looked.
            services.show(service("bolt", port))
            slices.show(*([endpoints("bolt", bolt)] if at_once else []))
            await until(lambda: is_(standing.answer(), None))
        slices.show(endpoints("bolt", bolt))
        await until(lambda: is_(who(port), b"bolt"))


async def test_a_connection_outlives_the_endpoints_of_its_service(until: Until) -> None:
    port, services, slices = free_port(), Shown(), Shown()
    async with app(b"acme") as acme, proxied(services, slices):
        services.show(service("acme", port))
        slices.show(endpoints("acme", acme))
        await until(lambda: is_(who(port), b"acme"))
        async with line(port) as standing:
            assert await standing.answer() == b"acme"
            slices.show()
            await until(lambda: is_(who(port), None))
            assert await standing.answer() == b"acme"
