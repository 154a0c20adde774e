"""A request's body, within bounds: its size, the bytes all requests hold together, the time it takes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

import aiohttp
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from prometheus_client import Gauge


class RefusedError(Exception):
    """The request is answered with ``status`` and goes no further.

    ``reason`` is a constant, ``detail`` is for the log alone.
    """

    def __init__(
        self, status: int, reason: str, headers: Mapping[str, str] | None = None, *, detail: str = ""
    ) -> None:
        super().__init__(status, reason)
        self.detail = detail
        self.status = status
        self.reason = reason
        self.headers = dict(headers or {})


#: What a 503 asks for; Talkdesk's own schedule (5, then 10 minutes) is longer.
RETRY_AFTER = {"Retry-After": "10"}


class InFlight:
    """The bytes of bodies that are held at once, at most ``limit``."""

    def __init__(self, limit: int, gauge: Gauge) -> None:
        self._limit = limit
        self._gauge = gauge
        self._held = 0

    def share(self) -> Share:
        """A request's share: empty at first, given back on leaving the context."""
        return Share(self)

    def take(self, count: int) -> bool:
        """Hold ``count`` more bytes; False (and nothing held) where that is too much."""
        if self._held + count > self._limit:
            return False
        self._held += count
        self._gauge.set(self._held)
        return True

    def give(self, count: int) -> None:
        """No longer hold ``count`` bytes."""
        self._held -= count
        self._gauge.set(self._held)


class Share:
    """What one request holds of an InFlight."""

    def __init__(self, inflight: InFlight) -> None:
        self._inflight = inflight
        self._held = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inflight.give(self._held)
        self._held = 0

    def grow_to(self, count: int) -> None:
        """Hold ``count`` bytes in all. Raises RefusedError (503)."""
        if count <= self._held:
            return
        if not self._inflight.take(count - self._held):
            raise RefusedError(503, "too-many-bytes-in-flight", RETRY_AFTER)
        self._held = count


async def read_body(request: web.BaseRequest, share: Share, *, max_bytes: int, seconds: float) -> bytes:
    """The raw body. Raises RefusedError: 413 too large, 503 too much at once, 408 too slow, 400 cut short.

    A declared length may be refused at once, but only what has come is counted: announcing costs nothing.
    """
    declared = request.content_length
    if declared is not None and declared > max_bytes:
        raise RefusedError(413, "too-large")
    await _continue(request)
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.content.iter_any():
                if len(body) + len(chunk) > max_bytes:
                    raise RefusedError(413, "too-large")
                share.grow_to(len(body) + len(chunk))
                body += chunk
    except TimeoutError:
        raise RefusedError(408, "body-too-slow") from None
    except (web.RequestPayloadError, aiohttp.ClientError, ConnectionError):
        raise RefusedError(400, "body-cut-short") from None
    return bytes(body)


async def _continue(request: web.BaseRequest) -> None:
    """Ask for the body where the client waits to be asked."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # aiohttp takes anything written for the beginning of the answer
