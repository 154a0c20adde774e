"""How Envoy's questions arrive: HTTP/1.1 without bodies, answered at once.

Every request of every tenant costs one question, so this is where the gateway's speed is decided: half of
what aiohttp's server does (a task for each connection, a request and a response object, a stream for the
body) serves nothing here. Its parser reads, for strictness; the answer is one write.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpRequestParser
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import EMPTY_PAYLOAD

from talkdesk_gateway.answers import Answer, header_lines

if TYPE_CHECKING:
    from multidict import CIMultiDictProxy

#: Envoy lets 60 KiB of headers in; ours must never be the first to say that they are too long.
MOST_HEADER_BYTES: Final = 131072
#: How long answers may take to be taken once we end, in seconds.
_LAST_SECONDS: Final = 1.0

#: ``(method, path, headers)`` → what is answered.
Respond = Callable[[str, str, "CIMultiDictProxy[str]"], Answer]

_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}
_BAD: Final = Answer(400, {"content-type": "text/plain"}, b"not a question\n")

_log = structlog.get_logger("talkdesk_gateway.asking")


class AskingServer:
    """Answers questions by ``respond`` between :meth:`start` and :meth:`close`.

    :ivar connections: those that are open; ``quiet`` is set while there are none.
    :ivar draining: every answer ends its connection, so that Envoy asks another replica.
    """

    def __init__(self, respond: Respond, *, address: str, port: int) -> None:
        self.port = port
        self.draining = False
        self.connections: set[_Connection] = set()
        self.quiet = asyncio.Event()
        self.quiet.set()
        self._respond = respond
        self._address = address
        self._socket: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen. Raises OSError where that cannot be done."""
        loop = asyncio.get_running_loop()
        self._socket = await loop.create_server(
            lambda: _Connection(self, self._respond, loop), self._address, self.port, backlog=1024
        )
        self.port = int(self._socket.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Accept nothing more and end. A question is answered as it arrives: none is ever in hand."""
        if self._socket is None:
            return
        self._socket.close()
        for connection in tuple(self.connections):
            connection.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_SECONDS):
                await self.quiet.wait()
        await self._socket.wait_closed()


class _Connection(BaseProtocol):
    """One of Envoy's connections; it asks one question at a time."""

    def __init__(self, server: AskingServer, respond: Respond, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._server = server
        self._respond = respond
        self._questions = HttpRequestParser(
            self,
            loop,
            65536,
            max_line_size=MOST_HEADER_BYTES,
            max_field_size=MOST_HEADER_BYTES,
            max_headers=256,
            auto_decompress=False,
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of the protocol."""
        super().connection_made(transport)
        self._server.connections.add(self)
        self._server.quiet.clear()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Part of the protocol."""
        super().connection_lost(exc)
        self._server.connections.discard(self)
        if not self._server.connections:
            self._server.quiet.set()

    def data_received(self, data: bytes) -> None:
        """Part of the protocol."""
        try:
            messages, upgraded, _ = self._questions.feed_data(data)
            for message, body in messages:
                bodiless = body is EMPTY_PAYLOAD and not message.upgrade and not upgraded
                answer = self._respond(message.method, message.path, message.headers) if bodiless else _BAD
                self._write(answer, head=message.method == "HEAD", last=message.should_close or not bodiless)
        except HttpProcessingError:
            self._write(_BAD, head=False, last=True)
        except Exception:  # noqa: BLE001 -- one fault must not end the server; Envoy has a page for no answer
            _log.exception("fault")
            self.close()

    def close(self) -> None:
        """End, once everything is written."""
        if self.transport is not None:
            self.transport.close()

    def _write(self, answer: Answer, *, head: bool, last: bool) -> None:
        if self.transport is None:
            return
        last = last or self._server.draining
        self.transport.write(written(answer, head=head, last=last))
        if last:
            self.close()


def written(answer: Answer, *, head: bool = False, last: bool = False) -> bytes:
    """``answer`` as HTTP/1.1 has it. Raises ValueError where a header holds a line break. Pure."""
    return b"".join(
        (
            _first_line(answer.status),
            answer.lines,
            header_lines(answer.headers),
            _last_lines(len(answer.body), last),
            b"" if head else answer.body,
        )
    )


@lru_cache(maxsize=64)
def _first_line(status: int) -> bytes:
    return f"HTTP/1.1 {status} {_PHRASES.get(status, '')}\r\n".encode()


@lru_cache(maxsize=64)
def _last_lines(length: int, last: bool) -> bytes:
    end = "connection: close\r\n\r\n" if last else "\r\n"
    return f"content-length: {length}\r\n{end}".encode()
