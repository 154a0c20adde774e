"""The interceptor leaves no connection behind."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ssl
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from talkdesk_sandbox.certificates import Authority
from talkdesk_sandbox.interceptor import before_kubernetes

if TYPE_CHECKING:
    from pathlib import Path


async def test_who_is_still_shaking_hands_when_it_ends_is_hung_up_on(tmp_path: Path) -> None:
    authority = Authority(tmp_path, name="nobody", now=dt.datetime.now(dt.UTC))
    nowhere: Any = SimpleNamespace(url="https://127.0.0.1:1", ca_file=authority.certificate)
    async with before_kubernetes(nowhere) as between:
        assert between.ca_file is not None
        trust = ssl.create_default_context(cafile=str(between.ca_file))
        address = urlsplit(between.url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
    async with asyncio.timeout(10):
        with contextlib.suppress(OSError):
            await writer.start_tls(trust, server_hostname="127.0.0.1")
            assert await reader.read() == b""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
