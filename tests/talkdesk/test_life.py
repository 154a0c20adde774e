"""An installation's life, as Talkdesk's admins, the partner and the clock drive it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest


async def test_an_approved_install_is_completed_and_its_trial_starts(desk: Any) -> None:
    partner = await desk.install(plan="Trial")
    answer = await partner.answer("approve")
    assert (answer.status_code, answer.json()["state"]) == (200, "completed")
    await desk.settle()
    (started,) = desk.receiver.events("app.trial_started")
    assert started["data"]["installation_id"] == partner.id
    assert started["data"]["expires_at"] == (await partner.call("/trial")).json()["expires_at"]
    assert "app_version_name" not in started


async def test_an_install_on_a_paid_plan_starts_no_trial(desk: Any) -> None:
    partner = await desk.install(plan="Standard", approved=True)
    assert (await partner.call("/trial")).status_code == 404
    assert [event["type"] for event in desk.receiver.events()] == ["app.installed"]


async def test_a_rejected_install_is_rejected_with_its_reason(desk: Any) -> None:
    partner = await desk.install()
    answer = await partner.answer("reject", reason="no seats")
    assert (answer.json()["state"], answer.json()["reason"]) == ("rejected", "no seats")
    await desk.settle()
    assert desk.receiver.events("app.trial_started") == []


async def test_an_unanswered_install_times_out_after_seven_days_and_not_before(desk: Any) -> None:
    partner = await desk.install()
    await desk.advance(days=6, hours=23)
    assert await partner.state() == "installing"
    await desk.advance(hours=1)
    assert await partner.state() == "timeout"
    assert (await partner.answer("approve")).status_code == 409


async def test_an_update_waits_for_its_answer_and_then_holds(desk: Any) -> None:
    partner = await desk.install(approved=True)
    adding, removing = desk.users[3], desk.users[1]
    await desk.ask(partner, "update", {"adding": [adding], "removing": [removing]})
    (event,) = desk.receiver.events("app.updated")
    assert event["data"]["users"] == {"adding": [adding], "removing": [removing]}
    assert "subscription" not in event["data"]
    assert "installation" not in event["_links"]
    assert await partner.state() == "updating"
    await partner.answer("approve")
    assert await partner.state() == "completed"
    listed = (await partner.call("/users")).json()["_embedded"]["users"]
    assert [user["id"] for user in listed] == [desk.users[0], desk.users[2], desk.users[3]]


@pytest.mark.parametrize("how", ["reject", "timeout"])
async def test_an_update_that_is_not_approved_leaves_the_previous_settings(desk: Any, how: str) -> None:
    partner = await desk.install(approved=True)
    await desk.ask(partner, "update", {"adding": [desk.users[3]], "plan": "Standard"})
    if how == "reject":
        await partner.answer("reject")
    else:
        await desk.advance(days=7)
    assert await partner.state() == "completed"
    listed = (await partner.call("/users")).json()["_embedded"]["users"]
    assert [user["id"] for user in listed] == desk.users[:3]
    assert (await partner.call("/subscription")).json()["name"] == "Trial"


async def test_licences_are_bought_with_users_and_kept_without_them(desk: Any) -> None:
    partner = await desk.install(plan="Standard", approved=True)
    await desk.ask(partner, "update", {"adding": [desk.users[3]]})
    await partner.answer("approve")
    assert desk.receiver.events("app.updated")[0]["data"]["subscription"] == {
        "adding": {"name": "Standard", "licenses": "1"}
    }
    await desk.ask(partner, "update", {"removing": [desk.users[3]]})
    await partner.answer("approve")
    assert (await partner.call("/subscription")).json()["total_licenses"] == 4


async def test_the_admin_who_installed_cannot_be_removed(desk: Any) -> None:
    partner = await desk.install(approved=True)
    response = await desk.control.post(
        f"/control/installations/{partner.id}/update", json={"removing": [desk.users[0]]}
    )
    assert (response.status_code, set(response.json())) == (409, {"error"})


async def test_an_uninstall_is_told_at_once_and_ends_the_credentials_with_the_answer(desk: Any) -> None:
    partner = await desk.install(approved=True)
    await desk.ask(partner, "uninstall", {"reason": "too dear"})
    (event,) = desk.receiver.events("app.uninstalled")
    assert event["data"]["reason"] == {"type": "other", "message": "too dear"}
    assert event["_links"]["installation"]["href"] == partner.url
    assert await partner.state() == "uninstalled"
    token = await partner.token()
    assert (await partner.answer("approve")).json()["state"] == "uninstalled"
    assert (await partner.call(token=token)).status_code == 401
    refused = await partner.ask()
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")


async def test_an_unanswered_uninstall_ends_the_credentials_after_seven_days(desk: Any) -> None:
    partner = await desk.install(plan="Standard", approved=True)
    await desk.ask(partner, "uninstall")
    await desk.advance(days=6)
    assert (await partner.ask()).status_code == 200
    await desk.advance(days=1)
    assert (await partner.ask()).status_code == 401


async def test_a_reinstall_is_another_installation_with_other_credentials_in_the_same_account(
    desk: Any,
) -> None:
    first = await desk.install(approved=True)
    await desk.ask(first, "uninstall")
    await first.answer("approve")
    second = await desk.install(approved=True)
    for field in ("installation_id", "client_id", "client_secret", "private_key", "key_id"):
        assert first.data[field] != second.data[field]
    assert first.data["account_id"] == second.data["account_id"]
    assert await second.state() == "completed"
    assert (await first.ask()).status_code == 401


async def test_an_app_is_installed_once_in_an_account(desk: Any) -> None:
    await desk.install()
    response = await desk.control.post(
        "/control/install",
        json={"app_id": desk.app["id"], "account_id": desk.account["id"], "users": desk.users[:1]},
    )
    assert response.status_code == 409


async def test_one_request_at_a_time_waits_for_an_answer(desk: Any) -> None:
    partner = await desk.install()
    for action in ("update", "uninstall"):
        response = await desk.control.post(f"/control/installations/{partner.id}/{action}", json={})
        assert response.status_code == 409


async def test_of_many_answers_at_once_one_is_effective(desk: Any) -> None:
    partner = await desk.install()
    tokens = [await partner.token() for _ in range(4)]
    answers = await asyncio.gather(
        *(partner.call("/state", token=token, body={"state": "approve"}) for token in tokens)
    )
    assert {answer.status_code for answer in answers} == {200}
    approvals = [
        entry["detail"] for entry in desk.ledger("transition") if entry["detail"]["answer"] == "approve"
    ]
    assert [one["effective"] for one in approvals] == [True, False, False, False]
    await desk.settle()
    assert len(desk.receiver.events("app.trial_started")) == 1


async def test_a_contrary_answer_and_one_that_nothing_waits_for_conflict(desk: Any) -> None:
    partner = await desk.install(approved=True)
    contrary = await partner.answer("reject")
    assert (contrary.status_code, set(contrary.json())) == (409, {"error"})
    assert await partner.state() == "completed"


async def test_every_change_has_a_later_updated_at(desk: Any) -> None:
    partner = await desk.install(plan="Standard")
    stamps = [(await partner.answer("approve")).json()["updated_at"]]
    for _ in range(3):
        await desk.ask(partner, "update", {"adding": [desk.users[3]]})
        record = (await partner.call()).json()
        stamps.append(record["_embedded"]["state"]["updated_at"])
        stamps.append((await partner.answer("reject")).json()["updated_at"])
    assert stamps == sorted(set(stamps))


async def test_a_trial_expires_after_thirty_days_and_the_customer_is_cut_off(desk: Any) -> None:
    partner = await desk.install(approved=True)
    await desk.advance(days=29)
    assert await partner.state() == "completed"
    await desk.advance(days=1)
    assert await partner.state() == "suspended"
    (ended,) = desk.receiver.events("app.trial_ended")
    assert (ended["data"]["ended_reason"], ended["data"]["ended_by"]) == ("trial_expired", "system")
    assert ended["data"]["ended_at"] == ended["data"]["expires_at"]
    assert (await partner.call("/trial")).json()["state"] == "ended"


async def test_an_extended_trial_ends_at_its_new_time(desk: Any) -> None:
    partner = await desk.install(approved=True)
    until = (await desk.control.get("/control/clock")).json()["now"].replace("20", "21", 1)
    await desk.ask(partner, "trial/extend", {"expires_at": until})
    (extended,) = desk.receiver.events("app.trial_extended")
    assert extended["data"]["expires_at"][:10] == until[:10]
    await desk.advance(days=31)
    assert await partner.state() == "completed"
    assert desk.receiver.events("app.trial_ended") == []


async def test_an_upgrade_ends_the_trial_for_good(desk: Any) -> None:
    partner = await desk.install(approved=True)
    await desk.ask(partner, "update", {"plan": "Standard"})
    await partner.answer("approve")
    await desk.settle()
    (ended,) = desk.receiver.events("app.trial_ended")
    assert (ended["data"]["ended_reason"], ended["data"]["ended_by"]) == ("plan_upgraded", "user")
    await desk.advance(days=31)
    assert await partner.state() == "completed"
    assert len(desk.receiver.events("app.trial_ended")) == 1


async def test_a_suspended_customer_comes_back_with_a_paid_plan(desk: Any) -> None:
    partner = await desk.install(approved=True)
    await desk.ask(partner, "trial/end")
    assert await partner.state() == "suspended"
    await desk.ask(partner, "update", {"plan": "Standard"})
    await partner.answer("approve")
    assert await partner.state() == "completed"


async def test_an_uninstall_ends_the_trial(desk: Any) -> None:
    partner = await desk.install(approved=True)
    await desk.ask(partner, "uninstall")
    (ended,) = desk.receiver.events("app.trial_ended")
    assert ended["data"]["ended_reason"] == "app_uninstalled"


async def test_a_logout_names_the_user_and_carries_no_version(desk: Any) -> None:
    partner = await desk.install(approved=True)
    await desk.ask(partner, "logout", {"user_id": desk.users[1]})
    (event,) = desk.receiver.events("user.logout")
    assert event["data"] == {
        "installation_id": partner.id,
        "account_id": desk.account["id"],
        "user_id": desk.users[1],
        "user_email": "user1@example.com",
    }
    assert not {"app_version_id", "app_version_name"} & set(event)
    assert event["_links"]["user"]["href"] == f"{partner.root}/users/{desk.users[1]}"
    stranger = await desk.control.post(
        f"/control/installations/{partner.id}/logout", json={"user_id": desk.users[3]}
    )
    assert stranger.status_code == 409
