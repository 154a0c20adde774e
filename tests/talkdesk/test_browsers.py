"""What browsers see of the stand-in: its listener, signing in and out, launching; what the ledger tells."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

IDENTITY = "https://acme.id.eu.talkdesk.localhost"


async def test_the_authorization_link_leads_to_the_listener_for_browsers(desk: Any) -> None:
    partner = await desk.install()
    port = urlsplit(str(desk.browser.base_url)).port
    link = partner.event["_links"]["authorization"]["href"]
    assert link == f"http://acme.id.eu.talkdesk.localhost:{port}/oauth/authorize"
    assert partner.event["_links"]["tokens"]["href"] == f"{IDENTITY}/oauth/token"
    await desk.switch(token_link="absent")
    account, users = desk.new_account("umbrella", "us")
    other = await desk.install(account=account, users=users)
    link = other.event["_links"]["authorization"]["href"]
    assert link == "https://umbrella.id.us.talkdesk.localhost/oauth/authorize"


async def test_it_serves_identity_hosts_and_the_bar_and_nothing_else(desk: Any) -> None:
    port = urlsplit(str(desk.browser.base_url)).port

    async def status(host: str, path: str) -> int:
        return int((await desk.browse(f"http://{host}{path}")).status_code)

    assert await status(f"acme.id.eu.talkdesk.localhost:{port}", "/login") == 200
    assert await status("acme.id.eu.talkdesk.localhost", "/login") == 200
    assert await status("nobody.id.eu.talkdesk.localhost", "/login") == 404
    assert await status("acme.id.us.talkdesk.localhost", "/login") == 404
    for host in ("api.eu.talkdesk.localhost", "127.0.0.1", "evil.example", "id.eu.talkdesk.localhost"):
        assert await status(host, "/login") == 421, host
        assert await status(host, "/bar.js") == 200, host
    for path in ("/oauth/token", "/oauth/certs", "/users/me", "/account", "/scim/v2/Users", "/control/state"):
        assert await status("acme.id.eu.talkdesk.localhost", path) == 404, path


async def test_the_sign_in_pages_are_there_for_browsers_behind_the_proxy_too(desk: Any) -> None:
    page = await desk.http.get(f"{IDENTITY}/login")
    assert (page.status_code, "Who are you?" in page.text) == (200, True)
    assert (await desk.http.get("https://api.eu.talkdesk.localhost/login")).status_code == 404


async def test_the_page_lists_the_accounts_active_users_and_escapes_their_names(desk: Any) -> None:
    desk.new_account("umbrella", "eu")
    body = {"email": "x@example.com", "name": '<script>alert("x")</script>'}
    await desk.post(f"/control/accounts/{desk.account['id']}/users", body)
    await desk.control.patch(f"/control/users/{desk.users[0]}", json={"active": False})
    page = await desk.browse(f"{IDENTITY}/login")
    assert page.text.count('name="user"') == 4
    assert [user in page.text for user in desk.users] == [False, True, True, True]
    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text
    assert page.headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]


async def test_a_large_account_is_searched(desk: Any) -> None:
    for number in range(60):
        await desk.post(
            f"/control/accounts/{desk.account['id']}/users",
            {"email": f"many{number}@example.com", "name": f"One of Many {number}"},
        )
    page = await desk.browse(f"{IDENTITY}/login?return_to=/oauth/authorize%3Fa")
    assert "50 of 64 users are shown" in page.text
    found = await desk.browse(f"{IDENTITY}/login?find=MANY59&return_to=/oauth/authorize%3Fa")
    assert (found.text.count('name="user"'), "One of Many 59" in found.text) == (1, True)
    assert 'value="/oauth/authorize?a"' in found.text
    assert "No user fits" in (await desk.browse(f"{IDENTITY}/login?find=nobody")).text


async def test_the_cookie_is_the_hosts_own_and_out_of_scripts_reach(desk: Any) -> None:
    response = await desk.browse(f"{IDENTITY}/login", form={"user": desk.users[0]})
    cookie = response.headers["Set-Cookie"]
    assert {"HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
    assert "Domain" not in cookie


@pytest.mark.parametrize("user", ["", "nobody", "stranger", "inactive"])
async def test_nobody_else_can_be_signed_in(desk: Any, user: str) -> None:
    _, strangers = desk.new_account("umbrella", "eu")
    await desk.control.patch(f"/control/users/{desk.users[1]}", json={"active": False})
    chosen = {"stranger": strangers[0], "inactive": desk.users[1]}.get(user, user)
    response = await desk.browse(f"{IDENTITY}/login", form={"user": chosen})
    assert (response.status_code, "Set-Cookie" in response.headers) == (400, False)


@pytest.mark.parametrize(
    "path", ["https://evil.example/", "//evil.example/", "/\\evil.example", "/\n/evil.example", "evil", ""]
)
async def test_signing_in_leads_to_no_other_host(desk: Any, path: str) -> None:
    form = {"user": desk.users[0], "return_to": path}
    response = await desk.browse(f"{IDENTITY}/login", form=form)
    assert (response.status_code, response.headers["Location"]) == (303, "/login")
    left = await desk.browse(f"{IDENTITY}/logout", params={"return_to": path})
    assert left.status_code == 200


async def test_who_is_signed_in_is_told_so_and_may_change(desk: Any) -> None:
    await desk.sign_in(desk.users[0])
    assert "is signed in to Talkdesk" in (await desk.browse(f"{IDENTITY}/login")).text
    assert "Who are you?" in (await desk.browse(f"{IDENTITY}/login?change=1")).text
    assert "You are signed in as User 0" in (await desk.browse(f"{IDENTITY}/login?return_to=/x")).text


async def test_signing_out_ends_the_session_and_the_apps_hear_of_it(desk: Any) -> None:
    partner = await desk.install(approved=True)
    await desk.sign_in(desk.users[0])
    stolen = dict(desk.browser.cookies)
    assert "signed out" in (await desk.browse(f"{IDENTITY}/logout")).text
    await desk.settle()
    (event,) = desk.receiver.events("user.logout")
    assert (event["data"]["user_id"], event["data"]["installation_id"]) == (desk.users[0], partner.id)
    desk.browser.cookies.update(stolen)
    assert (await partner.authorize()).headers["Location"].startswith("/login?")
    await desk.browse(f"{IDENTITY}/logout")  # nobody is signed in: nothing to tell
    await desk.settle()
    assert len(desk.receiver.events("user.logout")) == 1


async def test_an_app_that_a_user_is_not_licensed_for_hears_of_no_sign_out(desk: Any) -> None:
    await desk.install(approved=True, users=desk.users[:3])
    await desk.sign_in(desk.users[3])
    back = await desk.browse(f"{IDENTITY}/logout", params={"return_to": "/login"})
    assert (back.status_code, back.headers["Location"]) == (303, "/login")
    await desk.settle()
    assert desk.receiver.events("user.logout") == []


async def test_a_sign_out_by_the_control_api_ends_the_users_sessions_in_every_browser(desk: Any) -> None:
    partner = await desk.install(approved=True)
    await desk.sign_in(desk.users[0])
    await desk.ask(partner, "logout", {"user_id": desk.users[1]})
    assert "code=" in (await partner.authorize()).headers["Location"]
    await desk.ask(partner, "logout", {"user_id": desk.users[0]})
    assert (await partner.authorize()).headers["Location"].startswith("/login?")


async def test_the_icon_opens_the_launch_url_with_its_two_parameters(desk: Any) -> None:
    partner = await desk.install()
    await desk.control.patch(
        f"/control/apps/{desk.app['id']}", json={"launch_url": "https://launch.example/_td/launch?a=b"}
    )
    asked = {"installation_id": partner.id, "user_id": desk.users[3]}  # not licensed: the link may be known
    url = urlsplit((await desk.control.get("/control/launch", params=asked)).json()["url"])
    assert url._replace(query="").geturl() == "https://launch.example/_td/launch"
    assert parse_qs(url.query) == {
        "a": ["b"], "talkdesk_installation_id": [partner.id], "talkdesk_user_id": [desk.users[3]],
    }  # fmt: skip


@pytest.mark.parametrize(("change", "status"), [("missing", 400), ("unknown", 404), ("stranger", 404)])
async def test_a_launch_of_nobody_or_nothing_is_refused(desk: Any, change: str, status: int) -> None:
    partner = await desk.install()
    _, strangers = desk.new_account("umbrella", "eu")
    user = {"missing": {}, "unknown": {"user_id": "x"}, "stranger": {"user_id": strangers[0]}}[change]
    response = await desk.control.get("/control/launch", params={"installation_id": partner.id, **user})
    assert response.status_code == status
    assert "user" in response.json()["error"]


async def test_faults_reach_the_listener_for_browsers(desk: Any) -> None:
    partner = await desk.install()
    await desk.sign_in(desk.users[0])
    await desk.post("/control/faults", {"path": "/oauth/authorize", "status": 503})
    assert (await partner.authorize()).status_code == 503
    await desk.post("/control/faults", {"path": "/oauth/authorize", "cut": True, "when": "after"})
    with pytest.raises(httpx.TransportError):
        await partner.authorize()
    assert (await partner.authorize()).status_code == 302
    await desk.post("/control/faults", {"path": "/bar.js", "status": 404})
    assert (await desk.browse("http://127.0.0.1/bar.js")).status_code == 404


async def test_the_ledger_tells_every_step_and_neither_code_nor_token(desk: Any) -> None:
    partner = await desk.install()
    await partner.authorize(state="canary-state", nonce="canary-nonce")
    await desk.browse(f"{IDENTITY}/login?return_to=/canary-path")
    await desk.sign_in(desk.users[0])
    cookie = desk.browser.cookies["talkdesk_session"]
    code = await partner.code(scope="openid refresh_token scim", code_challenge="canary-" + "x" * 43)
    await partner.redeem("canary-code")
    body = (await partner.redeem(code, code_verifier="canary-" + "x" * 43)).json()
    await partner.call("/users/me", token=body["access_token"], root=partner.root)
    await partner.call("/scim/v2/Users", token=body["access_token"], root=partner.root)
    await desk.browse("http://127.0.0.1/bar.js")
    await desk.browse(f"{IDENTITY}/logout")
    told = [
        (entry["kind"], entry["method"], urlsplit(entry["url"]).path, entry["status"])
        for entry in desk.ledger()
        if entry["kind"] in {"authorize", "token", "api"}
    ]
    assert told == [
        ("authorize", "GET", "/oauth/authorize", 302),
        ("authorize", "GET", "/login", 200),
        ("authorize", "POST", "/login", 303),
        ("authorize", "GET", "/oauth/authorize", 302),
        ("token", "POST", "/oauth/token", 400),
        ("token", "POST", "/oauth/token", 200),
        ("api", "GET", "/users/me", 200),
        ("api", "GET", "/scim/v2/Users", 200),
        ("api", "GET", "/bar.js", 200),
        ("authorize", "GET", "/logout", 200),
    ]
    asked, *_, answered = [entry for entry in desk.ledger("authorize") if entry["url"].endswith("/authorize")]
    assert asked["detail"]["outcome"] == "sign-in"
    assert (answered["detail"]["outcome"], answered["detail"]["user_id"]) == ("code", desk.users[0])
    assert (answered["installation_id"], answered["account_id"]) == (partner.id, desk.account["id"])
    assert desk.ledger("token")[-1]["detail"]["user_id"] == desk.users[0]
    text = json.dumps(desk.ledger()) + json.dumps((await desk.control.get("/control/state")).json())
    secrets = [
        code,
        cookie,
        "canary",
        *(body[name] for name in ("sid", "id_token", "access_token", "refresh_token")),
    ]
    assert [secret[:8] for secret in secrets if secret in text] == []
