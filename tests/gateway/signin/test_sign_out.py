"""Signing out, and what the app's scripts may ask about the session."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from talkdesk_gateway import sessions


async def signed_in(gateway: Any) -> Any:
    """A browser with a session of u1."""
    browser = gateway.browser()
    await browser.follow(gateway.launch_url())
    assert sessions.SESSION_COOKIE in browser.cookies()
    return browser


async def test_signing_out_asks_first_so_that_no_link_does_it(gateway: Any) -> None:
    browser = await signed_in(gateway)
    answer = await browser.get(gateway.url("/_td/sign-out"))
    assert answer.status_code == 200
    assert "You are signed in as User u1" in answer.text
    assert '<form method="post">' in answer.text
    assert "form-action 'self'" in answer.headers["Content-Security-Policy"]
    # Under no-referrer the form's Origin would be null.
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert gateway.signed_out.made == []
    assert sessions.SESSION_COOKIE in browser.cookies()


async def test_the_form_ends_all_the_users_sessions_and_takes_every_cookie_of_ours(gateway: Any) -> None:
    browser = await signed_in(gateway)
    await browser.get(gateway.url("/_td/start"))
    answer = await browser.post(gateway.url("/_td/sign-out"), Origin=gateway.origin(gateway.host))
    assert answer.status_code == 200
    assert "You are signed out" in answer.text
    assert browser.cookies() == {}
    ((installation, user, cause),) = gateway.signed_out.made
    assert (installation, user) == ("i1", "u1")
    assert cause.startswith("sign-out/")
    assert gateway.counted("sign-out", "signed-out") == 1


async def test_pressing_twice_is_one_sign_out(gateway: Any) -> None:
    gateway.signed_out.operating = False
    browser = await signed_in(gateway)
    cookies = {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies().items())}
    for _ in range(2):
        answer = await browser.post(
            gateway.url("/_td/sign-out"), Origin=gateway.origin(gateway.host), **cookies
        )
        assert answer.status_code == 200
    assert len(set(gateway.signed_out.made)) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://i2.apps.example.com"},
        {"Origin": "null"},
        {"Origin": "https://evil.example"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Origin": "null", "Sec_Fetch_Site": "same-site"},
        {"Origin": "null", "Sec_Fetch_Site": "cross-site"},
    ],
)
async def test_another_sites_form_signs_nobody_out(gateway: Any, headers: dict[str, str]) -> None:
    browser = await signed_in(gateway)
    answer = await browser.post(gateway.url("/_td/sign-out"), **headers)
    assert answer.status_code == 403
    assert "This request came from another site" in answer.text
    assert gateway.signed_out.made == []
    assert sessions.SESSION_COOKIE in browser.cookies()


async def test_a_form_of_the_tenants_own_page_that_sends_no_referrer_signs_out(gateway: Any) -> None:
    browser = await signed_in(gateway)
    own = {"Origin": "null", "Sec_Fetch_Site": "same-origin"}
    answer = await browser.post(gateway.url("/_td/sign-out"), **own)
    assert answer.status_code == 200
    assert EVERYWHERE in answer.text
    assert browser.cookies() == {}


async def test_a_sign_out_that_cannot_be_stored_says_so_and_can_be_tried_again(gateway: Any) -> None:
    browser = await signed_in(gateway)
    gateway.signed_out.failing = True
    url, origin = gateway.url("/_td/sign-out"), gateway.origin(gateway.host)
    answer = await browser.post(url, Origin=origin)
    assert answer.status_code == 503
    assert "You are still signed in" in answer.text
    assert sessions.SESSION_COOKIE in browser.cookies()
    gateway.signed_out.failing = False
    assert (await browser.post(url, Origin=origin)).status_code == 200
    assert len(gateway.signed_out.made) == 1


async def form(gateway: Any, browser: Any, **headers: str) -> Any:
    """The answer to our own page's form."""
    origin = gateway.origin(gateway.host)
    return await browser.post(gateway.url("/_td/sign-out"), Origin=origin, **headers)


