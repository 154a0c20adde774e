"""Answers that come late, and in another order than they were asked for."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_SECONDS = 15.0


@dataclass
class Held:
    """An answer that has arrived here, and that the browser has not got yet."""

    request_line: str
    head: str
    _go: asyncio.Event = field(default_factory=asyncio.Event)

    def let_go(self) -> None:
        """The browser gets it now."""
        self._go.set()

    def sets(self, name: str) -> str:
        """The value that the answer gives the cookie ``name``, "" where it gives none."""
        found = (line.partition(":") for line in self.head.split("\r\n"))
        cookies = (value.strip() for header, _, value in found if header.lower() == "set-cookie")
        values = (cookie.partition(";")[0].partition("=") for cookie in cookies)
        return next((value for one, _, value in values if one == name), "")


class Delaying:
    """A proxy that hands bytes on unchanged, and holds the answers that ``holds`` says of (by request line).

    Of every connection one request is served.
    """

    def __init__(self, upstream: int) -> None:
        self.port = 0
        self.holds: Callable[[str], bool] = lambda _: False
        self._upstream = upstream
        self._held: list[Held] = []
        self._changed = asyncio.Event()

    async def held(self, number: int) -> list[Held]:
        """The answers that are held, once there are ``number`` of them, by request line."""
        async with asyncio.timeout(_SECONDS):
            while len(self._held) < number:
                self._changed.clear()
                await self._changed.wait()
        assert len(self._held) == number
        return sorted(self._held, key=lambda one: one.request_line)

    def let_go(self) -> None:
        """Hold nothing any more."""
        self.holds = lambda _: False
        for one in self._held:
            one.let_go()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a browser's."""
        with contextlib.closing(writer):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            length = int(httpx.Headers(_fields(head)).get("content-length", 0))
            body = await reader.readexactly(length)
            line, _, rest = head.partition("\r\n")
            kept = [one for one in rest.split("\r\n") if not one.lower().startswith("connection:")]
            asked = "\r\n".join([line, "Connection: close", *kept]).encode("latin-1") + body
            answer = await self._asked(asked)
            if self.holds(line):  # the test says when it goes on
                held = Held(line, answer.partition(b"\r\n\r\n")[0].decode("latin-1"))
                self._held.append(held)
                self._changed.set()
                await held._go.wait()
            writer.write(answer)
            await writer.drain()

    async def _asked(self, request: bytes) -> bytes:
        """The whole answer, to the end of the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        with contextlib.closing(writer):
            writer.write(request)
            return await reader.read()


def _fields(head: str) -> list[tuple[str, str]]:
    lines = (line.partition(":") for line in head.split("\r\n")[1:] if line)
    return [(name, value.strip()) for name, _, value in lines]


@contextlib.asynccontextmanager
async def delaying(upstream: int) -> AsyncIterator[Delaying]:
    """A proxy before ``127.0.0.1:upstream`` while the block runs."""
    proxy = Delaying(upstream)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    async with server:
        try:
            yield proxy
        finally:
            proxy.let_go()  # a test that failed has left some behind, and the server waits for them
