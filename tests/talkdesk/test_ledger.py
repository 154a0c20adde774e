"""The ledger tells everything but secrets, and whoever waits for an entry gets it when it comes."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from talkdesk_sandbox.story.marketplace import Marketplace
from talkdesk_sandbox.talkdesk.ledger import shown_body, shown_url, without_secrets

if TYPE_CHECKING:
    import pytest

CANARY = "canary-7c1f"


async def test_the_story_of_an_install_can_be_read(desk: Any) -> None:
    partner = await desk.install(approved=True)
    about = [entry for entry in desk.ledger() if entry.get("installation_id") == partner.id]
    assert [entry["kind"] for entry in about] == [
        "transition", "delivery", "token", "transition", "api", "delivery",
    ]  # fmt: skip
    begun, delivered, token, approved, call, trial = about
    assert begun["detail"] == {"from": "", "to": "installing", "answer": None, "effective": True}
    assert (delivered["event_id"], delivered["event_type"]) == (partner.event["id"], "app.installed")
    assert (token["method"], token["url"], token["status"]) == ("POST", partner.token_url, 200)
    assert token["detail"]["authentication"] == "private_key_jwt"
    assert approved["detail"] == {
        "from": "installing", "to": "completed", "answer": "approve", "effective": True,
    }  # fmt: skip
    assert approved["event_id"] == call["event_id"] == partner.event["id"]
    assert call["detail"]["answer"]["state"] == "completed"
    assert trial["event_type"] == "app.trial_started"
    assert {entry["account_id"] for entry in about} == {desk.account["id"]}
    sequence = [entry["seq"] for entry in desk.ledger()]
    assert sequence == list(range(1, len(sequence) + 1))
    fields = {"seq", "at", "kind", "method", "url", "status", "seconds", "detail"}
    assert all(fields <= set(entry) for entry in desk.ledger())


async def test_no_secret_stands_in_the_ledger_the_state_or_a_log(
    desk: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("DEBUG")
    partner = await desk.install(approved=True)
    auth = (partner.data["client_id"], partner.data["client_secret"])
    basic = await desk.http.post(partner.token_url, data={"grant_type": "client_credentials"}, auth=auth)
    assertion = partner.assertion()
    signed = await partner.ask(assertion)
    await partner.ask(assertion)
    await partner.ask(assertion + "x")
    await desk.http.post(partner.token_url, data={"grant_type": CANARY, "client_secret": CANARY})
    await desk.http.get(f"{partner.root}/account?access_token={CANARY}")
    await partner.call("/state", body={"state": "approve", "token": CANARY, "reason": "fine"})
    await desk.ask(partner, "rotate")
    forged = {"type": "app.installed", "data": {"client_secret": CANARY, "more": [{"private_key": CANARY}]}}
    await desk.post("/control/events", {"app_id": desk.app["id"], "event": forged})
    await desk.control.patch(
        f"/control/apps/{desk.app['id']}",
        json={"events_url": desk.receiver.url.replace("//", f"//user:{CANARY}@") + f"?key={CANARY}"},
    )
    await desk.post("/control/events", {"app_id": desk.app["id"], "event": {"a": 1}})
    await desk.settle()

    issued = [event["data"] for event in desk.receiver.events() if "client_secret" in event.get("data", {})]
    secrets = {data[name] for data in issued for name in ("client_secret", "private_key") if name in data}
    secrets |= {basic.json()["access_token"], signed.json()["access_token"], assertion, CANARY}
    assert len(secrets) >= 8
    told = json.dumps((await desk.control.get("/control/ledger")).json())
    state = (await desk.control.get("/control/state")).json()
    for app in state["apps"]:
        del app["events_url"]  # the partner's own setting
    out, err = capfd.readouterr()
    for where, text in {
        "ledger": told,
        "state": json.dumps(state),
        "log": "\n".join(r.getMessage() for r in caplog.records if r.name.startswith("talkdesk")),
        "output": out + err,
    }.items():
        assert [secret[:12] for secret in secrets if secret in text] == [], where
    assert told.count('"***"') >= 6


async def test_a_waiting_reader_gets_the_first_new_entry(desk: Any) -> None:
    last = desk.ledger()[-1]["seq"] if desk.ledger() else 0
    waiting = asyncio.create_task(
        desk.control.get("/control/ledger", params={"since": last, "wait": 20}, timeout=30)
    )
    await desk.install()
    page = (await asyncio.wait_for(waiting, 5)).json()
    assert page["entries"][0]["seq"] == last + 1
    assert page["next"] == page["entries"][-1]["seq"]


async def test_a_reader_that_waits_in_vain_gets_an_empty_page(desk: Any) -> None:
    page = (await desk.control.get("/control/ledger", params={"since": 99, "wait": 0.01})).json()
    assert page == {"entries": [], "next": 99}


async def test_two_who_read_at_once_are_told_of_each_entry_once(desk: Any) -> None:
    await desk.install()
    await desk.settle()
    told: list[int] = []
    marketplace = Marketplace(http=desk.control, tell=lambda entry: told.append(entry["seq"]))
    for _ in range(2):
        await asyncio.gather(*(marketplace.read() for _ in range(8)))
    assert told == [entry["seq"] for entry in desk.ledger()]
    assert [entry["seq"] for entry in marketplace.entries] == told


async def test_reading_leaves_no_trace(desk: Any) -> None:
    for path in ("/control/state", "/control/ledger", "/control/clock", "/control/switches"):
        assert (await desk.control.get(path)).status_code == 200
    assert desk.ledger() == []


def test_secrets_are_found_by_their_names_at_any_depth() -> None:
    body = {
        "client_secret": "a", "data": [{"private_key": "b", "public_key": "c"}], "access_token": "d",
        "client_assertion": "e", "token_type": "Bearer", "_links": {"tokens": {"href": "f"}},
        "passwords": ["g", {"name": "h", "value": ["i"]}],
    }  # fmt: skip
    shown = json.dumps(without_secrets(body))
    assert all(f'"{letter}"' not in shown for letter in "abdeg")
    assert all(f'"{letter}"' in shown for letter in ("c", "Bearer", "f", "h", "i"))


def test_large_bodies_are_told_by_size_and_keys() -> None:
    shown = shown_body({"users": ["x" * 40] * 1000, "client_secret": "a"})
    assert shown["bytes"] > 40_000
    assert shown["keys"] == ["client_secret", "users"]


def test_urls_lose_what_may_be_secret() -> None:
    url = "https://user:pass@host.example/path?page=2&per_page=5&token=abc&email=a@b.c#frag"
    assert shown_url(url) == "https://host.example/path?page=2&per_page=5"
