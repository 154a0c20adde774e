"""Tickets, codes, states and links that are not one's own, used already, or too old."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import structlog.testing

from talkdesk_gateway import sessions
from talkdesk_gateway.seal import Kind, seal
from talkdesk_gateway.signin import enter
from talkdesk_gateway.signin.login import Login, cookies_of, digest, login_of

CONTACT = "help@example.com"
SESSION, USE = sessions.SESSION_COOKIE, sessions.USE_COOKIE


async def test_a_ticket_in_another_browser_gives_no_session(gateway: Any) -> None:
    """Log-in by a stranger: an attacker's ticket must not sign a victim in as the attacker."""
    attacker, victim = gateway.browser(), gateway.browser()
    answer = await attacker.follow(gateway.launch_url(), until="/_td/enter")
    ticket = attacker.next_of(answer)
    refused = await victim.get(ticket)
    assert (refused.status_code, victim.cookies()) == (400, {})
    assert "Your browser keeps no cookies" in refused.text
    await victim.get(gateway.url("/_td/start"))
    refused = await victim.get(ticket)
    assert refused.status_code == 400
    assert "This sign-in cannot be completed" in refused.text
    assert SESSION not in victim.cookies()


async def test_a_victims_code_is_worth_nothing_to_whoever_made_the_state(gateway: Any) -> None:
    attacker, victim = gateway.browser(), gateway.browser()
    begun = await attacker.get(gateway.url("/_td/start"))
    # The victim, signed in at Talkdesk, is lured to the attacker's authorization link.
    answer = await victim.follow(attacker.next_of(begun))
    assert answer.status_code == 400
    assert SESSION not in victim.cookies()


async def test_a_ticket_serves_once(gateway: Any) -> None:
    browser = gateway.browser()
    answer = await browser.follow(gateway.launch_url(), until="/_td/enter")
    ticket = browser.next_of(answer)
    await browser.get(ticket)
    first = browser.cookies()
    again = await browser.get(ticket)
    # Whoever comes back to it with the very session is let through, without another one.
    assert again.headers["Location"] == gateway.url("/")
    assert "Set-Cookie" not in again.headers
    assert browser.cookies() == first
    for name in (SESSION, USE):
        browser.http.cookies.delete(name)
    replayed = await browser.get(ticket)
    assert replayed.status_code == 400
    assert SESSION not in browser.cookies()


async def test_a_ticket_ends_after_a_minute(gateway: Any) -> None:
    browser = gateway.browser()
    answer = await browser.follow(gateway.launch_url(), until="/_td/enter")
    gateway.now += timedelta(seconds=60)
    refused = await browser.get(browser.next_of(answer))
    assert refused.status_code == 400
    assert SESSION not in browser.cookies()


async def test_a_ticket_of_another_tenant_gives_no_session(gateway: Any) -> None:
    gateway.put("i2", users={"u1": "e1"})
    browser = gateway.browser()
    answer = await browser.follow(gateway.launch_url(), until="/_td/enter")
    ticket = browser.next_of(answer).replace("i1.apps", "i2.apps")
    refused = await browser.get(ticket)
    assert refused.status_code == 400
    assert "Set-Cookie" not in refused.headers


async def test_a_replayed_code_gives_no_session(gateway: Any) -> None:
    browser = gateway.browser()
    answer = await browser.follow(gateway.launch_url(), until="/_td/callback")
    callback = browser.next_of(answer)
    await browser.get(callback)
    again = await browser.get(callback)
    assert again.status_code == 400
    assert "This sign-in cannot be completed" in again.text
    assert f"{gateway.url('/_td/start')}?hint=u1" in again.text


async def test_a_code_that_is_refused_after_a_rotation_begins_anew_once(gateway: Any) -> None:
    """Whoever was too slow, or came back to an old address, is asked for no click; nobody goes in circles."""
    browser = gateway.browser()
    gateway.put(users={"u1": "e1"}, credentials="first")
    answer = await browser.follow(gateway.launch_url(to="/x"), until="/_td/callback")
    callback = browser.next_of(answer)
    gateway.talkdesk.codes.clear()
    gateway.put(users={"u1": "e1"}, credentials="next")
    anew = (await browser.get(callback)).headers["Location"]
    assert urlsplit(anew).path == "/_td/start"
    answer = await browser.follow(anew, until="/_td/callback")
    callback = browser.next_of(answer)
    gateway.talkdesk.codes.clear()
    gateway.put(users={"u1": "e1"}, credentials="last")
    refused = await browser.get(callback)
    assert refused.status_code == 400
    assert "This sign-in cannot be completed" in refused.text
    # And a click on it does.
    entered = await browser.follow(gateway.url("/_td/start?hint=u1"))
    assert entered.headers["Location"] == gateway.url("/")


@pytest.mark.parametrize("after", ["", "x", "\u00e9" * 64, "0" * 64, "x" * 200])
async def test_a_start_that_follows_no_sign_in_of_this_browser_leads_to_where_it_says(
    gateway: Any, after: str
) -> None:
    browser = gateway.browser()
    await browser.get(gateway.url("/_td/start?to=/first"))
    query = {"to": "/second", "after": after}
    answer = await browser.follow(f"{gateway.url('/_td/start')}?{urlencode(query)}")
    assert answer.headers["Location"] == gateway.url("/second")


