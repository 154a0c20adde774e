"""The egress proxy: CONNECT to Talkdesk's own names on port 443, nothing else."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from talkdesk_sandbox.talkdesk.hosts import host

if TYPE_CHECKING:
    from talkdesk_sandbox.talkdesk.ledger import Ledger

_REQUEST_SECONDS = 10.0
_CHUNK = 65536


class ConnectProxy:
    """Listens on 127.0.0.1 and splices allowed tunnels to the TLS listener. Refusals go into the ledger."""

    def __init__(self, *, ledger: Ledger, tls_port: int) -> None:
        self._ledger = ledger
        self._tls_port = tls_port
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self, *, port: int = 0) -> str:
        """Begin to listen; answers the proxy's URL."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        """Stop listening and cut every tunnel."""
        if self._server:
            self._server.close()
        for writer in set(self._open):
            writer.transport.abort()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task:
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        self._open.add(writer)
        try:
            await self._serve(reader, writer)
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
            pass  # the client went away or never said what it wants
        finally:
            self._open.discard(writer)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _REQUEST_SECONDS)
        method, _, rest = head.split(b"\r\n", 1)[0].decode("latin-1").partition(" ")
        target = rest.partition(" ")[0]
        name, _, port = target.rpartition(":")
        if method != "CONNECT" or port != "443" or host(name) is None:
            self._ledger.add("proxy", method=method[:16], url=target[:256], status=403)
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
            return
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._tls_port)
        self._open.add(to_writer)
        try:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await writer.drain()
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(reader, to_writer))
                both.create_task(_pump(to_reader, writer))
        except* OSError:
            pass  # one side was reset: the tunnel is over
        finally:
            self._open.discard(to_writer)
            to_writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until one side ends, then tell the other."""
    while chunk := await reader.read(_CHUNK):
        writer.write(chunk)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()
