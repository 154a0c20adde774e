"""The Apps, Accounts and Users APIs: records, pages, and each refusal in its documented shape."""

from __future__ import annotations

from typing import Any

import pytest


async def test_the_installation_tells_its_state_scopes_and_installing_admin(desk: Any) -> None:
    partner = await desk.install()
    record = (await partner.call()).json()
    assert record["id"] == partner.id
    assert (record["app_id"], record["account_id"]) == (desk.app["id"], desk.account["id"])
    assert record["scopes"] == desk.app["scopes"]
    assert record["_embedded"]["created_by"]["id"] == desk.users[0]
    assert record["_embedded"]["state"]["state"] == "installing"
    assert record["_links"]["users"]["href"] == f"{partner.url}/users"


async def test_users_come_in_pages_and_next_is_absent_on_the_last(desk: Any) -> None:
    await desk.switch(page_size=2)
    partner = await desk.install()
    first = (await partner.call("/users")).json()
    assert (first["total"], first["page"], first["per_page"]) == (3, 1, 2)
    second = (await partner.call(root=first["_links"]["next"]["href"])).json()
    listed = [user["id"] for page in (first, second) for user in page["_embedded"]["users"]]
    assert listed == desk.users[:3]
    assert "next" not in second["_links"]


@pytest.mark.parametrize("query", ["page=0", "page=x", "per_page=0", "per_page=-1"])
async def test_a_page_that_cannot_be_is_a_bad_request(desk: Any, query: str) -> None:
    partner = await desk.install()
    response = await partner.call(f"/users?{query}")
    assert (response.status_code, set(response.json())) == (400, {"code", "message"})


async def test_a_page_has_at_most_a_hundred_users(desk: Any) -> None:
    partner = await desk.install()
    assert (await partner.call("/users?per_page=1000")).json()["per_page"] == 100


async def test_subscription_and_trial_tell_what_was_bought(desk: Any) -> None:
    partner = await desk.install()
    assert (await partner.call("/trial")).status_code == 404
    await partner.answer("approve")
    subscription = (await partner.call("/subscription")).json()
    assert (subscription["type"], subscription["name"]) == ("trial", "Trial")
    assert (subscription["license_type"], subscription["total_licenses"]) == ("individual", 3)
    trial = (await partner.call("/trial")).json()
    assert (trial["state"], trial["ended_at"], trial["subscription_name"]) == ("active", None, "Trial")


async def test_the_app_shows_its_urls_plans_and_scopes_to_its_own_installations_only(desk: Any) -> None:
    partner = await desk.install()
    record = (await partner.call(root=f"{partner.root}/apps/{desk.app['id']}")).json()
    assert {"type": "installation_subscription", "url": desk.receiver.url} in record["urls"]
    assert [plan["name"] for plan in record["subscription_types"]] == ["Trial", "Standard"]
    other = await desk.post("/control/apps", {"name": "Other", "events_url": desk.receiver.url})
    assert (await partner.call(root=f"{partner.root}/apps/{other['id']}")).status_code == 403
    assert (await partner.call(root=f"{partner.root}/apps/unknown")).status_code == 404


async def test_account_and_users_are_the_tokens_own(desk: Any) -> None:
    partner = await desk.install()
    account = (await partner.call(root=f"{partner.root}/account")).json()
    assert (account["id"], account["name"]) == (desk.account["id"], "acme")
    assert isinstance(account["_links"]["self"]["users"], str)
    assert not {"region", "plan", "reseller"} & set(account)
    page = (await partner.call(root=f"{partner.root}/users?per_page=3")).json()
    assert (page["count"], page["total"], page["total_pages"]) == (3, 4, 2)
    assert {"next", "first", "last", "show", "index"} <= set(page["_links"])
    found = (await partner.call(root=f"{partner.root}/users?email=user1@example.com")).json()
    assert [user["id"] for user in found["_embedded"]["users"]] == [desk.users[1]]
    one = await partner.call(root=f"{partner.root}/users/{desk.users[3]}")
    assert (one.json()["email"], one.json()["active"]) == ("user3@example.com", True)
    _, strangers = desk.new_account("umbrella", "eu")
    missing = await partner.call(root=f"{partner.root}/users/{strangers[0]}")
    assert (missing.status_code, set(missing.json())) == (404, {"code", "message"})


async def test_a_clients_token_speaks_for_no_user(desk: Any) -> None:
    partner = await desk.install()
    response = await partner.call(root=partner.event["_links"]["userinfo"]["href"])
    assert (response.status_code, set(response.json())) == (400, {"code", "message"})


