"""What bad input gets: over real HTTP, with a real key server; an API server counts what reaches it."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import pytest_asyncio
import structlog

from talkdesk_webhook import main as main_module
from talkdesk_webhook.keys import KeyLimits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


@dataclass
class Site:
    """A running webhook, the API server behind it, and its log."""

    deliveries: Any
    api: Any
    log: list[dict[str, Any]]

    async def refused(self, answer: httpx.Response, *, status: int, reason: str) -> None:
        """One answer, one log line with the reason, a metric, and nothing that reached the API server."""
        assert (answer.status_code, answer.json()) == (status, {"error": reason})
        assert self.refusals() == [(status, reason)]
        assert await self.deliveries.metric("talkdesk_webhook_refusals_total", reason=reason) == 1
        self.nothing_written()

    def refusals(self) -> list[tuple[int, str]]:
        return [(line["status"], line["reason"]) for line in self.log if line["event"] == "request refused"]

    def nothing_written(self) -> None:
        """No write, and no stack trace either."""
        assert self.api.asked == []
        assert not any("exc_info" in line or "exception" in line for line in self.log)


@pytest.fixture
def log() -> Iterator[list[dict[str, Any]]]:
    with structlog.testing.capture_logs() as lines:
        yield lines


@pytest_asyncio.fixture
async def site(start_webhook: Any, counting_api: Any, log: list[dict[str, Any]]) -> Site:
    started = await start_webhook(counting_api.kubeconfig, max_body_bytes=4096, read_seconds=0.3)
    await started.running.readiness.reached()
    return Site(started, counting_api, log)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"X-Hub-Ecdsa-Signature": ""}, "unsigned"),
        ({"X-Hub-Ecdsa-Signature-Id": ""}, "unsigned"),
        ({"X-Hub-Ecdsa-Signature": "zz"}, "wrong-signature"),
        ({"X-Hub-Ecdsa-Signature": "30" * 4000}, "wrong-signature"),
        ({"X-Hub-Ecdsa-Signature-Id": "k2"}, "unknown-key-id"),
        ({"X-Hub-Ecdsa-Signature-Id": "../../apps"}, "malformed-key-id"),
    ],
)
async def test_a_bad_signature_gets_401_and_writes_nothing(
    site: Site, make_event: Any, headers: Any, reason: str
) -> None:
    answer = await site.deliveries.send(make_event("app.installed"), headers=headers)
    await site.refused(answer, status=401, reason=reason)


async def test_a_missing_header_gets_401_before_the_body_is_read(site: Site) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1024
            await asyncio.sleep(0)

    try:
        answer = await site.deliveries.http.post(f"{site.deliveries.url}/events", content=endless())
    except httpx.TransportError:
        # The connection was closed under the sender, who may then not get to see the answer.
        assert site.refusals() == [(401, "unsigned")]
        site.nothing_written()
    else:
        await site.refused(answer, status=401, reason="unsigned")


async def test_two_signatures_get_401(site: Site) -> None:
    body = b"{}"
    headers = [
        ("X-Hub-Ecdsa-Signature", site.deliveries.signer.sign(body)),
        ("X-Hub-Ecdsa-Signature", "00"),
        ("X-Hub-Ecdsa-Signature-Id", "k1"),
    ]
    answer = await site.deliveries.http.post(f"{site.deliveries.url}/events", content=body, headers=headers)
    await site.refused(answer, status=401, reason="several-signatures")


async def test_the_signature_of_another_body_gets_401(site: Site, make_event: Any) -> None:
    other = site.deliveries.signer.sign(json.dumps(make_event("app.installed")).encode())
    answer = await site.deliveries.send(make_event("app.installed"), signature=other)
    await site.refused(answer, status=401, reason="wrong-signature")


async def test_a_truncated_body_gets_401(site: Site, make_event: Any) -> None:
    whole = json.dumps(make_event("app.installed")).encode()
    answer = await site.deliveries.send(whole[:-1], signature=site.deliveries.signer.sign(whole))
    await site.refused(answer, status=401, reason="wrong-signature")


async def test_the_signature_of_a_stranger_gets_401(site: Site, signers: Any, make_event: Any) -> None:
    body = json.dumps(make_event("app.installed")).encode()
    answer = await site.deliveries.send(body, signature=signers["p521"].sign(body))
    await site.refused(answer, status=401, reason="wrong-signature")


async def test_an_expired_key_gets_401(site: Site, gateway: Any, signers: Any, make_event: Any) -> None:
    gateway.publish("old", signers["p256"], expires_at="2020-01-01T00:00:00Z")
    answer = await site.deliveries.send(make_event("app.installed"), key_id="old")
    await site.refused(answer, status=401, reason="expired-key")


async def test_keys_that_cannot_be_had_get_503_and_heal(site: Site, gateway: Any, make_event: Any) -> None:
    gateway.status = 500
    answer = await site.deliveries.send(make_event("app.installed"))
    assert answer.headers["Retry-After"] == "10"
    await site.refused(answer, status=503, reason="key-unreachable")
    (line,) = [line for line in site.log if line["log_level"] != "debug"]
    assert gateway.url in line["detail"]
    gateway.status = 200
    assert (await site.deliveries.send(make_event("app.installed"), signature="00")).status_code == 401


async def test_a_key_nobody_can_read_gets_503(site: Site, gateway: Any, make_event: Any) -> None:
    gateway.keys["odd"] = {"public_key": "AAAA", "key_id": "odd"}
    answer = await site.deliveries.send(make_event("app.installed"), key_id="odd")
    await site.refused(answer, status=503, reason="unreadable-key")


@pytest.fixture
def few_look_ups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds that requests one after another reach on a machine of any speed."""
    monkeypatch.setattr(main_module, "KeyLimits", partial(KeyLimits, burst=20, per_second=1.0))


