"""Deliveries: signed bytes, three attempts on the movable clock, and whatever body a test wants."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key

from talkdesk_sandbox.talkdesk.keys import new_signing_key
from talkdesk_sandbox.talkdesk.records import signing_key_record
from talkdesk_sandbox.talkdesk.switches import Switches

CURVES = {"p256": ec.SECP256R1, "p384": ec.SECP384R1, "p521": ec.SECP521R1, "secp256k1": ec.SECP256K1}
HASHES = {"sha512": hashes.SHA512, "sha384": hashes.SHA384, "sha256": hashes.SHA256}


def _attempts(desk: Any, event_id: str) -> list[Any]:
    """(attempt, status) of an event's deliveries."""
    return [
        (entry["detail"]["attempt"], entry["status"])
        for entry in desk.ledger("delivery")
        if entry["event_id"] == event_id
    ]


def _verify(record: dict[str, Any], signature_hex: str, body: bytes, switches: Switches) -> None:
    """As a receiver would that knows the switches. Raises InvalidSignature."""
    signature = bytes.fromhex(signature_hex)
    if switches.signature_encoding == "raw":
        half = len(signature) // 2
        assert len(signature) == {"p384": 96, "p521": 132}.get(switches.signature_curve, 64)
        signature = encode_dss_signature(
            int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
        )
    key: Any
    if switches.key_encoding == "pem":
        key = load_pem_public_key(record["public_key"].encode())
    elif switches.key_encoding == "spki":
        key = load_der_public_key(base64.b64decode(record["public_key"]))
    else:
        curve = CURVES[switches.signature_curve]()
        key = ec.EllipticCurvePublicKey.from_encoded_point(curve, base64.b64decode(record["public_key"]))
    key.verify(signature, body, ec.ECDSA(HASHES[switches.signature_hash]()))


@pytest.mark.parametrize("curve", sorted(CURVES))
@pytest.mark.parametrize("form", ["spki", "point", "pem"])
@pytest.mark.parametrize("encoding", ["der", "raw"])
@pytest.mark.parametrize("digest", sorted(HASHES))
def test_a_signature_can_be_checked_in_every_form(curve: str, form: str, encoding: str, digest: str) -> None:
    switches = Switches().changed(
        {
            "signature_curve": curve,
            "key_encoding": form,
            "signature_encoding": encoding,
            "signature_hash": digest,
        }
    )
    key = new_signing_key(region=None, now=datetime.now(UTC), switches=switches)
    record = signing_key_record(key, switches=switches)
    signature = key.sign(b"body", switches=switches)
    _verify(record, signature, b"body", switches)
    with pytest.raises(InvalidSignature):
        _verify(record, signature, b"bodY", switches)


async def test_a_delivery_is_signed_over_its_raw_bytes_by_the_key_it_names(desk: Any) -> None:
    await desk.install()
    headers, body = desk.receiver.requests[-1]
    assert headers["Content-Type"] == "application/json"
    url = f"https://api.eu.talkdesk.localhost/events/signature-keys/{headers['X-Hub-Ecdsa-Signature-Id']}"
    record = (await desk.http.get(url)).json()
    _verify(record, headers["X-Hub-Ecdsa-Signature"], body, Switches())


async def test_a_refused_delivery_is_tried_after_5_and_after_15_minutes_and_never_again(desk: Any) -> None:
    desk.receiver.status = 503
    await desk.install()
    event_id = desk.receiver.events()[0]["id"]
    await desk.advance(minutes=4, seconds=50)
    assert _attempts(desk, event_id) == [(1, 503)]
    await desk.advance(seconds=11)
    assert _attempts(desk, event_id) == [(1, 503), (2, 503)]
    await desk.advance(minutes=9, seconds=50)
    assert len(_attempts(desk, event_id)) == 2
    await desk.advance(seconds=11)
    assert _attempts(desk, event_id)[2:] == [(3, 503)]
    await desk.advance(days=1)
    assert len(_attempts(desk, event_id)) == 3
    assert len({body for _, body in desk.receiver.requests}) == 1


async def test_one_long_move_of_the_clock_makes_each_attempt_at_its_own_time(desk: Any) -> None:
    desk.receiver.status = 500
    await desk.install()
    await desk.advance(hours=2)
    times = [datetime.fromisoformat(entry["at"]) for entry in desk.ledger("delivery")]
    since_first = [round((moment - times[0]).total_seconds()) for moment in times]
    assert since_first == [0, 300, 900]


async def test_a_retry_that_is_accepted_ends_the_series(desk: Any) -> None:
    desk.receiver.status = 500
    await desk.install()
    desk.receiver.status = 204
    await desk.advance(hours=1)
    assert [entry["status"] for entry in desk.ledger("delivery")] == [500, 204]