EVERYWHERE = "Your sessions in this app have ended, in every browser"
HERE = "You are not signed in here"
STORED = "end as soon as it is carried out"


async def test_a_sign_out_that_nobody_carried_out_yet_claims_nothing_about_other_browsers(
    gateway: Any,
) -> None:
    gateway.signed_out.operating = False
    browser = await signed_in(gateway)
    answer = await form(gateway, browser)
    assert answer.status_code == 200
    assert STORED in answer.text
    assert "have ended" not in answer.text
    assert browser.cookies() == {}
    assert [user for _, user, _ in gateway.signed_out.made] == ["u1"]
    assert gateway.counted("sign-out", "stored") == 1


@pytest.mark.parametrize(
    ("meanwhile", "ended"),
    [
        ({"users": {"u1": "e2"}}, True),
        ({"users": {}}, True),
        ({"users": {"u1": "e1", "u2": "e2"}}, False),
        ({"users_known": False}, False),
    ],
)
async def test_sessions_are_said_to_have_ended_once_it_is_seen(
    world: Any, meanwhile: dict[str, Any], ended: bool
) -> None:
    world.signed_out.operating = False
    async with world.serving(world.parts(settle_seconds=20.0 if ended else 0.3)):
        browser = await signed_in(world)
        asked = asyncio.create_task(form(world, browser))
        await world.directory.heard()
        assert not asked.done()
        world.put(**meanwhile)
        answer = await asyncio.wait_for(asked, 5)
        assert (EVERYWHERE in answer.text, STORED in answer.text) == (ended, not ended)
        assert not world.directory.listeners


@pytest.mark.parametrize("ago", [timedelta(hours=12), timedelta(days=7, seconds=-1)])
async def test_a_browser_beyond_its_idle_limit_still_ends_the_sessions_of_the_others(
    gateway: Any, ago: timedelta
) -> None:
    browser = await signed_in(gateway)
    gateway.now += ago
    answer = await form(gateway, browser)
    assert [user for _, user, _ in gateway.signed_out.made] == ["u1"]
    assert answer.status_code == 200
    assert EVERYWHERE in answer.text
    assert browser.cookies() == {}


async def test_a_browser_beyond_its_idle_limit_is_asked_and_shows_nobodys_name(gateway: Any) -> None:
    browser = await signed_in(gateway)
    gateway.now += timedelta(hours=12)
    answer = await browser.get(gateway.url("/_td/sign-out"))
    assert "Sign out?" in answer.text
    assert '<form method="post">' in answer.text
    assert "You are signed in" not in answer.text
    assert "User u1" not in answer.text
    assert gateway.signed_out.made == []
    assert sessions.SESSION_COOKIE in browser.cookies()


async def test_a_sign_out_beyond_the_idle_limit_that_cannot_be_stored_says_so(gateway: Any) -> None:
    browser = await signed_in(gateway)
    gateway.now += timedelta(hours=12)
    gateway.signed_out.failing = True
    answer = await form(gateway, browser)
    assert answer.status_code == 503
    assert EVERYWHERE not in answer.text
    assert sessions.SESSION_COOKIE in browser.cookies()


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("why", ["nobody", "beyond the absolute limit", "made anew"])
async def test_without_proof_the_page_claims_no_more_than_that_nobody_is_signed_in_here(
    gateway: Any, why: str, method: str
) -> None:
    browser = await signed_in(gateway)
    cookies = {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies().items())}
    match why:
        case "nobody":
            cookies = {}
            browser.http.cookies.clear()
        case "made anew":
            gateway.put(users={"u1": "e1"}, uid="another")
        case _:
            gateway.now += timedelta(days=7)
    if method == "GET":
        answer = await browser.get(gateway.url("/_td/sign-out"), **cookies)
    else:
        answer = await form(gateway, browser, **cookies)
    assert answer.status_code == 200
    assert HERE in answer.text
    assert "every browser" not in answer.text
    assert "<form" not in answer.text
    assert gateway.signed_out.made == []
    assert sessions.SESSION_COOKIE not in browser.cookies()
    assert gateway.counted("sign-out", "not-signed-in") == 1


