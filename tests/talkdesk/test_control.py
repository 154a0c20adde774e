"""The control API: what it makes, what it tells, and what it refuses."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest


async def test_apps_accounts_and_users_are_made_and_shown(desk: Any) -> None:
    plan = {
        "name": "Team", "type": "paid", "license_type": "universal", "price": 9,
        "min_licenses": 1, "max_licenses": 1,
    }  # fmt: skip
    app = await desk.post(
        "/control/apps",
        {
            "name": "Another",
            "events_url": desk.receiver.url,
            "launch_url": "https://launch.example/",
            "redirect_uris": ["https://launch.example/callback"],
            "scopes": ["apps:read"],
            "plans": [plan],
        },
    )
    assert (set(app["version"]), app["plans"]) == ({"id", "name"}, [plan])
    account = await desk.post("/control/accounts", {"name": "hooli", "region": "ca", "reseller": True})
    assert account["root"] == "https://api.ca.talkdesk.localhost"
    assert account["identity"] == "https://hooli.id.ca.talkdesk.localhost"
    user = await desk.post(
        f"/control/accounts/{account['id']}/users", {"email": "a@b.example", "name": "A", "active": False}
    )
    changed = await desk.control.patch(f"/control/users/{user['id']}", json={"name": "B", "active": True})
    assert (changed.json()["name"], changed.json()["active"]) == ("B", True)
    state = (await desk.control.get("/control/state")).json()
    assert {"now", "switches", "apps", "accounts", "users", "installations"} <= set(state)
    assert app in state["apps"]
    assert account in state["accounts"]
    assert changed.json() in state["users"]


async def test_many_users_are_made_in_one_request_or_none_of_them(desk: Any) -> None:
    path = f"/control/accounts/{desk.account['id']}/users/bulk"
    before = (await desk.control.get("/control/state")).json()["users"]
    crowd = [{"email": f"u{number}@b.example", "name": f"User {number}"} for number in range(300)]
    refused = await desk.control.post(path, json={"users": [*crowd, {"email": "u@b.example"}]})
    assert refused.status_code == 400
    assert "name" in refused.json()["error"]
    assert (await desk.control.get("/control/state")).json()["users"] == before
    ids = (await desk.post(path, {"users": crowd}))["ids"]
    made = (await desk.control.get("/control/state")).json()["users"][len(before) :]
    assert [user["id"] for user in made] == ids
    assert [{"email": user["email"], "name": user["name"]} for user in made] == crowd


async def test_an_app_changed_with_a_version_name_becomes_a_new_version_for_later_installs(desk: Any) -> None:
    first = await desk.install(approved=True)
    changed = await desk.control.patch(
        f"/control/apps/{desk.app['id']}", json={"version": "2.0.0", "name": "Demo 2"}
    )
    assert changed.json()["version"]["id"] != desk.app["version"]["id"]
    await desk.ask(first, "uninstall")
    await first.answer("approve")
    second = await desk.install()
    assert (first.event["app_version_name"], second.event["app_version_name"]) == ("1.0.0", "2.0.0")
    assert desk.receiver.events("app.uninstalled")[0]["app_version_name"] == "1.0.0"


async def test_the_state_shows_an_installation_without_its_secret(desk: Any) -> None:
    partner = await desk.install(approved=True)
    (shown,) = (await desk.control.get("/control/state")).json()["installations"]
    assert (shown["id"], shown["state"], shown["users"]) == (partner.id, "completed", desk.users[:3])
    (credential,) = shown["credentials"]
    assert (credential["client_id"], credential["status"]) == (partner.data["client_id"], "active")
    assert not {"client_secret", "private_key", "secret_digest"} & set(credential)
    assert shown["trial"]["ended_at"] is None


@pytest.mark.parametrize(
    ("path", "body", "status", "told"),
    [
        ("/control/accounts", {"name": "Not A Label", "region": "eu"}, 400, "name"),
        ("/control/accounts", {"name": "x", "region": "mars"}, 400, "region"),
        ("/control/accounts", {"name": "acme", "region": "eu"}, 409, "acme"),
        ("/control/accounts/nobody/users", {"email": "a@b.c", "name": "x"}, 404, "nobody"),
        ("/control/apps", {"name": "x", "events_url": "ftp://x"}, 400, "events_url"),
        ("/control/apps", {"name": "x", "events_url": "http://x", "plan": []}, 400, "plan"),
        ("/control/install", {"app_id": "none", "account_id": "none", "users": ["u"]}, 404, "none"),
        ("/control/installations/none/update", {}, 404, "none"),
        ("/control/events", {"app_id": "APP"}, 400, "raw"),
        ("/control/events", {"app_id": "APP", "event": {}, "key_id": "none"}, 404, "none"),
        ("/control/events", {"app_id": "none", "event": {}}, 404, "none"),
        ("/control/clock", {"advance_seconds": -1}, 400, "advance_seconds"),
        ("/control/clock", {"advance": 1}, 400, "advance"),
        ("/control/faults", {"path": "("}, 400, "path"),
        ("/control/nothing", {}, 404, "Not Found"),
    ],
)
async def test_what_cannot_be_done_is_refused_with_the_reason(
    desk: Any, path: str, body: dict[str, Any], status: int, told: str
) -> None:
    body = {key: desk.app["id"] if value == "APP" else value for key, value in body.items()}
    response = await desk.control.post(path, json=body)
    assert response.status_code == status
    assert told in response.json()["error"]


async def test_an_install_needs_users_of_the_account_and_a_plan_of_the_app(desk: Any) -> None:
    _, strangers = desk.new_account("umbrella", "eu")
    base = {"app_id": desk.app["id"], "account_id": desk.account["id"]}
    for wrong, status in (
        ({"users": strangers}, 404),
        ({"users": desk.users, "created_by": strangers[0]}, 404),
        ({"users": desk.users, "plan": "None"}, 404),
        ({"users": []}, 400),
    ):
        assert (await desk.control.post("/control/install", json={**base, **wrong})).status_code == status
    assert desk.receiver.requests == []


async def test_the_clock_goes_forward_exactly_and_runs_on(desk: Any) -> None:
    def read(response: Any) -> datetime:
        return datetime.fromisoformat(response.json()["now"])

    before = read(await desk.control.get("/control/clock"))
    after = read(await desk.control.post("/control/clock", json={"advance_seconds": 86400}))
    later = read(await desk.control.get("/control/clock"))
    assert 86400 <= (after - before).total_seconds() < 86410
    assert after <= later


async def test_what_falls_due_happens_by_itself_too(desk: Any) -> None:
    partner = await desk.install(approved=True)
    soon = datetime.fromtimestamp(desk.talkdesk.clock.now().timestamp() + 0.05).astimezone().isoformat()
    await desk.ask(partner, "trial/extend", {"expires_at": soon})
    page = (await desk.control.get("/control/ledger")).json()
    while not any(entry.get("event_type") == "app.trial_ended" for entry in page["entries"]):
        page = (await desk.control.get("/control/ledger", params={"since": page["next"], "wait": 5})).json()
        assert page["entries"], "nothing happened"
    assert await partner.state() == "suspended"


async def test_the_same_person_may_use_the_app_in_two_accounts(desk: Any) -> None:
    account, users = desk.new_account("umbrella", "us")
    first, second = await desk.install(), await desk.install(account=account, users=users[:3])
    for partner in (first, second):
        listed = (await partner.call("/users")).json()["_embedded"]["users"]
        assert [user["email"] for user in listed] == [f"user{number}@example.com" for number in range(3)]
    assert not set(desk.users) & set(users)
    assert (first.root, second.root) == (
        "https://api.eu.talkdesk.localhost",
        "https://api.us.talkdesk.localhost",
    )