@pytest.mark.parametrize("state", ["", "nonsense", "a.b.c.d.e", "x" * 8193])
async def test_a_state_that_is_not_ours_is_refused(gateway: Any, state: str) -> None:
    answer = await gateway.browser().get(
        gateway.url(f"/_td/callback?code=c&state={state}", host=gateway.launch_host)
    )
    assert answer.status_code == 400
    assert "This sign-in cannot be completed" in answer.text
    assert CONTACT in answer.text, "the launch host says which app it is"
    assert gateway.counted("callback", "bad-step") == 1


async def test_a_state_is_not_taken_for_a_ticket_nor_a_cookie_for_a_state(gateway: Any) -> None:
    browser = gateway.browser()
    begun = await browser.get(gateway.url("/_td/start"))
    state = parse_qs(urlsplit(begun.headers["Location"]).query)["state"][0]
    assert (await browser.get(gateway.url(f"/_td/enter?ticket={state}"))).status_code == 400
    (login,) = browser.cookies().values()
    callback = gateway.url(f"/_td/callback?code=c&state={login}", host=gateway.launch_host)
    assert (await browser.get(callback)).status_code == 400


async def test_a_state_ends_after_a_quarter_of_an_hour(gateway: Any) -> None:
    browser = gateway.browser()
    answer = await browser.follow(gateway.launch_url(), until="/_td/callback")
    gateway.now += timedelta(minutes=15)
    assert (await browser.get(browser.next_of(answer))).status_code == 400


async def test_a_browser_without_cookies_is_told_so(gateway: Any) -> None:
    browser = gateway.browser()
    answer = await browser.follow(gateway.launch_url(), until="/_td/enter")
    browser.http.cookies.clear()
    refused = await browser.get(browser.next_of(answer))
    assert refused.status_code == 400
    assert "Your browser keeps no cookies for this app" in refused.text
    assert gateway.counted("enter", "no-cookies") == 1


@pytest.mark.parametrize(
    "to",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example/",
        "/\t/evil.example",
        "/%0d%0aSet-Cookie:x=1",
        "/_td/start",
        "x" * 3000,
    ],
)
async def test_a_sign_in_leads_to_no_other_host(gateway: Any, to: str) -> None:
    for url in (gateway.launch_url(to=to), gateway.url("/_td/start")):
        browser = gateway.browser()
        answer = await browser.follow(url)
        target = answer.headers["Location"]
        assert urlsplit(target).netloc == f"{gateway.host}:{gateway.port}"
        assert len(answer.headers.get_list("Location")) == 1
        assert "x=1" not in str(answer.headers.get_list("Set-Cookie"))


async def test_nothing_but_a_page_being_opened_begins_or_ends_a_sign_in(gateway: Any) -> None:
    browser = gateway.browser()
    answer = await browser.follow(gateway.launch_url(), until="/_td/enter")
    before = browser.cookies()
    for url in (gateway.url("/_td/start"), browser.next_of(answer)):
        refused = await browser.get(url, Sec_Fetch_Mode="no-cors")
        assert refused.status_code == 403
    assert browser.cookies() == before


async def test_a_used_ticket_is_no_way_back_for_another_session(gateway: Any) -> None:
    browser = gateway.browser()
    answer = await browser.follow(gateway.launch_url(), until="/_td/enter")
    used = browser.next_of(answer)
    await browser.get(used)
    await browser.follow(gateway.launch_url())
    second = browser.cookies()
    assert (await browser.get(used)).status_code == 400
    assert browser.cookies() == second


def test_a_ticket_or_a_login_cookie_is_of_one_host_alone(world: Any) -> None:
    """Also where a tenant's host changed, and the installation is the same."""
    moment, other = world.moment(), "moved.apps.example.com"
    claims = {"host": world.host, "installation": "i1", "uid": "uid-i1", "nonce": "n", "user": "u1"}
    ticket = seal(Kind.TICKET, claims, keys=moment.keys, now=moment.now, life=timedelta(minutes=1))
    assert enter.opened(ticket, host=world.host, moment=moment) is not None
    assert enter.opened(ticket, host=other, moment=moment) is None
    begun = Login(nonce="nonce", to="/")
    (cookie,) = cookies_of(begun, {}, host=world.host, moment=moment)
    kept = dict([cookie.partition(";")[0].split("=", 1)])
    assert login_of(digest("nonce"), kept, host=world.host, moment=moment) == begun
    assert login_of(digest("nonce"), kept, host=other, moment=moment) is None
    # The name of the cookie is only where to look: what counts is what it holds.
    same_name = digest("nonce")[:12] + "0" * 52
    assert login_of(same_name, kept, host=world.host, moment=moment) is None


async def test_no_log_line_has_a_code_a_state_or_a_ticket(gateway: Any) -> None:
    gateway.talkdesk.user = "u9"
    with structlog.testing.capture_logs() as logs:
        browser = gateway.browser()
        answer = await browser.follow(gateway.launch_url(user="u9"), until="/_td/callback")
        callback = browser.next_of(answer)
        await browser.get(callback)
        await browser.get(callback)
        await browser.get(gateway.url("/_td/enter?ticket=secret-ticket"))
    told = str(logs)
    secrets = [*parse_qs(urlsplit(callback).query).items(), ("ticket", ["secret-ticket"])]
    assert len(logs) == 3
    for _, (value,) in secrets:
        assert value not in told