@pytest.mark.parametrize("status", [300, 302, 400, 401, 409, 429, 500])
async def test_anything_but_2xx_is_an_error_and_redirects_are_not_followed(desk: Any, status: int) -> None:
    desk.receiver.status, desk.receiver.headers = status, {"Location": desk.receiver.url + "/elsewhere"}
    await desk.install()
    await desk.advance(minutes=5)
    assert len(desk.receiver.requests) == 2
    assert {entry["status"] for entry in desk.ledger("delivery")} == {status}


async def test_a_slow_or_absent_receiver_is_an_error(desk: Any) -> None:
    await desk.switch(delivery_timeout_seconds=0.05)
    desk.receiver.held = asyncio.Event()
    body = {"app_id": desk.app["id"], "account_id": desk.account["id"], "users": desk.users[:1]}
    await desk.post("/control/install", body)
    await desk.settle()
    desk.receiver.held.set()
    (slow,) = desk.ledger("delivery")
    assert (slow["status"], slow["detail"]["error"]) == (None, "no answer within 0.05 s")
    await desk.control.patch(f"/control/apps/{desk.app['id']}", json={"events_url": "http://127.0.0.1:9/"})
    await desk.advance(minutes=5)
    absent = desk.ledger("delivery")[-1]
    assert (absent["status"], absent["detail"]["error"]) == (None, "ClientConnectorError")


async def test_localhost_names_are_this_machine(desk: Any) -> None:
    port = desk.receiver.url.rsplit(":", 1)[1]
    await desk.control.patch(
        f"/control/apps/{desk.app['id']}", json={"events_url": f"http://events.partner.localhost:{port}"}
    )
    await desk.install()
    assert desk.receiver.requests[0][0]["Host"].startswith("events.partner.localhost")


async def test_redelivery_sends_the_same_bytes(desk: Any) -> None:
    await desk.install()
    event_id = desk.receiver.events()[0]["id"]
    await desk.post(f"/control/events/{event_id}/redeliver")
    await desk.settle()
    (_, first), (_, second) = desk.receiver.requests
    assert first == second
    missing = await desk.control.post("/control/events/unknown/redeliver")
    assert missing.status_code == 404


async def test_any_body_can_be_signed_and_sent(desk: Any) -> None:
    event = {"id": "e1", "type": "app.brand_new", "data": {"installation_id": "i1"}, "more": "ünïcode"}
    sent = await desk.post("/control/events", {"app_id": desk.app["id"], "event": event})
    raw = b"\xff not json {"
    await desk.post("/control/events", {"app_id": desk.app["id"], "raw": base64.b64encode(raw).decode()})
    await desk.settle()
    assert sent["event_id"] == "e1"
    bodies = [body for _, body in desk.receiver.requests]
    assert json.loads(bodies[0]) == event
    assert bodies[1] == raw
    told = desk.ledger("delivery")[0]
    assert (told["event_id"], told["event_type"], told["installation_id"]) == ("e1", "app.brand_new", "i1")


async def test_headers_can_be_forged_left_out_or_made_for_another_body(desk: Any) -> None:
    expired = await desk.post(
        "/control/signing-keys", {"current": False, "expires_at": "2020-01-01T00:00:00Z"}
    )
    for extra in (
        {"headers": {"x-hub-ecdsa-signature": "00", "Content-Type": "text/plain"}},
        {"headers": {"X-Hub-Ecdsa-Signature": None}},
        {"signed": base64.b64encode(b"another body").decode()},
        {"key_id": expired["id"]},
    ):
        await desk.post("/control/events", {"app_id": desk.app["id"], "event": {"a": 1}, **extra})
        await desk.settle()
    forged, bare, foreign, old = (headers for headers, _ in desk.receiver.requests)
    assert (forged["x-hub-ecdsa-signature"], forged["Content-Type"]) == ("00", "text/plain")
    assert "X-Hub-Ecdsa-Signature" not in bare
    key = desk.talkdesk.keyring.keys[foreign["X-Hub-Ecdsa-Signature-Id"]].private.public_key()
    key.verify(bytes.fromhex(foreign["X-Hub-Ecdsa-Signature"]), b"another body", ec.ECDSA(hashes.SHA512()))
    assert old["X-Hub-Ecdsa-Signature-Id"] == expired["id"]


async def test_signing_keys_expire_and_are_replaced_before_that(desk: Any) -> None:
    await desk.switch(signing_key_seconds=1000)
    await desk.install()
    await desk.advance(seconds=810)
    await desk.post("/control/events", {"app_id": desk.app["id"], "event": {}})
    await desk.post("/control/signing-keys")
    await desk.post("/control/events", {"app_id": desk.app["id"], "event": {}})
    await desk.settle()
    ids = [headers["X-Hub-Ecdsa-Signature-Id"] for headers, _ in desk.receiver.requests]
    assert len(set(ids)) == 3
