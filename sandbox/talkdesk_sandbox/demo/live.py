"""What goes on for long: a clock by WebSocket, a feed of events, large transfers."""

from __future__ import annotations

import asyncio
import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aiohttp import WSMsgType, web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DEFAULT_BYTES = 200 * 1024 * 1024
_MOST_BYTES = 2 * 1024 * 1024 * 1024
_CHUNK = bytes(range(256)) * 256
_TYPES = frozenset({"application/octet-stream", "text/html"})


def _number(request: web.Request, name: str, default: float, *, low: float, high: float) -> float:
    try:
        value = float(request.query.get(name, default))
    except ValueError:
        raise web.HTTPBadRequest(text=f"{name} is no number\n") from None
    if not low <= value <= high:
        raise web.HTTPBadRequest(text=f"{name} must be from {low:g} to {high:g}\n")
    return value


async def _ticks(ending: asyncio.Event, every: float) -> AsyncIterator[str]:
    """The time, again and again, until ``ending``."""
    while not ending.is_set():
        yield datetime.now(UTC).isoformat(timespec="milliseconds")
        try:
            async with asyncio.timeout(every):
                await ending.wait()
        except TimeoutError:
            continue


class Live:
    """Its handlers end when ``ending`` is set."""

    def __init__(self, ending: asyncio.Event) -> None:
        self._ending = ending

    async def clock(self, request: web.Request) -> web.WebSocketResponse:
        """A WebSocket that says the time every ``every`` (1) seconds, and repeats what it is told."""
        every = _number(request, "every", 1, low=0.01, high=60)
        socket = web.WebSocketResponse(heartbeat=20)
        await socket.prepare(request)

        async def say() -> None:
            async for now in _ticks(self._ending, every):
                await socket.send_str(json.dumps({"now": now}))
            await socket.close(code=1001, message=b"the app ends")

        saying = asyncio.create_task(say())
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await socket.send_str(json.dumps({"echo": message.data}))
        finally:
            saying.cancel()
            await asyncio.gather(saying, return_exceptions=True)
        return socket

    async def feed(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events: ``{"number", "now"}`` every ``every`` (1) seconds."""
        every = _number(request, "every", 1, low=0.01, high=60)
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await response.prepare(request)
        number = 0
        async for now in _ticks(self._ending, every):
            number += 1
            event = json.dumps({"number": number, "now": now})
            await response.write(f"id: {number}\ndata: {event}\n\n".encode())
        return response

    async def download(self, request: web.Request) -> web.StreamResponse:
        """``bytes`` (200 MB) bytes of a known pattern, as ``type`` (application/octet-stream, text/html)."""
        left = int(_number(request, "bytes", DEFAULT_BYTES, low=0, high=_MOST_BYTES))
        kind = request.query.get("type", "application/octet-stream")
        if kind not in _TYPES:
            raise web.HTTPBadRequest(text=f"type must be one of {', '.join(sorted(_TYPES))}\n")
        response = web.StreamResponse(headers={"Content-Type": kind})
        response.content_length = left
        await response.prepare(request)
        while left > 0:
            await response.write(_CHUNK[:left])
            left -= len(_CHUNK)
        return response

    async def upload(self, request: web.Request) -> web.Response:
        """Takes a body of any length, and says ``{"bytes", "sha256"}`` of it."""
        digest, length = hashlib.sha256(), 0
        async for chunk in request.content.iter_any():
            digest.update(chunk)
            length += len(chunk)
        return web.json_response({"bytes": length, "sha256": digest.hexdigest()})
