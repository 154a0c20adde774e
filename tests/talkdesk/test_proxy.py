"""The egress proxy lets through Talkdesk's own names on port 443, and nothing else."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest


async def _first_line(proxy: str, request: bytes) -> bytes:
    parts = urlsplit(proxy)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(request)
        return await asyncio.wait_for(reader.readline(), 5)
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    "target",
    [
        "example.com:443",
        "api.talkdeskapp.eu:443",
        "api.eu.talkdesk.localhost:80",
        "api.eu.talkdesk.localhost:8443",
        "api.mars.talkdesk.localhost:443",
        "api.eu.talkdesk.localhost.example.com:443",
        "x.api.eu.talkdesk.localhost:443",
        "a.b.id.eu.talkdesk.localhost:443",
        "id.eu.talkdesk.localhost:443",
        "127.0.0.1:443",
        "localhost:443",
        "[::1]:443",
    ],
)
async def test_a_foreign_name_or_port_is_refused_and_noted(desk: Any, target: str) -> None:
    line = await _first_line(desk.proxy, f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    assert line.split()[1] == b"403"
    (entry,) = desk.ledger("proxy")
    assert (entry["method"], entry["url"], entry["status"]) == ("CONNECT", target, 403)


async def test_plain_requests_are_refused(desk: Any) -> None:
    line = await _first_line(desk.proxy, b"GET http://api.eu.talkdesk.localhost/account HTTP/1.1\r\n\r\n")
    assert line.split()[1] == b"403"


async def test_noise_and_silence_do_not_disturb_others(desk: Any) -> None:
    parts = urlsplit(desk.proxy)
    _, silent = await asyncio.open_connection(parts.hostname, parts.port)
    _, cut = await asyncio.open_connection(parts.hostname, parts.port)
    cut.write(b"CONN")
    cut.close()
    await cut.wait_closed()
    _, huge = await asyncio.open_connection(parts.hostname, parts.port)
    huge.write(b"x" * 100_000)
    response = await desk.http.get("https://api.us.talkdesk.localhost/account")
    assert response.status_code == 401
    for writer in (silent, huge):
        writer.transport.abort()


async def test_allowed_tunnels_are_not_noted(desk: Any) -> None:
    await desk.http.get("https://acme.id.eu.talkdesk.localhost/oauth/certs")
    assert desk.ledger("proxy") == []


async def test_a_client_that_does_not_know_the_private_ca_is_not_served(desk: Any) -> None:
    async with httpx.AsyncClient(proxy=desk.proxy, trust_env=False) as stranger:
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await stranger.get("https://api.eu.talkdesk.localhost/account")


@pytest.mark.parametrize("host", ["api.us", "api.eu", "api.ca", "some-account.id.ca"])
async def test_every_region_has_a_valid_certificate(desk: Any, host: str) -> None:
    response = await desk.http.get(f"https://{host}.talkdesk.localhost/nothing")
    assert response.status_code == 404
