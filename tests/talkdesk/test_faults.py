"""Faults: Talkdesk overloaded, slow, or gone in the middle of an answer."""

from __future__ import annotations

from typing import Any

import httpx
import pytest


async def test_a_fault_replaces_the_answer_as_often_as_asked(desk: Any) -> None:
    partner = await desk.install()
    token = await partner.token()
    await desk.post(
        "/control/faults",
        {"path": ".*/users", "status": 429, "headers": {"Retry-After": "1"}, "body": {"a": 1}, "times": 2},
    )
    assert (await partner.call(token=token)).status_code == 200
    answers = [await partner.call("/users", token=token) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert (answers[0].headers["Retry-After"], answers[0].json()) == ("1", {"a": 1})
    noted = [entry["status"] for entry in desk.ledger("api") if "fault" in entry["detail"]]
    assert noted == [429, 429]


@pytest.mark.parametrize(("when", "state"), [("before", "installing"), ("after", "completed")])
async def test_a_connection_can_be_cut_before_or_after_the_deed(desk: Any, when: str, state: str) -> None:
    partner = await desk.install()
    await desk.post("/control/faults", {"method": "POST", "path": ".*/state", "cut": True, "when": when})
    with pytest.raises(httpx.TransportError):
        await partner.answer("approve")
    assert await partner.state() == state
    assert (await partner.answer("approve")).status_code == 200


async def test_a_refusal_stays_a_refusal_behind_a_delay(desk: Any) -> None:
    partner = await desk.install()
    await desk.post("/control/faults", {"path": ".*/trial", "delay_seconds": 0.01, "when": "after"})
    assert (await partner.call("/trial")).status_code == 404


async def test_one_page_of_a_list_goes_wrong_and_the_others_come(desk: Any) -> None:
    partner = await desk.install()
    fault = {"path": ".*/users", "query": "(^|&)page=2(&|$)", "status": 403, "times": None}
    await desk.post("/control/faults", fault)
    token = await partner.token()
    answers = [await partner.call(f"/users?per_page=2&page={page}", token=token) for page in (1, 2, 1, 2)]
    assert [answer.status_code for answer in answers] == [200, 403, 200, 403]


async def test_faults_can_be_taken_back(desk: Any) -> None:
    await desk.post("/control/faults", {"status": 500, "times": 100})
    assert (await desk.control.delete("/control/faults")).json() == {"waiting": 0}
    assert (await desk.http.get("https://api.eu.talkdesk.localhost/account")).status_code == 401


async def test_a_region_is_down_until_the_faults_are_cleared_and_the_others_are_not(desk: Any) -> None:
    await desk.post("/control/faults", {"region": "eu", "cut": True, "times": None})
    for _ in range(2):
        with pytest.raises(httpx.TransportError):
            await desk.http.get("https://api.eu.talkdesk.localhost/account")
    assert (await desk.http.get("https://api.us.talkdesk.localhost/account")).status_code == 401
    await desk.control.delete("/control/faults")
    assert (await desk.http.get("https://api.eu.talkdesk.localhost/account")).status_code == 401


async def test_deliveries_go_wrong_as_often_as_asked_and_can_be_set_right(desk: Any) -> None:
    await desk.post("/control/delivery-faults", {"kind": "drop", "times": 2})
    await desk.post("/control/install", desk.install_body())
    await desk.settle()
    assert desk.receiver.requests == []
    (lost,) = desk.ledger("delivery")
    assert (lost["status"], lost["detail"]["error"], lost["detail"]["fault"]) == (
        None,
        "lost on its way",
        "drop",
    )
    await desk.advance(minutes=5, seconds=1)
    assert desk.receiver.requests == []
    assert (await desk.control.delete("/control/delivery-faults")).json() == {"waiting": 0}
    await desk.advance(minutes=10)
    assert len(desk.receiver.events("app.installed")) == 1
    wrong = await desk.control.post("/control/delivery-faults", json={"kind": "vanish"})
    assert (wrong.status_code, "kind" in wrong.json()["error"]) == (400, True)