COMMON, ERROR = {"code", "message"}, {"error"}


@pytest.mark.parametrize(
    ("path", "shape"),
    [("", ERROR), ("/users", ERROR), ("/subscription", ERROR), ("/trial", COMMON), ("/state", ERROR)],
)
async def test_a_token_reaches_its_own_installation_only(desk: Any, path: str, shape: set[str]) -> None:
    mine = await desk.install()
    account, users = desk.new_account("umbrella", "eu")
    other = await desk.install(account=account, users=users)
    body = {"state": "approve"} if path == "/state" else None
    foreign = await mine.call(path, root=other.url, body=body)
    assert (foreign.status_code, set(foreign.json())) == (403, shape)
    missing = await mine.call(path, root=other.url.replace(other.id, "unknown"), body=body)
    assert (missing.status_code, set(missing.json())) == (404, shape)
    assert await other.state() == "installing"


@pytest.mark.parametrize(
    ("path", "shape"),
    [("", ERROR), ("/users", ERROR), ("/subscription", ERROR), ("/trial", COMMON), ("/state", ERROR)],
)
async def test_a_token_without_the_scope_is_forbidden(desk: Any, path: str, shape: set[str]) -> None:
    partner = await desk.install()
    lesser = await partner.token(scope="apps:read" if path == "/state" else "apps:write")
    response = await partner.call(path, token=lesser, body={"state": "approve"} if path == "/state" else None)
    assert (response.status_code, set(response.json())) == (403, shape)
    assert await partner.state() == "installing"


@pytest.mark.parametrize(("path", "scope"), [("/account", "users:read"), ("/users", "account:read")])
async def test_account_and_users_need_their_own_scopes(desk: Any, path: str, scope: str) -> None:
    partner = await desk.install()
    response = await partner.call(root=f"{partner.root}{path}", token=await partner.token(scope=scope))
    assert (response.status_code, set(response.json())) == (403, COMMON)


@pytest.mark.parametrize(
    "header", [{}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic YTpi"}]
)
async def test_without_a_known_token_everything_is_unauthorized(desk: Any, header: dict[str, str]) -> None:
    partner = await desk.install()
    for url in (partner.url, f"{partner.url}/users", f"{partner.root}/account", f"{partner.root}/users"):
        response = await desk.http.get(url, headers=header)
        assert (response.status_code, set(response.json())) == (401, COMMON)
    response = await desk.http.post(f"{partner.url}/state", headers=header, json={"state": "approve"})
    assert response.status_code == 401


async def test_a_token_is_unknown_in_another_region(desk: Any) -> None:
    partner = await desk.install()
    token = await partner.token()
    elsewhere = partner.url.replace("api.eu.", "api.us.")
    assert (await partner.call(root=elsewhere, token=token)).status_code == 401


@pytest.mark.parametrize(
    "body", [{}, {"state": "completed"}, {"state": 1}, {"state": "approve", "reason": 5}, []]
)
async def test_a_state_that_is_no_answer_is_a_bad_request(desk: Any, body: Any) -> None:
    partner = await desk.install()
    assert (await partner.call("/state", body=body)).status_code == 400
    assert await partner.state() == "installing"


async def test_signing_keys_need_no_authentication(desk: Any) -> None:
    await desk.install()
    headers, _ = desk.receiver.requests[0]
    key_id = headers["X-Hub-Ecdsa-Signature-Id"]
    for region in ("us", "eu", "ca"):
        url = f"https://api.{region}.talkdesk.localhost/events/signature-keys/{key_id}"
        record = (await desk.http.get(url)).json()
        assert set(record) == {"public_key", "key_id", "created_at", "expires_at"}
        assert record["key_id"] == key_id
    unknown = await desk.http.get("https://api.eu.talkdesk.localhost/events/signature-keys/unknown")
    assert (unknown.status_code, set(unknown.json())) == (404, COMMON)


async def test_each_host_serves_its_own_paths_only(desk: Any) -> None:
    gateway, identity = "https://api.eu.talkdesk.localhost", "https://acme.id.eu.talkdesk.localhost"
    assert (await desk.http.get(f"{gateway}/oauth/certs")).status_code == 404
    assert (await desk.http.get(f"{identity}/account")).status_code == 404
    assert (await desk.http.get(f"{gateway}/account", headers={"Host": "example.com"})).status_code == 421
    assert (await desk.http.get(f"{gateway}/nothing/here")).status_code == 404
    assert (await desk.http.delete(f"{gateway}/account")).status_code == 405