@pytest.mark.usefixtures("few_look_ups")
async def test_random_key_ids_are_not_passed_on_to_talkdesk_for_ever(
    site: Site, gateway: Any, make_event: Any
) -> None:
    body = make_event("app.installed")
    answers = [await site.deliveries.send(body, key_id=f"random-{number}") for number in range(60)]
    assert {answer.status_code for answer in answers} == {401, 503}
    assert len(gateway.asked) < 40
    site.nothing_written()


async def test_deliveries_are_taken_by_a_known_key_while_all_gateways_accept_and_never_answer(
    start_webhook: Any, counting_api: Any, gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every use renews the key, and the look-up, a third of the budget for each gateway, outlasts the budget.
    monkeypatch.setattr(main_module, "KeyLimits", partial(KeyLimits, refresh=0.0, unknown=0.0))
    with ExitStack() as stack:
        holes = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        others = [f"https://127.0.0.1:{hole.getsockname()[1]}" for hole in holes]
        deliveries = await start_webhook(
            counting_api.kubeconfig, gateways=(gateway.url, *others), store_budget_seconds=3.0
        )
        assert (await deliveries.send(b"{}")).json() == {"result": "unusable"}
        gateway.hangs = asyncio.Event()
        for _ in range(3):
            answer = await deliveries.send(b"{}")
            assert (answer.status_code, answer.json()) == (200, {"result": "unusable"})
        assert len(gateway.asked) > 1, "the key was to be renewed"


async def test_a_body_declared_too_large_gets_413_unread(site: Site) -> None:
    answer = await site.deliveries.send(b"x" * 4097)
    await site.refused(answer, status=413, reason="too-large")


async def test_a_chunked_body_that_grows_too_large_gets_413(site: Site) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"x" * 1024

    headers = {"X-Hub-Ecdsa-Signature": "00", "X-Hub-Ecdsa-Signature-Id": "k1"}
    answer = await site.deliveries.http.post(
        f"{site.deliveries.url}/events", content=chunks(), headers=headers
    )
    await site.refused(answer, status=413, reason="too-large")


async def test_a_packed_body_gets_415(site: Site) -> None:
    answer = await site.deliveries.send(b"{}", headers={"Content-Encoding": "gzip"})
    await site.refused(answer, status=415, reason="content-encoding")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_other_methods_get_405(site: Site, method: str) -> None:
    answer = await site.deliveries.http.request(method, f"{site.deliveries.url}/events")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"
    site.nothing_written()


@pytest.mark.parametrize("path", ["/", "/events/", "/event", "/metrics", "/events%2f", "//events"])
async def test_other_paths_get_404(site: Site, path: str) -> None:
    answer = await site.deliveries.http.post(site.deliveries.url + path, content=b"{}")
    await site.refused(answer, status=404, reason="path")


async def _raw(site: Site, *, head: bytes) -> bytes:
    """Send bytes, wait for the other side to close, return what it said."""
    reader, writer = await asyncio.open_connection("127.0.0.1", site.deliveries.running.port)
    writer.write(head)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    return answer


HEAD = b"POST /events HTTP/1.1\r\nHost: x\r\nX-Hub-Ecdsa-Signature: 00\r\nX-Hub-Ecdsa-Signature-Id: k1\r\n"


async def test_a_body_that_does_not_come_gets_408(site: Site) -> None:
    answer = await _raw(site, head=HEAD + b"Content-Length: 100\r\n\r\n{")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert site.refusals() == [(408, "body-too-slow")]
    site.nothing_written()


async def test_a_client_that_waits_for_100_continue_gets_it_or_the_refusal(site: Site) -> None:
    waiting = HEAD + b"Expect: 100-continue\r\nConnection: close\r\n"
    asked = await _raw(site, head=waiting + b"Content-Length: 2\r\n\r\n{}")
    assert asked.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 401 ")
    refused = await _raw(site, head=waiting + b"Content-Length: 5000\r\n\r\n")
    assert refused.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "head",
    [b"\x16\x03\x01\x02\x00\x01\x00", b"POST /events HTTP/1.1\r\nbroken\r\n\r\n",
     HEAD + b"Content-Length: nine\r\n\r\n", HEAD + b"Content-Length: -1\r\n\r\n",
     HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
     HEAD + b"X: " + b"x" * 9000 + b"\r\n\r\n",
     HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"],
)  # fmt: skip
async def test_what_is_no_http_gets_400_without_a_stack_trace(
    site: Site, caplog: pytest.LogCaptureFixture, head: bytes
) -> None:
    with caplog.at_level(logging.INFO):
        answer = await _raw(site, head=head)
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
    assert not any(record.exc_info for record in caplog.records)
    site.nothing_written()


async def test_headers_that_do_not_come_end_the_connection(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site.deliveries.running.server, "_header_seconds", 0.05)
    assert await _raw(site, head=b"POST /events HTTP/1.1\r\nHost:") == b""


async def test_bodies_beyond_what_may_be_held_at_once_get_503(
    start_webhook: Any, counting_api: Any, eventually: Any
) -> None:
    started = await start_webhook(counting_api.kubeconfig, max_inflight_bytes=1048576, read_seconds=5)
    slow = HEAD + b"Content-Length: 1000000\r\n\r\n" + b"x" * 999_999
    reader, writer = await asyncio.open_connection("127.0.0.1", started.running.port)
    writer.write(slow)

    async def held(count: int) -> bool:
        return bool(await started.metric("talkdesk_webhook_inflight_bytes") == count)

    await eventually(lambda: held(999_999))
    answer = await started.send(b"x" * 100_000)
    assert (answer.status_code, answer.json()) == (503, {"error": "too-many-bytes-in-flight"})
    assert "Retry-After" in answer.headers
    writer.close()
    await eventually(lambda: held(0))
    assert (await started.send(b"x" * 100_000, signature="00")).status_code == 401
    assert await reader.read() == b""


async def test_bodies_that_are_only_announced_take_no_room_from_a_delivery(
    start_webhook: Any, counting_api: Any
) -> None:
    started = await start_webhook(counting_api.kubeconfig, max_inflight_bytes=1048576, read_seconds=20)
    silent = HEAD + b"Expect: 100-continue\r\nContent-Length: 1000000\r\n\r\n"
    writers = []
    for _ in range(4):
        reader, writer = await asyncio.open_connection("127.0.0.1", started.running.port)
        writers.append(writer)
        writer.write(silent)
        async with asyncio.timeout(10):
            assert await reader.readline() == b"HTTP/1.1 100 Continue\r\n"
    assert (await started.send(b"x" * 100_000, signature="00")).status_code == 401
    for writer in writers:
        writer.close()


async def test_what_the_api_server_does_not_take_gets_503(
    start_webhook: Any, counting_api: Any, log: Any, make_event: Any, credentials: Any
) -> None:
    started = await start_webhook(counting_api.kubeconfig, store_budget_seconds=0.3)
    answer = await started.send(make_event("app.installed", **credentials))
    assert (answer.status_code, answer.json()) == (503, {"error": "out-of-time"})
    assert "Retry-After" in answer.headers
    assert counting_api.asked, "it did try"
    (line,) = [line for line in log if line["event"] == "event not stored"]
    assert (line["installation_id"], line["log_level"]) == ("c3", "error")
    assert credentials["private_key"] not in str(log)
    name = "talkdesk_webhook_events_total"
    assert await started.metric(name, type="app.installed", outcome="not-stored") == 1


async def test_probes_say_whether_it_lives_and_whether_it_is_ready(site: Site) -> None:
    assert (await site.deliveries.http.get(f"{site.deliveries.url}/healthz")).status_code == 200
    assert (await site.deliveries.http.get(f"{site.deliveries.url}/readyz")).status_code == 200
    site.deliveries.running.drain()
    answer = await site.deliveries.http.get(f"{site.deliveries.url}/readyz")
    assert answer.status_code == 503
    assert answer.headers["Connection"] == "close"
    assert (await site.deliveries.http.get(f"{site.deliveries.url}/healthz")).status_code == 200
    assert (await site.deliveries.send(b"{}", signature="00")).status_code == 401, (
        "deliveries are still taken"
    )


async def test_it_is_not_ready_before_the_api_server_was_reached(
    start_webhook: Any, tmp_path: Path, counting_api: Any
) -> None:
    assert counting_api.kubeconfig is not None
    unreachable = tmp_path / "unreachable"
    config = json.loads(counting_api.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "http://127.0.0.1:9"
    unreachable.write_text(json.dumps(config))
    started = await start_webhook(unreachable)
    assert (await started.http.get(f"{started.url}/readyz")).status_code == 503
    assert (await started.http.get(f"{started.url}/healthz")).status_code == 200
