"""The authorization endpoint is as strict as Talkdesk would be: who may ask, where codes go, what is told."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

CALLBACK = "https://app.example/callback"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def _told(response: Any) -> dict[str, str]:
    """What the redirect brings the app."""
    assert response.status_code == 302, response.text
    location = urlsplit(response.headers["Location"])
    assert location._replace(query="").geturl() == CALLBACK
    return {name: one for name, (one,) in parse_qs(location.query, keep_blank_values=True).items()}


async def test_a_signed_in_user_is_sent_back_at_once_with_a_code_and_the_state(desk: Any) -> None:
    partner = await desk.install()
    await desk.sign_in(desk.users[0])
    told = _told(await partner.authorize(state="a b+c/&=é"))
    assert set(told) == {"code", "state"}
    assert told["state"] == "a b+c/&=é"
    assert len(told["code"]) >= 32
    assert set(_told(await partner.authorize())) == {"code"}
    assert _told(await partner.authorize())["code"] != told["code"]


async def test_a_query_of_the_redirect_uri_stays(desk: Any) -> None:
    partner = await desk.install()
    await desk.sign_in(desk.users[0])
    assert _told(await partner.authorize(redirect_uri=f"{CALLBACK}?tenant=1"))["tenant"] == "1"


@pytest.mark.parametrize("signed_in", [True, False])
@pytest.mark.parametrize(
    "query",
    [
        {"client_id": None},
        {"client_id": "nobody"},
        {"redirect_uri": None},
        {"redirect_uri": ""},
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": f"{CALLBACK}/"},
        {"redirect_uri": f"{CALLBACK}?more=1"},
        {"redirect_uri": CALLBACK.upper()},
        {"redirect_uri": "https://app.example/callback/../callback"},
    ],
)
async def test_an_unknown_client_or_redirect_gets_a_page_and_no_redirect(
    desk: Any, query: dict[str, str | None], signed_in: bool
) -> None:
    partner = await desk.install()
    if signed_in:
        await desk.sign_in(desk.users[0])
    response = await partner.authorize(**query)
    assert response.status_code == 400
    assert response.headers["Content-Type"].startswith("text/html")
    assert "Location" not in response.headers
    assert "evil" not in response.text


async def test_a_parameter_that_comes_twice_gets_a_page(desk: Any) -> None:
    partner = await desk.install()
    await desk.sign_in(desk.users[0])
    twice = f"{partner.identity}/oauth/authorize?client_id={partner.data['client_id']}"
    response = await desk.browse(f"{twice}&redirect_uri={CALLBACK}&redirect_uri={CALLBACK}")
    assert (response.status_code, "Location" in response.headers) == (400, False)


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"response_type": None}, "unsupported_response_type"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "openid recordings:read"}, "invalid_scope"),
        ({"scope": "openid,apps:read"}, "invalid_scope"),
        ({"code_challenge": "too-short"}, "invalid_request"),
        ({"code_challenge": CHALLENGE, "code_challenge_method": "S512"}, "invalid_request"),
        ({"code_challenge_method": "S256"}, "invalid_request"),
    ],
)
async def test_any_other_error_is_told_to_the_app_with_the_state(
    desk: Any, query: dict[str, str | None], error: str
) -> None:
    partner = await desk.install()
    await desk.sign_in(desk.users[0])
    told = _told(await partner.authorize(**query, state="s"))
    assert (told["error"], told["state"]) == (error, "s")
    assert set(told) == {"error", "error_description", "state"}


async def test_a_client_belongs_to_one_account_and_to_no_other(desk: Any) -> None:
    partner = await desk.install()
    _, users = desk.new_account("umbrella", "eu")
    elsewhere = "https://umbrella.id.eu.talkdesk.localhost"
    await desk.sign_in(users[0], elsewhere)
    partner.identity = elsewhere
    assert (await partner.authorize()).status_code == 400
    partner.identity = "https://nobody.id.eu.talkdesk.localhost"
    assert (await partner.authorize()).status_code == 404


async def test_a_session_is_good_in_its_own_account_alone(desk: Any) -> None:
    partner = await desk.install()
    _, users = desk.new_account("umbrella", "eu")
    await desk.sign_in(users[0], "https://umbrella.id.eu.talkdesk.localhost")
    response = await partner.authorize()
    assert response.headers["Location"].startswith("/login?")


async def test_who_is_not_licensed_gets_a_code_all_the_same(desk: Any) -> None:
    partner = await desk.install(users=desk.users[:3])
    await desk.sign_in(desk.users[3])
    assert "code" in _told(await partner.authorize())


async def test_who_is_not_signed_in_goes_by_the_sign_in_page_and_then_on(desk: Any) -> None:
    partner = await desk.install()
    asked = await partner.authorize(state="s", nonce="n")
    login = asked.headers["Location"]
    assert (asked.status_code, login.partition("?")[0]) == (302, "/login")
    page = await desk.browse(partner.identity + login)
    assert page.status_code == 200
    (return_to,) = parse_qs(urlsplit(login).query)["return_to"]
    chosen = await desk.browse(
        f"{partner.identity}/login", form={"user": desk.users[1], "return_to": return_to}
    )
    assert (chosen.status_code, chosen.headers["Location"]) == (303, return_to)
    assert _told(await desk.browse(partner.identity + return_to))["state"] == "s"


async def test_the_redirects_are_those_of_the_installed_version(desk: Any) -> None:
    old = await desk.install(approved=True)
    new_uri = "https://new.example/callback"
    changes = {"version": "2.0.0", "redirect_uris": [new_uri], "launch_url": "https://new.example/"}
    await desk.control.patch(f"/control/apps/{desk.app['id']}", json=changes)
    account, users = desk.new_account("umbrella", "eu")
    new = await desk.install(account=account, users=users)
    await desk.sign_in(desk.users[0])
    assert (await old.authorize()).status_code == 302
    assert (await old.authorize(redirect_uri=new_uri)).status_code == 400
    assert (await new.authorize(redirect_uri=new_uri)).status_code == 302
    assert (await new.authorize()).status_code == 400
    launched = await desk.control.get(
        "/control/launch", params={"installation_id": old.id, "user_id": desk.users[0]}
    )
    assert launched.json()["url"].startswith("https://app.example/launch?")


async def test_after_an_uninstall_the_client_is_unknown(desk: Any) -> None:
    partner = await desk.install(approved=True)
    await desk.sign_in(desk.users[0])
    await desk.ask(partner, "uninstall")
    await partner.answer("approve")
    assert (await partner.authorize()).status_code == 400


async def test_an_account_signs_on_under_its_former_name_too(desk: Any) -> None:
    partner = await desk.install()
    await desk.control.patch(f"/control/accounts/{desk.account['id']}", json={"name": "acme-corp"})
    await desk.sign_in(desk.users[0])
    assert "code" in _told(await partner.authorize())
