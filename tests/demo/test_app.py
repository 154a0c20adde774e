"""The demo workload as its pod sees it: settings, sample data, health and draining."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import TYPE_CHECKING

import aiohttp
import pytest

from talkdesk_sandbox.demo.account import Account, read_record
from talkdesk_sandbox.demo.sample import day_of
from talkdesk_sandbox.demo.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path


def test_an_account_that_is_not_mounted_or_broken_is_nobody(tmp_path: Path) -> None:
    assert read_record(None) == {}
    assert read_record(tmp_path / "none") == {}
    broken = tmp_path / "account.json"
    broken.write_text("[1]")
    assert read_record(broken) == {}
    assert Account.of({}).title == "nobody yet"
    assert Account.of({"account": "odd", "links": None}) == Account()


def test_sample_data_is_the_same_for_an_account_each_time_and_differs_between_two() -> None:
    assert day_of("a") == day_of("a")
    assert day_of("a") != day_of("b")
    for account in map(str, range(50)):
        day = day_of(account)
        assert 80 <= day.answered <= 100
        assert 70 <= day.satisfied <= 100
        assert [call.at for call in day.calls] == sorted((call.at for call in day.calls), reverse=True)


def test_the_bind_address_comes_before_the_pods_and_both_before_all() -> None:
    assert Settings.of({"BIND_ADDRESS": "127.0.0.2", "POD_IP": "127.0.0.3"}).address == "127.0.0.2"
    assert Settings.of({"POD_IP": "127.0.0.3"}).address == "127.0.0.3"
    assert Settings.of({}).address == "0.0.0.0"  # noqa: S104 - a container's default
    with pytest.raises(ValueError, match="eighty"):
        Settings.of({"PORT": "eighty"})


async def until(look: Callable[[], Awaitable[int]], expected: int) -> None:
    while await look() != expected:  # noqa: ASYNC110 - another process's state; bounded by the caller
        await asyncio.sleep(0.02)


@pytest.mark.processes
async def test_after_sigterm_it_says_not_ready_and_still_answers(tmp_path: Path) -> None:
    account = tmp_path / "account.json"
    account.write_text(json.dumps({"account": {"name": "Acme"}}))
    server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    env = {
        **os.environ,
        "POD_IP": "127.0.0.1",
        "PORT": str(port),
        "ACCOUNT_FILE": str(account),
        "DRAIN_SECONDS": "1",
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "talkdesk_sandbox.demo", env=env)
    base = f"http://127.0.0.1:{port}"

    async def health(http: aiohttp.ClientSession) -> int:
        try:
            async with http.get(f"{base}/healthz") as answer:
                return answer.status
        except aiohttp.ClientConnectorError:
            return 0

    try:
        async with aiohttp.ClientSession() as http, asyncio.timeout(20):
            await until(lambda: health(http), 200)
            process.send_signal(signal.SIGTERM)
            await until(lambda: health(http), 503)
            async with http.get(f"{base}/about") as answer:
                assert "Hello, Acme" in await answer.text()
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.processes
async def test_an_address_that_cannot_be_had_is_one_line_and_exit_code_2() -> None:
    env = {**os.environ, "BIND_ADDRESS": "192.0.2.1"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "talkdesk_sandbox.demo", env=env, stderr=asyncio.subprocess.PIPE
    )
    _, text = await process.communicate()
    assert process.returncode == 2
    assert text.decode().startswith("the demo app cannot start:")
    assert text.count(b"\n") == 1
