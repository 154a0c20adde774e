"""The listener: connections, the few paths there are, and an orderly end.

aiohttp's low-level server is used as it is: three fixed paths need no router, and nothing is read of a
request that its own handler does not ask for.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

if TYPE_CHECKING:
    from talkdesk_webhook.metrics import Metrics

#: From connecting to the end of the first request's headers, in seconds.
HEADER_SECONDS: Final = 10.0
#: How long an idle connection is kept, longer than the usual load balancers keep theirs, in seconds.
KEEPALIVE_SECONDS: Final = 75.0
#: How long a refused body is still read, so that its sender gets to see the answer, in seconds.
LINGER_SECONDS: Final = 1.0
#: How long connections may take to be gone once they were cut off, in seconds.
GONE_SECONDS: Final = 1.0

Handle = Callable[[web.BaseRequest], Awaitable[web.Response]]

_log = structlog.get_logger("talkdesk_webhook.server")


class Server:
    """Serves ``path`` by ``handle``, and ``/healthz`` and ``/readyz``."""

    def __init__(
        self,
        handle: Handle,
        *,
        path: str,
        ready: Callable[[], bool],
        metrics: Metrics,
        header_seconds: float = HEADER_SECONDS,
    ) -> None:
        self._handle = handle
        self._path = path
        self._ready = ready
        self._metrics = metrics
        self._header_seconds = header_seconds
        self._closing = False
        self._in_use: set[web.RequestHandler] = set()
        #: Of connections that were asked something; aiohttp forgets those it closes before they have ended.
        self._transports: WeakSet[asyncio.Transport] = WeakSet()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._timers: dict[web.RequestHandler, asyncio.TimerHandle] = {}
        self._http: web.Server | None = None
        self._socket: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        if self._socket is None:
            raise RuntimeError("the server has not been started")
        return int(self._socket.sockets[0].getsockname()[1])

    async def start(self, host: str, port: int) -> None:
        """Listen. Raises OSError where that cannot be done."""
        self._http = web.Server(
            self._route,
            access_log=None,
            logger=_OneLine(self._metrics),
            keepalive_timeout=KEEPALIVE_SECONDS,
            lingering_time=LINGER_SECONDS,
            # The signature is over the bytes as they were sent.
            auto_decompress=False,
        )
        self._socket = await asyncio.get_running_loop().create_server(
            self._connection, host, port, backlog=512
        )

    async def close(self, *, seconds: float) -> None:
        """Accept nothing more, finish what is under way (for at most ``seconds``), and end."""
        if self._socket is None or self._http is None:
            return
        self._closing = True
        self._socket.close()
        for connection in self._http.connections:
            # aiohttp drops what still arrives on a closed connection, so those in use are left alone.
            if connection not in self._in_use:
                connection.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._quiet.wait()
        await self._http.shutdown(LINGER_SECONDS)
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        # Closed by now, but a client that does not read its answers would keep a connection open.
        for transport in tuple(self._transports):
            transport.abort()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GONE_SECONDS):
                await self._socket.wait_closed()

    def last_requests(self) -> None:
        """From now on every answer ends its connection, so that clients come back to another replica."""
        self._closing = True

    def _connection(self) -> asyncio.Protocol:
        if self._http is None:
            raise RuntimeError("the server has not been started")
        connection = self._http()
        # aiohttp bounds the idle time between requests, but not how slowly the first one's headers may come.
        self._timers[connection] = asyncio.get_running_loop().call_later(
            self._header_seconds, self._too_slow, connection
        )
        return connection

    def _too_slow(self, connection: web.RequestHandler) -> None:
        del self._timers[connection]
        connection.force_close()

    async def _route(self, request: web.BaseRequest) -> web.Response:
        if (timer := self._timers.pop(request.protocol, None)) is not None:
            timer.cancel()
        if request.transport is not None:
            self._transports.add(request.transport)
        self._in_use.add(request.protocol)
        self._quiet.clear()
        try:
            answer = await self._answer(request)
        finally:
            self._in_use.discard(request.protocol)
            if not self._in_use:
                self._quiet.set()
        if self._closing:
            answer.force_close()
        return answer

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        path = request.path
        if path == self._path:
            return await self._handle(request)
        if path in {"/healthz", "/readyz"} and request.method in {"GET", "HEAD"}:
            well = path == "/healthz" or self._ready()
            return web.Response(status=200 if well else 503, text="ok" if well else "not ready")
        self._metrics.refused("path")
        _log.warning("request refused", status=404, reason="path", remote=request.remote)
        return web.json_response({"error": "path"}, status=404)


class _OneLine(logging.LoggerAdapter[logging.Logger]):
    """aiohttp's own complaints, about what is no HTTP for instance, in one line and without a stack."""

    def __init__(self, metrics: Metrics) -> None:
        super().__init__(logging.getLogger("talkdesk_webhook.http"), {})
        self._metrics = metrics

    def exception(self, msg: object, *args: object, exc_info: Any = True, **_: Any) -> None:
        """Log ``exc_info``'s type, counting what was malformed."""
        error = type(exc_info).__name__ if isinstance(exc_info, BaseException) else "unknown"
        if isinstance(exc_info, HttpProcessingError):
            self._metrics.refused("malformed-http")
            _log.warning("request refused", status=400, reason="malformed-http", error=error)
        else:
            _log.error("fault", error=error, message=str(msg) % args if args else str(msg))
