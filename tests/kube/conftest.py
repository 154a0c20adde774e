"""An API server that says what a test tells it to, a relay to the real one that can be cut, patience."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from yarl import URL

from talkdesk_kube import Kube, KubeSettings, Timeouts
from talkdesk_kube.connection import Connection
from talkdesk_kube.resources import ROLE_BINDINGS, ROLES

if TYPE_CHECKING:
    from pathlib import Path

    from talkdesk_sandbox.controlplane import ControlPlane

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Eventually = Callable[..., Awaitable[None]]
Connect = Callable[..., Awaitable[Kube]]


def write_kubeconfig(path: Path, server: str, *, user: dict[str, Any] | None = None) -> Path:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": user or {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(json.dumps(document))
    return path


@pytest.fixture
def grant(kube: Kube, namespace: str) -> Callable[..., Awaitable[None]]:
    """``await grant(account, rule)``: a ServiceAccount of the namespace may do there what the rule says."""

    async def to(account: str, rule: dict[str, Any]) -> None:
        role = {"metadata": {"name": account}, "rules": [rule]}
        await kube.create(ROLES, role, namespace=namespace)
        binding = {
            "metadata": {"name": account},
            "roleRef": {"apiGroup": ROLES.group, "kind": "Role", "name": account},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
        }
        await kube.create(ROLE_BINDINGS, binding, namespace=namespace)

    return to


@pytest.fixture
def eventually() -> Eventually:
    """``await eventually(condition)``: until it holds, at most 10 s. The condition may be a coroutine."""

    async def wait(condition: Callable[[], bool | Awaitable[bool]], seconds: float = 10.0) -> None:
        deadline = time.monotonic() + seconds
        while True:
            held = condition()
            if held if isinstance(held, bool) else await held:
                return
            assert time.monotonic() < deadline, "the condition did not come to hold"
            await asyncio.sleep(0.01)

    return wait


@asynccontextmanager
async def _served(handler: Handler) -> AsyncIterator[str]:
    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest_asyncio.fixture
async def answering(tmp_path: Path) -> AsyncIterator[Connect]:
    """``await answering(handler)``: a Kube whose API server is ``handler``."""
    async with AsyncExitStack() as stack:

        async def connect(
            handler: Handler, *, user: dict[str, Any] | None = None, timeouts: Timeouts | None = None
        ) -> Kube:
            server = await stack.enter_async_context(_served(handler))
            settings = KubeSettings(kubeconfig=write_kubeconfig(tmp_path / "kubeconfig", server, user=user))
            return await stack.enter_async_context(await Kube.connect(settings, timeouts=timeouts))

        yield connect


class Relay:
    """Passes requests on to the real API server, as administrator, until it is told otherwise.

    ``down``: every connection is reset, running watches too. ``rewrite``: changes a request's query.
    ``stalled``: watches show nothing any more. ``requests``: method and path of what came.
    """

    def __init__(self, connection: Connection) -> None:
        self.down = False
        self.stalled = False
        self.rewrite: Callable[[dict[str, str]], dict[str, str]] = dict
        self.requests: list[tuple[str, str]] = []
        self.kubeconfig: Path
        self._connection = connection
        self._open: list[web.Request] = []

    def cut(self) -> None:
        """Reset what is open, once."""
        for request in tuple(self._open):
            if request.transport is not None:
                request.transport.abort()

    def go_down(self) -> None:
        """Reset what is open and what comes, until ``down`` is False again."""
        self.down = True
        self.cut()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        watching = request.query.get("watch") == "true"
        self.requests.append(("WATCH" if watching else request.method, request.path))
        self._open.append(request)
        try:
            if self.down and request.transport is not None:
                request.transport.abort()
            return await self._pass_on(request, watching=watching)
        finally:
            self._open.remove(request)

    async def _pass_on(self, request: web.Request, *, watching: bool) -> web.StreamResponse:
        url = URL(f"{self._connection.base}{request.raw_path.partition('?')[0]}", encoded=True)
        headers = {"Accept": "application/json"}
        if request.can_read_body:
            headers["Content-Type"] = request.headers["Content-Type"]
        answer = await self._connection.send(
            request.method,
            url.with_query(self.rewrite(dict(request.query))),
            headers=headers,
            data=await request.read() or None,
            limits=aiohttp.ClientTimeout(),
        )
        async with answer:
            response = web.StreamResponse(
                status=answer.status, headers={"Content-Type": answer.headers["Content-Type"]}
            )
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                if watching and self.stalled:
                    continue
                await response.write(chunk)
            return response


@pytest_asyncio.fixture
async def relay(control_plane: ControlPlane, tmp_path: Path) -> AsyncIterator[Relay]:
    """A relay to the real API server; its ``kubeconfig`` leads through it."""
    connection = await Connection.open(
        KubeSettings(kubeconfig=control_plane.kubeconfig), timeouts=Timeouts(), limit=100
    )
    passing = Relay(connection)
    try:
        async with _served(passing.handle) as server:
            passing.kubeconfig = write_kubeconfig(tmp_path / "relay.kubeconfig", server)
            yield passing
    finally:
        await connection.close()
