"""The webhook as its own process: settings from the environment, and an orderly end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import pytest_asyncio

from talkdesk_kube.pod import SettingsError, read_settings
from talkdesk_sandbox.plain import plain
from talkdesk_sandbox.ports import free_port
from talkdesk_webhook.settings import WebhookSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

REQUIRED = {
    "TALKDESK_NAMESPACE": "td",
    "TALKDESK_RELEASE": "td",
    "TALKDESK_CREDENTIALS_NAMESPACE": "td-credentials",
    "TALKDESK_GATEWAYS": "https://api.us.example/, https://api.eu.example,https://api.us.example",
}


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (REQUIRED | {"TALKDESK_DRAIN_SECONDS": "0.5", "TALKDESK_CA_FILE": ""}).items():
        monkeypatch.setenv(name, value)
    settings = read_settings(WebhookSettings)
    assert settings.gateways == ("https://api.us.example", "https://api.eu.example")
    assert (settings.port, settings.path, settings.drain_seconds) == (8080, "/events", 0.5)
    assert (settings.max_body_bytes, settings.signature_hash) == (1048576, "sha512")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TALKDESK_GATEWAYS", ""),
        ("TALKDESK_GATEWAYS", "http://api.us.example"),
        ("TALKDESK_GATEWAYS", "api.us.example"),
        ("TALKDESK_GATEWAYS", "https://api.us.example,https://"),
        ("TALKDESK_GATEWAYS", "https://api.us.example?x=1"),
        ("TALKDESK_GATEWAYS", "https://user:word@api.us.example"),
        ("TALKDESK_MAX_BODY_BYTES", "2000000"),
        ("TALKDESK_MAX_INFLIGHT_BYTES", "10"),
        ("TALKDESK_SIGNATURE_HASH", "md5"),
        ("TALKDESK_POINT65_CURVE", "p384"),
        ("TALKDESK_PATH", "/readyz"),
        ("TALKDESK_PATH", "events"),
        ("TALKDESK_STORE_BUDGET_SECONDS", "0"),
        ("TALKDESK_DRAIN_SECONDS", "-1"),
    ],
)
def test_unusable_settings_name_their_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    for key, given in (REQUIRED | {name: value}).items():
        monkeypatch.setenv(key, given)
    with pytest.raises(SettingsError, match=name):
        read_settings(WebhookSettings)


class Process:
    """``talkdesk-operator webhook`` as a child; what it logs is read all the time."""

    def __init__(self, child: asyncio.subprocess.Process, port: int) -> None:
        self.child = child
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.log: list[dict[str, Any]] = []
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.child.stderr is not None
        async for line in self.child.stderr:
            self.log.append(json.loads(line))


@pytest_asyncio.fixture
async def process(counting_api: Any, gateway: Any, tmp_path: Path) -> AsyncIterator[Process]:
    port = free_port()
    environment = REQUIRED | {
        "TALKDESK_GATEWAYS": gateway.url,
        "TALKDESK_CA_FILE": str(gateway.ca_file),
        "TALKDESK_KUBECONFIG": str(counting_api.kubeconfig),
        "TALKDESK_BIND_ADDRESS": "127.0.0.1",
        "TALKDESK_PORT": str(port),
        "TALKDESK_METRICS_PORT": "0",
        "TALKDESK_DRAIN_SECONDS": "0.4",
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
    }
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from talkdesk_cli.main import app; app()", "webhook",
        env=environment, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    started = Process(child, port)
    yield started
    if child.returncode is None:
        child.kill()
        await child.wait()
    await started.reading


@pytest.mark.processes
async def test_sigterm_makes_it_unready_finishes_what_is_in_hand_and_ends_well(
    process: Process, eventually: Any, signers: Any
) -> None:
    async with plain(timeout=10) as http:

        async def ready(expected: int) -> bool:
            assert process.child.returncode is None, process.log
            try:
                return (await http.get(f"{process.url}/readyz")).status_code == expected
            except httpx.ConnectError:
                return False

        await eventually(lambda: ready(200))
        # A delivery is half sent when the signal comes, and another one is sent while it drains.
        body = b"no JSON"
        head = (
            f"POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
            f"X-Hub-Ecdsa-Signature: {signers['p256'].sign(body)}\r\nX-Hub-Ecdsa-Signature-Id: k1\r\n\r\n"
        ).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", process.port)
        writer.write(head + body[:2])
        await writer.drain()
        process.child.send_signal(signal.SIGTERM)
        await eventually(lambda: ready(503))
        late = await http.post(f"{process.url}/events", content=b"{}")
        assert (late.status_code, late.headers["Connection"]) == (401, "close")

        async def closed() -> bool:
            try:
                (await asyncio.open_connection("127.0.0.1", process.port))[1].close()
            except ConnectionError:  # refused; or reset, where the listener was closed over it
                return True
            return False

        await eventually(closed)
        writer.write(body[2:])
        async with asyncio.timeout(10):
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert answer.endswith(b'{"result": "unusable"}')
            assert await process.child.wait() == 0
        writer.close()
        await process.reading
    assert [line["event"] for line in process.log][-1] == "ended"
    assert all(line["level"] != "error" for line in process.log)
    (told,) = [line for line in process.log if line["event"] == "unusable event"]
    assert told["reason"] == "not-json"
