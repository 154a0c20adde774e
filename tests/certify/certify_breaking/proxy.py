"""A forward proxy of the browser's: a rule may answer instead of the app, or change what it answers."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

_HOP = frozenset(
    {"connection", "proxy-connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade",
     "content-length", "content-encoding"}
)  # fmt: skip


@dataclass
class Asked:
    """A request of the browser's; ``host`` without a port."""

    method: str
    url: str
    headers: CIMultiDict[str]

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def opens_page(self) -> bool:
        """Whether a tab shows the answer."""
        return self.headers.get("Sec-Fetch-Dest") == "document"

    @property
    def in_background(self) -> bool:
        """Whether a script asks."""
        return self.headers.get("Sec-Fetch-Dest") == "empty"


@dataclass
class Answer:
    """An answer, whole and uncompressed."""

    status: int = 200
    headers: CIMultiDict[str] = field(default_factory=CIMultiDict)
    body: bytes = b""

    @property
    def is_page(self) -> bool:
        return self.headers.get("Content-Type", "").startswith("text/html")

    def replace(self, old: str, new: str) -> Answer:
        """The body with ``old``, which must be in it, replaced. Raises AssertionError."""
        assert old.encode() in self.body, f"{old!r} is not in the answer"
        return Answer(self.status, self.headers, self.body.replace(old.encode(), new.encode()))


def page(text: str, *, status: int = 200) -> Answer:
    """A page of the proxy's own."""
    return Answer(status, CIMultiDict({"Content-Type": "text/html; charset=utf-8"}), text.encode())


def leads_to(url: str) -> Answer:
    """A redirect."""
    return Answer(302, CIMultiDict({"Location": url}))


class Rule:
    """What changes nothing; those that break something override one of the two."""

    def instead(self, asked: Asked) -> Answer | None:  # noqa: ARG002 - for those that override it
        """The answer, where the app is not even asked."""
        return None

    def changed(self, asked: Asked, answer: Answer) -> Answer:  # noqa: ARG002 - the same
        """What the browser gets for ``answer``."""
        return answer


@contextlib.asynccontextmanager
async def proxying(rule: Rule) -> AsyncIterator[str]:
    """The URL of a proxy under ``rule``. Every host is this machine."""
    everywhere = aiohttp.TCPConnector(resolver=_ThisMachine(), limit=0)
    async with aiohttp.ClientSession(
        connector=everywhere,
        timeout=aiohttp.ClientTimeout(total=None),
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),  # each browser has its own
    ) as http:
        server = web.Server(_handler(rule, http), access_log=None)
        loop = asyncio.get_running_loop()
        inner = await loop.create_server(server, "127.0.0.1", 0)
        async with inner, _tunnels(inner.sockets[0].getsockname()[1]) as port:
            try:
                yield f"http://127.0.0.1:{port}"
            finally:
                await server.shutdown(0.1)


class _ThisMachine(aiohttp.abc.AbstractResolver):
    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[aiohttp.abc.ResolveResult]:
        return [
            {"hostname": host, "host": "127.0.0.1", "port": port, "family": family, "proto": 0, "flags": 0}
        ]

    async def close(self) -> None: ...


def _handler(rule: Rule, http: aiohttp.ClientSession) -> Handler:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        url = request.path_qs if "://" in request.path_qs else str(request.url)
        kept = CIMultiDict((k, v) for k, v in request.headers.items() if k.lower() not in _HOP)
        asked = Asked(request.method, url, kept)
        if (instead := rule.instead(asked)) is not None:
            return web.Response(status=instead.status, headers=instead.headers, body=instead.body)
        body = await request.read()
        kept.popall("Accept-Encoding", None)
        async with http.request(
            request.method, url, headers=kept, data=body or None, allow_redirects=False
        ) as there:
            headers = CIMultiDict((k, v) for k, v in there.headers.items() if k.lower() not in _HOP)
            if headers.get("Content-Type", "").startswith("text/event-stream"):
                return await _stream(request, there, headers)
            answer = rule.changed(asked, Answer(there.status, headers, await there.read()))
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)

    return handle


async def _stream(
    request: web.BaseRequest, there: aiohttp.ClientResponse, headers: CIMultiDict[str]
) -> web.StreamResponse:
    stream = web.StreamResponse(status=there.status, headers=headers)
    await stream.prepare(request)
    with contextlib.suppress(OSError, aiohttp.ClientError):
        async for chunk in there.content.iter_any():
            await stream.write(chunk)
    return stream


@contextlib.asynccontextmanager
async def _tunnels(inner: int) -> AsyncIterator[int]:
    """Requests go to the port ``inner``; a CONNECT, as for WebSockets, is a tunnel to its host on "
    "this machine."""
    running: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            port = inner
            if head.startswith(b"CONNECT "):
                port = int(head.split(b" ")[1].rpartition(b":")[2])
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                head = b""
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
            there_writer.write(head)
            await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # one of the two went away, or the proxy ends
        finally:
            running.discard(task)
            writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in set(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while chunk := await source.read(65536):
            sink.write(chunk)
            await sink.drain()
    finally:
        sink.close()
