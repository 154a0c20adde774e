"""The listener's end: what is left of connections whose clients do nothing for it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from aiohttp import web
from prometheus_client import CollectorRegistry

from talkdesk_webhook.metrics import Metrics
from talkdesk_webhook.server import Server

#: More than the system holds between two ends of a connection.
ANSWER = b"x" * 16_000_000


async def test_a_client_that_does_not_read_is_cut_off_when_the_server_ends() -> None:
    asked = asyncio.Event()

    async def handle(_: web.BaseRequest) -> web.Response:
        asked.set()
        return web.Response(body=ANSWER)

    server = Server(handle, path="/events", ready=lambda: True, metrics=Metrics(CollectorRegistry()))
    await server.start("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    received = 0
    async with asyncio.timeout(10):
        await asked.wait()
        await server.close(seconds=0.1)
        with suppress(ConnectionError):
            while chunk := await reader.read(65536):
                received += len(chunk)
    assert received < len(ANSWER)
    writer.close()
