"""Each switch changes what goes over the wire: the same story is played under both values and compared."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
import time
from datetime import datetime
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import ValidationError

from talkdesk_sandbox.talkdesk.switches import Switches, parse_switch


async def _installed(desk: Any) -> Any:
    return (await desk.install()).event


async def _updated(desk: Any) -> dict[str, Any]:
    partner = await desk.install(approved=True)
    await desk.ask(partner, "update", {"adding": [desk.users[3]]})
    event: dict[str, Any] = desk.receiver.events("app.updated")[0]
    return event


async def _signature(desk: Any) -> str:
    await desk.install()
    return str(desk.receiver.requests[0][0]["X-Hub-Ecdsa-Signature"])


async def _signing_key(desk: Any, region: str = "eu") -> Any:
    await desk.install()
    key_id = desk.receiver.requests[0][0]["X-Hub-Ecdsa-Signature-Id"]
    return await desk.http.get(f"https://api.{region}.talkdesk.localhost/events/signature-keys/{key_id}")


async def _after_uninstall(desk: Any) -> Any:
    partner = await desk.install(approved=True)
    await desk.ask(partner, "uninstall")
    token = await partner.token()
    await desk.switch(revoked_tokens="until-expiry")
    told = (await partner.answer("approve")).json()["state"]
    return told, (await partner.call(token=token)).status_code


async def _signature_length(desk: Any) -> Any:
    length = len(await _signature(desk))
    return length if length == 128 else "longer"


async def _point_length(desk: Any) -> int:
    return len(base64.b64decode((await _signing_key(desk)).json()["public_key"]))


async def _key_form(desk: Any) -> str:
    text = (await _signing_key(desk)).json()["public_key"]
    if text.startswith("-----BEGIN PUBLIC KEY"):
        return "pem"
    return {65: "point", 91: "spki"}[len(base64.b64decode(text))]


async def _retries(desk: Any) -> int:
    desk.receiver.status = 500
    await desk.install()
    await desk.advance(minutes=11)
    return len(desk.receiver.requests)


async def _repeated(desk: Any) -> int:
    partner = await desk.install(approved=True)
    return int((await partner.answer("approve")).status_code)


async def _contrary(desk: Any) -> int:
    partner = await desk.install(approved=True)
    return int((await partner.answer("reject")).status_code)


async def _users_during_update(desk: Any) -> list[str]:
    partner = await desk.install(approved=True)
    await desk.ask(partner, "update", {"removing": [desk.users[1]]})
    page = (await partner.call("/users")).json()
    return [
        {id_: f"user{n}" for n, id_ in enumerate(desk.users)}[one["id"]] for one in page["_embedded"]["users"]
    ]


async def _rejected_uninstall(desk: Any) -> str:
    partner = await desk.install(approved=True)
    await desk.ask(partner, "uninstall")
    return str((await partner.answer("reject")).json()["state"])


async def _unanswered_uninstall(desk: Any) -> Any:
    partner = await desk.install(approved=True)
    await desk.ask(partner, "uninstall")
    await desk.advance(days=7, minutes=1)
    (told,) = (await desk.control.get("/control/state")).json()["installations"]
    return told["state"], (await partner.ask()).status_code


async def _rejected_install(desk: Any) -> int:
    partner = await desk.install()
    await partner.answer("reject")
    return int((await partner.ask()).status_code)


async def _after_trial(desk: Any) -> str:
    partner = await desk.install(approved=True)
    await desk.advance(days=30)
    return str(await partner.state())


async def _upgrade_order(desk: Any) -> int:
    partner = await desk.install(approved=True)
    await desk.ask(partner, "update", {"plan": "Standard"})
    return len(desk.receiver.events("app.trial_ended"))


async def _overlap(desk: Any) -> int:
    partner = await desk.install()
    response = await desk.control.post(f"/control/installations/{partner.id}/uninstall", json={})
    await desk.settle()
    return int(response.status_code)


async def _audience_host(desk: Any) -> int:
    partner = await desk.install()
    host = partner.token_url.removesuffix("/oauth/token")
    return int((await partner.ask(partner.assertion(aud=host))).status_code)


async def _basic(desk: Any) -> int:
    partner = await desk.install()
    auth = (partner.data["client_id"], partner.data["client_secret"])
    response = await desk.http.post(partner.token_url, data={"grant_type": "client_credentials"}, auth=auth)
    return int(response.status_code)


async def _leeway(desk: Any) -> int:
    partner = await desk.install()
    now = int(time.time()) + 15
    return int((await partner.ask(partner.assertion(iat=now, exp=now + 300))).status_code)


async def _token_life(desk: Any) -> int:
    return int((await (await desk.install()).ask()).json()["expires_in"])


async def _token_form(desk: Any) -> int:
    return str(await (await desk.install()).token()).count(".")


async def _scope_delay(desk: Any) -> int:
    return int((await (await desk.install()).ask()).status_code)


async def _late_code(desk: Any) -> int:
    partner = await desk.install()
    await desk.sign_in(desk.users[0])
    code = await partner.code()
    await desk.advance(seconds=10)
    return int((await partner.redeem(code)).status_code)


async def _userinfo(desk: Any) -> list[str]:
    partner = await desk.install()
    await desk.sign_in(desk.users[0])
    token = (await partner.redeem(await partner.code())).json()["access_token"]
    return sorted((await partner.call("/users/me", token=token, root=partner.root)).json())


async def _told_of_sign_out(desk: Any) -> int:
    partner = await desk.install(approved=True)
    await desk.sign_in(desk.users[0])
    await desk.browse(f"{partner.identity}/logout")
    await desk.settle()
    return len(desk.receiver.events("user.logout"))


async def _revoked_token(desk: Any) -> int:
    partner = await desk.install(approved=True)
    token = await partner.token()
    await desk.ask(partner, "rotate", {"compromise": True})
    return int((await partner.call(token=token)).status_code)


async def _page(desk: Any) -> int:
    page = (await (await desk.install()).call("/users")).json()
    return len(page["_embedded"]["users"])


async def _no_trial(desk: Any) -> Any:
    response = await (await desk.install()).call("/trial")
    return response.status_code, response.json() == {}


async def _state_answer(desk: Any) -> str:
    return str((await (await desk.install()).answer("approve")).json()["state"])


async def _acknowledged(desk: Any) -> str:
    old = await desk.install(approved=True)
    await desk.ask(old, "rotate")
    event = desk.receiver.events("app.credentials_rotated")[0]
    new = type(old)(desk, {**old.event, "data": event["data"]})
    client_id = event["data"]["client_id"]
    response = await new.call(f"/credentials/{client_id}/state", body={"state": "acknowledged"})
    return type(response.json()["state"]).__name__


async def _error_shape(desk: Any) -> list[str]:
    partner = await desk.install()
    response = await partner.call(root=partner.url.replace(partner.id, "unknown"))
    return sorted(response.json())


async def _partners_rotation(desk: Any) -> int:
    partner = await desk.install(approved=True)
    return int((await partner.call("/credentials/actions/rotate", body={})).status_code)


async def _slow_delivery(desk: Any) -> str | None:
    desk.receiver.held = asyncio.Event()
    await desk.post(
        "/control/install",
        {"app_id": desk.app["id"], "account_id": desk.account["id"], "users": desk.users[:1]},
    )
    if desk.talkdesk.switches.delivery_timeout_seconds < 1:
        await desk.settle()
    desk.receiver.held.set()
    await desk.settle()
    error: str | None = desk.ledger("delivery")[0]["detail"]["error"]
    return error


async def _key_life(desk: Any) -> int:
    record = (await _signing_key(desk)).json()
    made, ends = (datetime.fromisoformat(record[name]) for name in ("created_at", "expires_at"))
    return round((ends - made).total_seconds())


async def _hash(desk: Any) -> str:
    signature = bytes.fromhex(await _signature(desk))
    _, body = desk.receiver.requests[0]
    key = next(iter(desk.talkdesk.keyring.keys.values())).private.public_key()
    for digest in (hashes.SHA512(), hashes.SHA384(), hashes.SHA256()):
        with contextlib.suppress(InvalidSignature):
            key.verify(signature, body, ec.ECDSA(digest))
            return digest.name
    return "none"


def _of(look: Any, pick: Any) -> Any:
    async def picked(desk: Any) -> Any:
        return pick(await look(desk))

    return picked


CASES: list[tuple[str, Any, Any]] = [
    # switch, how to look, {value: what is seen}
    ("signature_encoding", _signature_length, {"der": "longer", "raw": 128}),
    ("signature_hash", _hash, {"sha512": "sha512", "sha384": "sha384", "sha256": "sha256"}),
    ("signature_curve", _point_length, {"p256": 91, "p384": 120, "p521": 158, "secp256k1": 88}),
    ("key_encoding", _key_form, {"spki": "spki", "point": "point", "pem": "pem"}),
    (
        "key_gateways",
        _of(lambda desk: _signing_key(desk, "us"), lambda r: r.status_code),
        {"all": 200, "own": 404},
    ),
    ("key_expiry", _of(_signing_key, lambda r: "expires_at" in r.json()), {"present": True, "absent": False}),
    ("signing_key_seconds", _key_life, {90 * 86400.0: 90 * 86400, 3600.0: 3600}),
    ("retry_second", _retries, {"after-second": 2, "after-first": 3}),
    ("delivery_timeout_seconds", _slow_delivery, {10.0: None, 0.05: "no answer within 0.05 s"}),
    (
        "event_id_field",
        _of(_installed, lambda e: ("id" in e, "event_id" in e)),
        {"id": (True, False), "event_id": (False, True), "both": (True, True)},
    ),
    ("event_time", _of(_installed, lambda e: e["created_at"][-1]), {"z": "Z", "offset": "0"}),
    (
        "self_link",
        _of(_installed, lambda e: e["_links"]["self"]["href"].endswith(e["id"])),
        {"same": True, "other": False},
    ),
    (
        "token_link",
        _of(_installed, lambda e: set(e["_links"]) & {"tokens", "token", "token_url"}),
        {"tokens": {"tokens"}, "token": {"token"}, "token_url": {"token_url"}, "absent": set()},
    ),
    (
        "licenses",
        _of(_updated, lambda e: e["data"]["subscription"]["adding"]["licenses"]),
        {"string": "1", "int": 1},
    ),
    (
        "unchanged_keys",
        _of(_updated, lambda e: e["data"]["users"].get("removing")),
        {"absent": None, "empty": []},
    ),
    (
        "credential_key",
        _of(_installed, lambda e: ("\n" in e["data"]["private_key"], "BEGIN" in e["data"]["private_key"])),
        {"base64": (False, False), "wrapped": (True, False), "pem": (True, True)},
    ),
    (
        "key_algorithm",
        _of(_installed, lambda e: e["data"]["key_algorithm"]),
        {"ES256": "ES256", "PS256": "PS256"},
    ),
    ("repeated_answer", _repeated, {200: 200, 409: 409}),
    ("contrary_answer", _contrary, {409: 409, 422: 422}),
    (
        "update_shows",
        _users_during_update,
        {"new": ["user0", "user2"], "old": ["user0", "user1", "user2"]},
    ),
    (
        "after_uninstall",
        _after_uninstall,
        {"uninstalled": ("uninstalled", 200), "revoked": ("revoked", 200), "gone": ("uninstalled", 404)},
    ),
    ("rejected_uninstall", _rejected_uninstall, {"settled": "uninstalled", "restored": "completed"}),
    (
        "unanswered_uninstall",
        _unanswered_uninstall,
        {"settled": ("uninstalled", 401), "timeout": ("timeout", 200)},
    ),
    ("rejected_install", _rejected_install, {"kept": 200, "revoked": 401}),
    ("after_trial", _after_trial, {"suspended": "suspended", "completed": "completed"}),
    ("upgrade_ends_trial", _upgrade_order, {"at-approval": 0, "at-update": 1}),
    ("overlap", _overlap, {"refuse": 409, "replace": 202}),
    ("audience", _audience_host, {"full-url": 401, "host": 200, "either": 200}),
    ("assertion_leeway_seconds", _leeway, {30.0: 200, 0.0: 401}),
    ("basic", _basic, {"allowed": 200, "refused": 401}),
    ("token_seconds", _token_life, {600: 600, 5: 5}),
    ("token_form", _token_form, {"jwt": 2, "opaque": 0}),
    ("code_seconds", _late_code, {60.0: 200, 5.0: 400}),
    (
        "userinfo_id",
        _userinfo,
        {"both": ["_links", "email", "id", "name", "sub"], "sub": ["_links", "email", "name", "sub"]},
    ),
    ("logout_events", _told_of_sign_out, {"sent": 1, "off": 0}),
    ("scope_delay_seconds", _scope_delay, {0.0: 200, 60.0: 401}),
    ("revoked_tokens", _revoked_token, {"refused": 401, "until-expiry": 200}),
    ("page_size", _page, {20: 3, 1: 1}),
    ("no_trial", _no_trial, {"not-found": (404, False), "empty": (200, True)}),
    ("state_answer", _state_answer, {"resource": "completed", "answer": "approve"}),
    ("ack_state", _acknowledged, {"string": "str", "object": "dict"}),
    ("installation_errors", _error_shape, {"error": ["error"], "common": ["code", "message"]}),
    ("rotate_answer", _partners_rotation, {202: 202, 200: 200}),
]


def _comparable(desk: Any) -> str:
    """The ledger without what differs from run to run: ids, times, ports, key material (its length stays)."""
    lines = [{**entry, "seconds": 0} for entry in desk.ledger() if entry["kind"] != "control"]
    text = json.dumps(sorted(lines, key=lambda line: (line["kind"], line["seq"])))
    text = re.sub(r'"seq": \d+', "", text)
    text = re.sub(r"(127\.0\.0\.1|talkdesk\.localhost):\d+", "here", text)
    times = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?")
    began = datetime.fromisoformat(lines[0]["at"]).replace(tzinfo=None)

    def hours(found: re.Match[str]) -> str:
        passed = datetime.fromisoformat(found[0]) - began
        return f"time{len(found[0])} {round(passed.total_seconds() / 3600)} h"

    names: dict[str, str] = {}
    text = times.sub(hours, text)
    text = re.sub(
        r"\b[0-9a-f]{32}\b|\b[0-9a-f]{24}\b", lambda m: names.setdefault(m[0], f"id{len(names)}"), text
    )
    text = re.sub(r'"[xy]": "[\w-]+"', "", text)
    return re.sub(r"[A-Za-z0-9+/]{30,}={0,2}", lambda m: f"key{len(m[0])}", text)


@pytest.mark.parametrize(("name", "look", "by_value"), [pytest.param(*case, id=case[0]) for case in CASES])
async def test_a_switch_changes_what_goes_over_the_wire_and_the_ledger_tells_it(
    open_desk: Any, name: str, look: Any, by_value: dict[Any, Any]
) -> None:
    default = getattr(Switches(), name)
    told = []
    for value in (default, default, *(value for value in by_value if value != default)):
        async with open_desk(str(len(told))) as desk:
            await desk.switch(**{name: value})
            assert await look(desk) == by_value[value]
            told.append(_comparable(desk))
    assert told[0] == told[1], "the comparison itself is not stable"
    assert told[0] not in told[2:]


def test_every_switch_is_covered_with_its_default_and_another_value() -> None:
    covered = {name: set(by_value) for name, _, by_value in CASES}
    defaults = Switches().model_dump()
    assert set(covered) == set(defaults)
    for name, values in covered.items():
        assert len(values) >= 2, name
        assert defaults[name] in values, name


def test_every_switch_is_described() -> None:
    assert [name for name, field in Switches.model_fields.items() if not field.description] == []


async def test_an_unknown_switch_or_value_is_refused_and_changes_nothing(desk: Any) -> None:
    for wrong in ({"no_such": 1}, {"licenses": "float"}, {"page_size": 0}):
        response = await desk.control.patch("/control/switches", json={"event_time": "offset", **wrong})
        assert response.status_code == 400
        assert next(iter(wrong)) in response.json()["error"]
    assert (await desk.control.get("/control/switches")).json() == Switches().model_dump()


def test_the_command_line_reads_numbers_and_words() -> None:
    read = dict(parse_switch(text) for text in ("repeated_answer=409", "licenses=int", "key_algorithm=PS256"))
    assert Switches.model_validate(read).repeated_answer == 409
    with pytest.raises(ValueError, match="NAME=VALUE"):
        parse_switch("licenses")
    with pytest.raises(ValidationError):
        Switches.model_validate({"licences": "int"})