async def test_while_users_are_not_known_nobody_is_told_that_they_are_signed_out(gateway: Any) -> None:
    browser = await signed_in(gateway)
    gateway.put(users_known=False)
    before = browser.cookies()
    asked = await browser.get(gateway.url("/_td/sign-out"))
    assert asked.status_code == 503
    assert "We cannot check your access right now" in asked.text
    answer = await form(gateway, browser)
    assert answer.status_code == 503
    assert "You are still signed in" in answer.text
    assert browser.cookies() == before
    assert gateway.signed_out.made == []
    # Somebody without a session is not, whoever is licensed.
    assert HERE in (await form(gateway, gateway.browser())).text
    gateway.put(users={"u1": "e1"})
    assert EVERYWHERE in (await form(gateway, browser)).text
    assert len(gateway.signed_out.made) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_session_that_had_ended_ends_no_later_ones_and_claims_nothing_about_them(
    gateway: Any, method: str
) -> None:
    """The user may have signed in elsewhere since: nobody knows, for sessions are not listed."""
    old, later = await signed_in(gateway), gateway.browser()
    gateway.put(users={"u1": "e2"})
    await later.follow(gateway.launch_url())
    answer = await (form(gateway, old) if method == "POST" else old.get(gateway.url("/_td/sign-out")))
    assert answer.status_code == 200
    assert HERE in answer.text
    assert "Your session in this browser had ended already" in answer.text
    assert "every browser" not in answer.text
    assert "<form" not in answer.text
    assert old.cookies() == {}
    assert gateway.signed_out.made == []
    assert gateway.signed_in(later) == "u1"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_who_is_removed_is_signed_out_in_every_browser_already(gateway: Any, method: str) -> None:
    browser = await signed_in(gateway)
    gateway.put(users={})
    answer = await (form(gateway, browser) if method == "POST" else browser.get(gateway.url("/_td/sign-out")))
    assert EVERYWHERE in answer.text
    assert browser.cookies() == {}
    assert gateway.signed_out.made == []


async def test_scripts_learn_who_is_signed_in_and_until_when(gateway: Any) -> None:
    browser = await signed_in(gateway)
    gateway.now += timedelta(hours=1)
    answer = await browser.get(gateway.url("/_td/session"))
    assert answer.status_code == 200
    assert answer.json() == {
        "user": {"id": "u1", "name": "User u1", "email": "u1@example.com", "role": "user"},
        "ends": 7 * 86400 - 3600,
    }
    assert answer.headers["Cache-Control"] == "no-store"
    # Asking is no use: a page left open would keep its session for ever.
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("why", ["nobody", "signed out", "removed", "refused", "idle", "no tenant"])
async def test_without_a_session_that_counts_they_get_401_and_where_to_go(gateway: Any, why: str) -> None:
    browser = await signed_in(gateway)
    host = gateway.host
    match why:
        case "nobody":
            browser.http.cookies.clear()
        case "signed out":
            gateway.put(users={"u1": "e2"})
        case "removed":
            gateway.put(users={})
        case "refused":
            gateway.put(users={"u1": "e1"}, reason="TrialEnded")
        case "idle":
            gateway.now += timedelta(hours=12)
        case _:
            host = "nobody.apps.example.com"
    answer = await browser.get(gateway.url("/_td/session", host=host))
    assert answer.status_code == 401
    assert answer.headers["x-td-sign-in"] == "/_td/start"
    assert answer.json() == {"error": "sign-in"}


async def test_a_tenants_cookie_is_nothing_at_another_tenant(gateway: Any) -> None:
    gateway.put("i2", users={"u1": "e1"})
    browser = await signed_in(gateway)
    stolen = {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies().items())}
    url = gateway.url("/_td/session", host="i2.apps.example.com")
    assert (await gateway.browser().get(url, **stolen)).status_code == 401
