"""The small HTTP port of every process: ``/metrics``, and on demand ``/healthz`` and ``/readyz``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Self

from aiohttp import web
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.exposition import choose_encoder

if TYPE_CHECKING:
    from types import TracebackType

#: What is wrong, in one line; None where nothing is.
Check = Callable[[], str | None]
Handler = Callable[[web.Request], Awaitable[web.Response]]


def add_health(app: web.Application, *, healthy: Check, ready: Check) -> None:
    """Serve ``/healthz`` and ``/readyz``: 200 ``ok``, or 503 with what is wrong as text."""

    app.router.add_get("/healthz", _asking(healthy))
    app.router.add_get("/readyz", _asking(ready))


def _asking(check: Check) -> Handler:
    async def handler(_: web.Request) -> web.Response:
        fault = check()
        return web.Response(text=f"{fault or 'ok'}\n", status=503 if fault else 200)

    return handler


def add_metrics(app: web.Application, *, registry: CollectorRegistry = REGISTRY) -> None:
    """Serve ``/metrics`` in the exposition format the scraper asks for."""

    async def handler(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})

    app.router.add_get("/metrics", handler)


class Listener:
    """Serves an application while it is open: ``async with Listener(app, address, port) as listener``.

    :param port: 0: any free one; :attr:`port` says which.
    :param shutdown_seconds: how long requests in flight may take once it is closed.
    Raises OSError where the address cannot be bound.
    """

    def __init__(
        self, app: web.Application, address: str, port: int, *, shutdown_seconds: float = 1.0
    ) -> None:
        self.port = port
        self._address = address
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, shutdown_timeout=shutdown_seconds
        )

    @classmethod
    def of_metrics(
        cls,
        address: str,
        port: int,
        *,
        healthy: Check | None = None,
        ready: Check | None = None,
        registry: CollectorRegistry = REGISTRY,
    ) -> Self:
        """A listener with ``/metrics`` and, given both checks, ``/healthz`` and ``/readyz``."""
        app = web.Application()
        add_metrics(app, registry=registry)
        if healthy is not None and ready is not None:
            add_health(app, healthy=healthy, ready=ready)
        return cls(app, address, port)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, self._address, self.port).start()
        self.port = int(self._runner.addresses[0][1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()
