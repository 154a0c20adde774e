"""Where the interceptor can stand: before the API server, before Talkdesk, before the webhook."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import functools
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import yaml
from aiohttp import web

from talkdesk_sandbox.certificates import Authority, write_private
from talkdesk_sandbox.interceptor.exchange import Relay, Rule, passing
from talkdesk_sandbox.talkdesk.hosts import certificate_names

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from talkdesk_sandbox.controlplane import ControlPlane
    from talkdesk_sandbox.talkdesk import StandIn

_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10)


@dataclass
class Interceptor:
    """A running one. ``rule`` may be exchanged at any time; ``url`` is where to send requests.

    ``ca_file`` is what its callers must trust (for Talkdesk: the stand-in's authority and its own).
    """

    url: str
    ca_file: Path | None = None
    rule: Rule = passing

    def kubeconfig(self, original: Path) -> Path:
        """A copy of the kubeconfig ``original`` (beside it) that leads through the interceptor."""
        config = yaml.safe_load(original.read_text())
        for entry in config["clusters"]:
            entry["cluster"].pop("certificate-authority-data", None)
            entry["cluster"].update({"server": self.url, "certificate-authority": str(self.ca_file)})
        return write_private(
            original.with_name(f"{original.name}.through-{self.url.rpartition(':')[2]}"),
            yaml.safe_dump(config).encode(),
        )


@contextlib.asynccontextmanager
async def before_kubernetes(control_plane: ControlPlane) -> AsyncIterator[Interceptor]:
    """Between a process with a token and the API server (client certificates do not pass)."""
    with tempfile.TemporaryDirectory() as folder:
        authority, context = _identity(Path(folder), ["127.0.0.1", "localhost"])
        interceptor = Interceptor(url="", ca_file=authority.certificate)
        trust = ssl.create_default_context(cafile=str(control_plane.ca_file))
        async with _session(trust) as session:
            relay = Relay(session=session, rule=lambda: interceptor.rule, upstream=control_plane.url)
            async with _serving(relay, context) as port:
                interceptor.url = f"https://127.0.0.1:{port}"
                yield interceptor


@contextlib.asynccontextmanager
async def before_webhook(target: str) -> AsyncIterator[Interceptor]:
    """Between Talkdesk's deliveries and the webhook; ``target`` is the webhook's base URL, without a path."""
    interceptor = Interceptor(url="")
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
        relay = Relay(session=session, rule=lambda: interceptor.rule, upstream=target)
        async with _serving(relay, None) as port:
            interceptor.url = f"http://127.0.0.1:{port}"
            yield interceptor


@contextlib.asynccontextmanager
async def before_talkdesk(stand_in: StandIn) -> AsyncIterator[Interceptor]:
    """An egress proxy that opens the tunnels: ``url`` and ``ca_file`` are the product's proxy and CA."""
    with tempfile.TemporaryDirectory() as folder:
        authority, context = _identity(Path(folder), certificate_names())
        bundle = write_private(
            Path(folder) / "bundle.pem", stand_in.ca_file.read_bytes() + authority.certificate.read_bytes()
        )
        interceptor = Interceptor(url="", ca_file=bundle)
        trust = ssl.create_default_context(cafile=str(stand_in.ca_file))
        async with _session(trust) as session:
            relay = Relay(session=session, rule=lambda: interceptor.rule, proxy=stand_in.proxy)
            async with _serving(relay, context) as inner, _tunnels(inner) as port:
                interceptor.url = f"http://127.0.0.1:{port}"
                yield interceptor


def _identity(folder: Path, hosts: list[str]) -> tuple[Authority, ssl.SSLContext]:
    authority = Authority(folder, name="interceptor", now=dt.datetime.now(dt.UTC))
    pair = authority.issue("interceptor", common_name="interceptor", hosts=hosts)
    return authority, pair.server_context()


def _session(trust: ssl.SSLContext) -> aiohttp.ClientSession:
    # Many watches pass at once, so that the default of 100 connections would block.
    return aiohttp.ClientSession(
        timeout=_TIMEOUT, connector=aiohttp.TCPConnector(ssl=trust, limit=0), auto_decompress=True
    )


class _Server(web.Server):
    """Hangs up on whoever arrives after its end: who still shook hands then is nobody's to close."""

    _ended = False

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - aiohttp's own
        self._ended = True
        await super().shutdown(timeout)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        if self._ended:
            transport.abort()


@contextlib.asynccontextmanager
async def _serving(relay: Relay, context: ssl.SSLContext | None) -> AsyncIterator[int]:
    request = functools.partial(
        web.BaseRequest, loop=asyncio.get_running_loop(), client_max_size=8 * 1024 * 1024
    )
    server = _Server(relay.handle, request_factory=request, access_log=None)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        port: int = runner.addresses[0][1]
        yield port
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def _tunnels(inner: int) -> AsyncIterator[int]:
    """A CONNECT proxy whose every tunnel ends at the local port ``inner``."""
    running: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a callback of start_server runs as a task
        running.add(task)
        try:
            await _tunnel(reader, writer, inner)
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # one of the two went away, or the interceptor ends
        finally:
            running.discard(task)
            writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        port: int = server.sockets[0].getsockname()[1]
        yield port
    finally:
        server.close()
        for task in set(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, inner: int) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    there_reader, there_writer = await asyncio.open_connection("127.0.0.1", inner)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_pump(reader, there_writer))
            group.create_task(_pump(there_reader, writer))
    except* OSError:
        pass  # cut on one side: the other one is closed below
    finally:
        there_writer.close()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while chunk := await source.read(65536):
        sink.write(chunk)
        await sink.drain()
    if sink.can_write_eof():
        sink.write_eof()
    else:
        sink.close()
