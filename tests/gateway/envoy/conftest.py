"""A real Envoy with our configuration, between clients and scripted servers that note what they get."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from talkdesk_gateway.envoy import EnvoySettings, write
from talkdesk_sandbox.envoy import EnvoyProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HOST = "acme.apps.localhost"
IDENTITY = {
    "x-td-installation": "inst-1",
    "x-td-account": "acc-1",
    "x-td-user": "user-1",
    "x-td-name": "Ada%20L.",
    "x-td-email": "",
    "x-td-role": "user",
    "x-td-plan": "",
    "x-td-identity": "a.b.c",
}


@dataclass
class Heard:
    """A request as a server got it."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes = b""

    def all(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for key, value in self.headers if key.lower() == name]


class Server:
    """A real server whose answer a test may replace; ``heard`` is what it got."""

    def __init__(self, answer: Handler) -> None:
        self.answer = self._usual = answer
        self.heard: list[Heard] = []
        self.port = 0
        self._runner: web.ServerRunner | None = None

    async def start(self, port: int = 0) -> None:
        """Listen on a loopback port."""
        self._runner = web.ServerRunner(
            web.Server(self._serve, auto_decompress=False, max_field_size=131072), shutdown_timeout=0.1
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port or self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Be gone; connections are cut."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def forget(self) -> None:
        """Answer as usual again."""
        self.answer = self._usual
        self.heard.clear()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.raw_headers]
        self.heard.append(Heard(request.method, request.raw_path, pairs))
        return await self.answer(request)  # type: ignore[arg-type]  # a web.Server's requests have no app


@dataclass
class Edge:
    """Envoy and the four servers behind it."""

    envoy: EnvoyProcess
    decision: Server
    web: Server
    relay: Server
    app: Server
    client: aiohttp.ClientSession
    allowed: dict[str, str] = field(default_factory=dict)

    def url(self, path: str = "/") -> str:
        """At Envoy's public listener."""
        return self.envoy.url(path)

    async def get(self, path: str = "/", **options: Any) -> Answer:
        """GET, read whole, redirects not followed."""
        return await self.request("GET", path, **options)

    async def request(self, method: str, path: str = "/", **options: Any) -> Answer:
        """One request to the tenant's host."""
        headers = [("host", HOST)]
        given = options.pop("headers", {})
        headers += given.items() if isinstance(given, dict) else given
        async with self.client.request(
            method, self.url(path), headers=headers, allow_redirects=False, **options
        ) as response:
            return Answer(response.status, response.headers.copy(), await response.read())

    @staticmethod
    async def eventually(condition: Callable[[], Any], *, within: float = 10.0) -> Any:
        """The first true value of ``condition``. Fails after ``within`` seconds."""
        deadline = asyncio.get_running_loop().time() + within
        while not (value := condition()):
            assert asyncio.get_running_loop().time() < deadline, f"not within {within} s: {condition}"
            await asyncio.sleep(0.002)
        return value

    def to(self, upstream: str, **more: str) -> Handler:
        """A decision that allows, towards ``upstream``."""

        async def allow(_: web.Request) -> web.Response:
            return web.Response(headers={**IDENTITY, "x-td-upstream": upstream, "x-td-bar": "0", **more})

        return allow

    def bar(self, sources: str = "script-src https://cdn.example/bar.js") -> None:
        """From now on the decision wants the bar."""
        self.decision.answer = self.to(
            f"127.0.0.1:{self.app.port}", **{"x-td-bar": "1", "x-td-bar-csp": sources}
        )


@dataclass
class Answer:
    """A response, read."""

    status: int
    headers: Any
    body: bytes

    @property
    def text(self) -> str:
        """As UTF-8."""
        return self.body.decode()


async def _hello(_: web.Request) -> web.StreamResponse:
    return web.Response(text="hello")


@contextlib.contextmanager
def started(folder: Path, servers: dict[str, Server], **changes: Any) -> Iterator[EnvoyProcess]:
    """Envoy from :class:`EnvoySettings` with any free ports, in front of ``servers``."""
    settings = EnvoySettings(
        **{
            "bind_address": "127.0.0.1",
            "port": 0,
            "metrics_port": 0,
            "drain_port": 0,
            "pod_name": f"test-{secrets.token_hex(6)}",
            "gateway_hosts": "127.0.0.1",
            "web_port": servers["web"].port,
            "decision_port": servers["decision"].port,
            "relay_port": servers["relay"].port,
            **changes,
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    write(settings, folder / "envoy.json")
    with EnvoyProcess.start(folder / "envoy.json", folder) as envoy:
        yield envoy


@contextlib.asynccontextmanager
async def edges(folder: Path, **changes: Any) -> AsyncIterator[Edge]:
    """An edge with these settings."""
    servers = {name: Server(_hello) for name in ("decision", "web", "relay", "app")}
    for server in servers.values():
        await server.start()
    try:
        with started(folder, servers, **changes) as envoy:
            async with aiohttp.ClientSession(
                auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar(), timeout=aiohttp.ClientTimeout(30)
            ) as client:
                edge = Edge(envoy=envoy, client=client, **servers)
                servers["decision"].answer = edge.to(f"127.0.0.1:{servers['app'].port}")
                servers["decision"]._usual = servers["decision"].answer
                yield edge
    finally:
        for server in servers.values():
            await server.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_edge(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Edge]:
    """One for all tests of a module."""
    async with edges(tmp_path_factory.mktemp("envoy"), public_port=8443) as edge:
        yield edge


@pytest.fixture
def edge(shared_edge: Edge) -> Edge:
    """The module's, with its servers answering as usual."""
    for server in (shared_edge.decision, shared_edge.web, shared_edge.relay, shared_edge.app):
        server.forget()
    return shared_edge


@pytest.fixture(scope="session")
def server_class() -> type[Server]:
    """For tests that need one server more."""
    return Server


@pytest.fixture(scope="session", name="edges")
def _edges() -> Callable[..., Any]:
    """For modules that need other settings."""
    return edges
