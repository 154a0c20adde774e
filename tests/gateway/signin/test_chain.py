"""From Talkdesk's icon to the app, over HTTP: who gets a session, and who does not."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import structlog.testing

from talkdesk_gateway import sessions
from talkdesk_gateway.seal import Kind, seal
from talkdesk_gateway.seams import TalkdeskUnavailableError
from talkdesk_gateway.signin import enter
from talkdesk_gateway.signin.login import Login, cookies_of, digest, login_of

CONTACT = "help@example.com"
SESSION, USE = sessions.SESSION_COOKIE, sessions.USE_COOKIE


def signed_in(gateway: Any, browser: Any) -> str | None:
    """The user of the session that the browser keeps, if it counts."""
    found = sessions.read(browser.cookies(), host=gateway.host, keys=gateway.keys.keys, now=gateway.now)
    tenancy = gateway.directory.by_host(gateway.host)
    if found is None or sessions.entry(found, tenancy, gateway.now) is None:
        return None
    return found.user


async def test_one_click_leads_a_licensed_user_into_the_app(gateway: Any) -> None:
    browser = gateway.browser()
    answer = await browser.follow(gateway.launch_url(to="/reports?week=2"))
    assert answer.headers["Location"] == gateway.url("/reports?week=2")
    assert signed_in(gateway, browser) == "u1"
    assert set(browser.cookies()) == {SESSION, USE}
    assert [gateway.counted(step, "on") for step in ("launch", "start", "callback", "enter")] == [1, 1, 1, 1]


async def test_the_cookies_are_host_cookies_lax_and_out_of_scripts_reach(gateway: Any) -> None:
    browser = gateway.browser()
    answer = await browser.follow(gateway.launch_url())
    for cookie in answer.headers.get_list("Set-Cookie"):
        name, _, attributes = cookie.partition("=")
        assert name.startswith("__Host-td-")
        assert {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"} <= set(attributes.split("; "))
        assert "Domain" not in cookie


async def test_every_answer_may_be_kept_nowhere_and_tells_no_referrer(gateway: Any) -> None:
    browser, url = gateway.browser(), gateway.launch_url()
    for _ in range(4):
        answer = await browser.get(url)
        assert answer.status_code == 303
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        url = browser.next_of(answer)


async def test_a_launch_never_reuses_a_session(gateway: Any) -> None:
    browser = gateway.browser()
    await browser.follow(gateway.launch_url())
    before = browser.cookies()
    gateway.put(users={"u1": "e1", "u2": "e2"})
    gateway.talkdesk.user = "u2"
    await browser.follow(gateway.launch_url(user="u2"))
    assert signed_in(gateway, browser) == "u2"
    assert browser.cookies()[SESSION] != before[SESSION]


async def test_the_hint_proves_nothing(gateway: Any) -> None:
    gateway.talkdesk.user = "intruder"
    browser = gateway.browser()
    answer = await browser.follow(gateway.launch_url(user="u1"))
    assert answer.status_code == 403
    assert "signed in to Talkdesk as another user" in answer.text
    assert SESSION not in browser.cookies()
    assert gateway.lookup.looks == ["intruder"]


async def test_a_licensed_user_other_than_hinted_is_asked_and_goes_on_as_themself(gateway: Any) -> None:
    gateway.put(users={"u1": "e1", "u2": "e2"})
    gateway.talkdesk.user = "u2"
    browser = gateway.browser()
    answer = await browser.follow(gateway.launch_url(user="u1", to="/reports"))
    assert answer.status_code == 200
    assert "Continue as User u2" in answer.text
    assert "https://acme.talkdeskid.eu/login" in answer.text
    assert SESSION not in browser.cookies()
    link = f"{gateway.url('/_td/start')}?hint=u2&amp;to=%2Freports"
    assert link in answer.text
    entered = await browser.follow(link.replace("&amp;", "&"))
    assert entered.headers["Location"] == gateway.url("/reports")
    assert signed_in(gateway, browser) == "u2"


async def test_an_unlicensed_user_other_than_hinted_may_only_change_the_user(gateway: Any) -> None:
    gateway.talkdesk.user = "u9"
    answer = await gateway.browser().follow(gateway.launch_url(user="u1"))
    assert answer.status_code == 403
    assert "Change user at Talkdesk" in answer.text
    assert "Continue as" not in answer.text


async def test_a_user_without_a_licence_gets_the_page_that_says_so_with_contact_and_reference(
    gateway: Any,
) -> None:
    gateway.talkdesk.user = "u9"
    with structlog.testing.capture_logs() as logs:
        answer = await gateway.browser().follow(gateway.launch_url(user="u9"))
    assert answer.status_code == 403
    assert "You have no licence for this app" in answer.text
    assert "help@example.com" in answer.text
    (line,) = [line for line in logs if line["event"] == "sign-in refused"]
    assert line["reference"] in answer.text
    assert (line["step"], line["reason"], line["detail"]) == ("callback", "not-licensed", "user u9")
    assert gateway.counted("callback", "not-licensed") == 1


async def test_an_unknown_user_is_looked_up_once_and_enters(gateway: Any) -> None:
    gateway.lookup.listed = {"new": "e-new"}
    gateway.talkdesk.user = "new"
    browser = gateway.browser()
    await browser.follow(gateway.launch_url(user="new"))
    assert signed_in(gateway, browser) == "new"
    assert gateway.lookup.looks == ["new"]


async def test_the_same_e_mail_is_not_the_same_user(gateway: Any) -> None:
    gateway.talkdesk.user = "u1-of-another-account"
    original = gateway.talkdesk.authorize

    def same_e_mail(url: str) -> str:
        answer: str = original(url)
        code = parse_qs(urlsplit(answer).query)["code"][0]
        info = gateway.talkdesk.codes[code]
        gateway.talkdesk.codes[code] = info.model_copy(update={"email": "u1@example.com", "name": "User u1"})
        return answer

    gateway.talkdesk.authorize = same_e_mail
    browser = gateway.browser()
    answer = await browser.follow(gateway.launch_url(user=None))
    assert answer.status_code == 403
    assert SESSION not in browser.cookies()


async def test_users_that_are_not_known_yet_are_no_refusal_of_a_licence(gateway: Any) -> None:
    gateway.put(users_known=False)
    answer = await gateway.browser().follow(gateway.launch_url())
    assert answer.status_code == 503
    assert "We cannot check your access right now" in answer.text


async def test_a_hinted_user_who_logs_out_on_the_way_signs_in_anew(gateway: Any) -> None:
    """The first sign-in is worth nothing; the second begins under the new epoch."""

    def log_out() -> None:
        gateway.talkdesk.on_the_way = None
        gateway.put(users={"u1": "e2"})

    gateway.talkdesk.on_the_way = log_out
    browser = gateway.browser()
    await browser.follow(gateway.launch_url(to="/x"))
    assert gateway.counted("enter", "again") == 1
    assert gateway.counted("enter", "on") == 1
    found = sessions.read(browser.cookies(), host=gateway.host, keys=gateway.keys.keys, now=gateway.now)
    assert found is not None
    assert found.epoch == "e2"


async def test_a_user_who_is_signed_out_on_the_way_again_and_again_gets_a_page(gateway: Any) -> None:
    epochs = iter(range(2, 99))
    gateway.talkdesk.on_the_way = lambda: gateway.put(users={"u1": f"e{next(epochs)}"})
    browser = gateway.browser()
    answer = await browser.follow(gateway.launch_url())
    assert answer.status_code == 403
    assert "You were signed out meanwhile" in answer.text
    assert SESSION not in browser.cookies()


async def test_without_a_hint_the_epoch_at_the_callback_counts(gateway: Any) -> None:
    gateway.talkdesk.on_the_way = lambda: gateway.put(users={"u1": "e2"})
    browser = gateway.browser()
    await browser.follow(gateway.launch_url(user=None))
    assert signed_in(gateway, browser) == "u1"


async def test_a_logout_between_callback_and_enter_counts(gateway: Any) -> None:
    browser = gateway.browser()
    answer = await browser.follow(gateway.launch_url(user=None), until="/_td/enter")
    gateway.put(users={"u1": "e2"})
    answer = await browser.get(browser.next_of(answer))
    assert answer.status_code == 303
    assert "/_td/start?" in answer.headers["Location"]
    assert SESSION not in browser.cookies()


async def test_a_user_who_is_removed_between_callback_and_enter_does_not_enter(gateway: Any) -> None:
    browser = gateway.browser()
    answer = await browser.follow(gateway.launch_url(), until="/_td/enter")
    gateway.put(users={})
    answer = await browser.get(browser.next_of(answer))
    assert answer.status_code == 403
    assert "You have no licence" in answer.text
    assert SESSION not in browser.cookies()


async def test_enter_waits_for_what_another_replica_has_seen_already(world: Any) -> None:
    async with world.serving(world.parts(settle_seconds=30)):
        browser = world.browser()
        world.put(users={"u1": "e1", "new": "n1"})
        world.talkdesk.user = "new"
        answer = await browser.follow(world.launch_url(user="new"), until="/_td/enter")
        world.put(users={"u1": "e1"})  # this replica's watch is behind
        entering = asyncio.create_task(browser.get(browser.next_of(answer)))
        await world.directory.heard()
        assert not entering.done()
        world.put(users={"u1": "e1", "new": "n1"})
        assert (await entering).headers["Location"] == world.url("/")
        assert signed_in(world, browser) == "new"


async def test_users_that_are_not_known_at_enter_are_no_refusal_of_a_licence(gateway: Any) -> None:
    browser = gateway.browser()
    answer = await browser.follow(gateway.launch_url(), until="/_td/enter")
    gateway.put(users_known=False)
    refused = await browser.get(browser.next_of(answer))
    assert refused.status_code == 503
    assert SESSION not in browser.cookies()


async def test_two_tabs_that_sign_in_at_once_both_succeed(gateway: Any) -> None:
    browser = gateway.browser()
    starts = [gateway.url(f"/_td/start?to=/tab{number}") for number in range(5)]
    # All requests are under way before the first answer is there, as when a browser restores its tabs.
    begun = await asyncio.gather(*(browser.get(url) for url in starts))
    arrived = [await browser.follow(browser.next_of(answer)) for answer in begun]
    assert [answer.headers["Location"] for answer in arrived] == [
        gateway.url(f"/tab{number}") for number in range(5)
    ]


async def test_of_two_users_in_two_tabs_the_later_sign_in_wins_in_both(gateway: Any) -> None:
    gateway.put(users={"u1": "e1", "u2": "e2"})
    browser = gateway.browser()
    first = await browser.follow(gateway.launch_url(user="u1"), until="/_td/enter")
    gateway.talkdesk.user = "u2"
    second = await browser.follow(gateway.launch_url(user="u2"), until="/_td/enter")
    await browser.get(browser.next_of(second))
    assert signed_in(gateway, browser) == "u2"
    of_second = browser.cookies()
    await browser.get(browser.next_of(first))
    assert signed_in(gateway, browser) == "u1"
    # Answers that cross may leave one's session beside the other's use: that use counts for nothing.
    mixed = {SESSION: browser.cookies()[SESSION], USE: of_second[USE]}
    found = sessions.read(mixed, host=gateway.host, keys=gateway.keys.keys, now=gateway.now)
    assert found is not None
    assert (found.user, found.used) == ("u1", None)


async def test_a_sixth_sign_in_takes_the_oldest_ones_place(gateway: Any) -> None:
    browser = gateway.browser()
    begun = []
    for number in range(6):
        gateway.now += timedelta(seconds=1)
        begun.append(await browser.get(gateway.url(f"/_td/start?to=/tab{number}")))
    assert len(browser.cookies()) == 5
    oldest, newest = (
        await browser.follow(browser.next_of(begun[0])),
        await browser.follow(browser.next_of(begun[5])),
    )
    assert oldest.status_code == 400
    assert newest.headers["Location"] == gateway.url("/tab5")


async def test_the_longest_paths_of_many_tabs_still_fit_into_a_request(gateway: Any) -> None:
    browser = gateway.browser()
    for number in range(6):
        gateway.now += timedelta(seconds=1)
        answer = await browser.get(gateway.url(f"/_td/start?to=/{number}{'x' * 2000}"))
        assert answer.status_code == 303
        assert all(len(cookie) <= 4096 for cookie in answer.headers.get_list("Set-Cookie"))
    assert sum(len(name) + len(value) for name, value in browser.cookies().items()) < 7000
    arrived = await browser.follow(browser.next_of(answer))
    assert arrived.headers["Location"] == gateway.url(f"/5{'x' * 2000}")


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


@pytest.mark.parametrize("skew", [-5, 5])
async def test_five_seconds_between_the_clocks_of_replicas_change_nothing(gateway: Any, skew: int) -> None:
    browser, url = gateway.browser(), gateway.launch_url()
    for step in range(4):
        answer = await browser.get(url)
        gateway.now += timedelta(seconds=skew if step % 2 == 0 else -skew)
        url = browser.next_of(answer)
    assert signed_in(gateway, browser) == "u1"


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


async def test_an_installation_made_anew_meanwhile_is_another(gateway: Any) -> None:
    browser = gateway.browser()
    answer = await browser.follow(gateway.launch_url(), until="/_td/callback")
    gateway.put(users={"u1": "e1"}, uid="another")
    refused = await browser.get(browser.next_of(answer))
    assert refused.status_code == 400
    assert "Sign in" in refused.text


async def test_a_browser_without_cookies_is_told_so(gateway: Any) -> None:
    browser = gateway.browser()
    answer = await browser.follow(gateway.launch_url(), until="/_td/enter")
    browser.http.cookies.clear()
    refused = await browser.get(browser.next_of(answer))
    assert refused.status_code == 400
    assert "Your browser keeps no cookies for this app" in refused.text
    assert gateway.counted("enter", "no-cookies") == 1


async def test_a_user_who_says_no_at_talkdesk_gets_a_page(gateway: Any) -> None:
    browser = gateway.browser()
    begun = await browser.get(gateway.url("/_td/start"))
    state = parse_qs(urlsplit(begun.headers["Location"]).query)["state"][0]
    answer = await browser.get(
        gateway.url(f"/_td/callback?error=access_denied&state={state}", host=gateway.launch_host)
    )
    assert answer.status_code == 403
    assert "Talkdesk did not sign you in" in answer.text


@pytest.mark.parametrize("error", ["server_error", "invalid_scope", "<script>", ""])
async def test_an_error_of_talkdesks_is_a_503_and_is_not_repeated_to_the_reader(
    gateway: Any, error: str
) -> None:
    browser = gateway.browser()
    begun = await browser.get(gateway.url("/_td/start"))
    state = parse_qs(urlsplit(begun.headers["Location"]).query)["state"][0]
    answer = await browser.get(
        gateway.url(f"/_td/callback?error={error}&state={state}", host=gateway.launch_host)
    )
    assert answer.status_code == 503
    assert "Talkdesk could not confirm who you are" in answer.text
    assert not error or error not in answer.text


async def test_talkdesk_that_cannot_say_who_it_is_is_a_503_with_a_way_to_try_again(gateway: Any) -> None:
    gateway.talkdesk.error = TalkdeskUnavailableError("POST https://acme.talkdeskid.eu/oauth/token: 500")
    with structlog.testing.capture_logs() as logs:
        answer = await gateway.browser().follow(gateway.launch_url())
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert f"{gateway.url('/_td/start')}?hint=u1" in answer.text
    assert [line["reason"] for line in logs if line["event"] == "sign-in refused"] == ["talkdesk-unavailable"]
    count = gateway.metrics.registry.get_sample_value
    assert count("talkdesk_gateway_identify_seconds_count", {"outcome": "failed"}) == 1


async def test_talkdesk_that_is_too_slow_is_a_503(world: Any) -> None:
    async def never(*_: Any, **__: Any) -> None:
        await asyncio.Event().wait()

    world.talkdesk.identify = never
    async with world.serving(world.parts(talkdesk_seconds=0.05)):
        with structlog.testing.capture_logs() as logs:
            answer = await world.browser().follow(world.launch_url())
    assert answer.status_code == 503
    assert [line["detail"] for line in logs] == ["no answer within 0.05 s"]


async def test_a_page_quotes_envoys_id_of_the_request_where_there_is_one(gateway: Any) -> None:
    given = "9d1f6c2e-4a3b-4c5d-8e7f-001122334455"
    for sent, quoted in ((given, True), ("<script>", False)):
        answer = await gateway.browser().get(gateway.url("/_td/enter?ticket=x"), X_Request_Id=sent)
        assert (sent in answer.text) is quoted


async def test_a_tenant_without_credentials_is_a_503(gateway: Any) -> None:
    gateway.put(users={"u1": "e1"}, credentials="none")
    answer = await gateway.browser().get(gateway.url("/_td/start"))
    assert answer.status_code == 503
    assert "Set-Cookie" not in answer.headers


async def test_kubernetes_that_cannot_be_asked_about_an_unknown_user_is_a_503(gateway: Any) -> None:
    gateway.lookup.failing = True
    gateway.talkdesk.user = "new"
    answer = await gateway.browser().follow(gateway.launch_url(user="new"))
    assert answer.status_code == 503
    assert "We cannot check your access right now" in answer.text


@pytest.mark.parametrize(
    ("reason", "title"),
    [
        ("TrialEnded", "Your trial has ended"),
        ("Suspended", "This app is switched off"),
        ("Uninstalled", "This app was uninstalled"),
        ("CredentialsRefused", "Talkdesk does not accept our key"),
    ],
)
async def test_access_that_is_refused_has_its_own_page_at_every_step(
    gateway: Any, reason: str, title: str
) -> None:
    browser = gateway.browser()
    before_callback = await browser.follow(gateway.launch_url(), until="/_td/callback")
    before_enter = await browser.follow(gateway.launch_url(), until="/_td/enter")
    gateway.put(users={"u1": "e1"}, reason=reason)
    for url in (
        gateway.launch_url(),
        gateway.url("/_td/start"),
        browser.next_of(before_callback),
        browser.next_of(before_enter),
    ):
        answer = await browser.get(url)
        assert answer.status_code == 403
        assert title in answer.text
    assert SESSION not in browser.cookies()


async def test_a_trial_that_ended_offers_the_upgrade(gateway: Any) -> None:
    gateway.put(reason="TrialEnded", app={"links": {"upgrade": "https://example.com/upgrade"}})
    answer = await gateway.browser().get(gateway.url("/_td/start"))
    assert 'href="https://example.com/upgrade"' in answer.text


@pytest.mark.parametrize("path", ["/_td/start", "/_td/enter?ticket=x", "/_td/sign-out"])
async def test_a_host_that_is_no_tenant_is_a_404_with_a_page(gateway: Any, path: str) -> None:
    answer = await gateway.browser().get(gateway.url(path, host="nobody.apps.example.com"))
    assert answer.status_code == 404
    assert "Nothing lives at this address" in answer.text
    assert CONTACT in answer.text, "the host is below the app's base domain"


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


async def test_a_gateway_that_heard_nothing_for_too_long_says_so_on_a_page(gateway: Any) -> None:
    gateway.directory.fresh = False
    for url in (gateway.launch_url(), gateway.url("/_td/start"), gateway.url("/_td/session")):
        answer = await gateway.browser().get(url)
        assert answer.status_code == 503
        assert "We cannot check your access right now" in answer.text
        assert CONTACT in answer.text


async def test_a_gateway_without_keys_lets_nobody_in_and_says_so(gateway: Any) -> None:
    gateway.keys.keys = ()
    answer = await gateway.browser().get(gateway.launch_url())
    assert (answer.status_code, CONTACT in answer.text) == (503, True)


async def test_routine_rotation_of_the_keys_disturbs_no_sign_in(gateway: Any) -> None:
    browser, url = gateway.browser(), gateway.launch_url()
    for number in range(4):
        answer = await browser.get(url)
        gateway.keys.keys = (*gateway.keys.keys, gateway.key(f"next{number}", age=timedelta(hours=1)))
        url = browser.next_of(answer)
    assert signed_in(gateway, browser) == "u1"


async def test_new_keys_alone_end_sessions_and_sign_ins_under_way(gateway: Any) -> None:
    browser = gateway.browser()
    await browser.follow(gateway.launch_url())
    answer = await browser.follow(gateway.launch_url(), until="/_td/enter")
    gateway.keys.keys = (gateway.key("emergency"),)
    assert signed_in(gateway, browser) is None
    assert (await browser.get(browser.next_of(answer))).status_code == 400
    # And a new sign-in is not in the way of what cannot be read any more.
    await browser.follow(gateway.launch_url())
    assert signed_in(gateway, browser) == "u1"


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


async def test_what_breaks_is_a_page_and_its_text_stays_out_of_the_log(gateway: Any) -> None:
    gateway.talkdesk.error = RuntimeError("secret words")
    with structlog.testing.capture_logs() as logs:
        answer = await gateway.browser().follow(gateway.launch_url())
    assert answer.status_code == 503
    assert "<h1>" in answer.text
    assert "secret words" not in str(logs) + answer.text
    assert [line["error"] for line in logs if line["event"] == "fault"] == ["RuntimeError"]


async def test_an_app_that_a_browser_was_launched_into_by_another_apps_host_is_unknown(gateway: Any) -> None:
    other = gateway.app.model_copy(update={"spec": gateway.app.spec.model_copy(update={"app_id": "another"})})
    gateway.directory.apps["launch.other.example"] = other
    url = gateway.launch_url(waited="60").replace(gateway.launch_host, "launch.other.example")
    answer = await gateway.browser().get(url)
    assert answer.status_code == 404


async def test_a_path_that_is_none_of_ours_is_a_page_too(gateway: Any) -> None:
    answer = await gateway.browser().get(gateway.url("/_td/no-such-thing"))
    assert answer.status_code == 404
    assert "<h1>" in answer.text
    assert CONTACT in answer.text


async def test_what_breaks_while_looking_for_whom_to_ask_is_a_page_without_a_contact(
    gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: str) -> None:
        raise RuntimeError

    monkeypatch.setattr(gateway.directory, "by_host", broken)
    answer = await gateway.browser().get(gateway.url("/_td/start"))
    assert answer.status_code == 503
    assert "<h1>" in answer.text


async def test_a_user_who_is_hinted_but_unknown_at_start_enters_under_the_epoch_of_the_callback(
    gateway: Any,
) -> None:
    browser = gateway.browser()
    gateway.talkdesk.user = "new"
    gateway.talkdesk.on_the_way = lambda: gateway.put(users={"new": "n1"})
    await browser.follow(gateway.launch_url(user="new"))
    assert signed_in(gateway, browser) == "new"


async def test_an_account_whose_identity_host_is_gone_from_the_links_changes_no_user(gateway: Any) -> None:
    gateway.talkdesk.user = "u9"
    tenancy = gateway.tenancy(users={"u1": "e1"})
    spec = tenancy.installation.spec
    links = {
        "authorization": spec.talkdesk.links["authorization"].model_copy(update={"href": "https://evil/"})
    }
    talkdesk = spec.talkdesk.model_copy(update={"links": links})
    installation = tenancy.installation.model_copy(
        update={"spec": spec.model_copy(update={"talkdesk": talkdesk})}
    )
    gateway.directory.put(dataclasses.replace(tenancy, installation=installation))
    answer = await gateway.browser().follow(gateway.launch_url(user="u1"))
    assert answer.status_code == 403
    assert "evil" not in answer.text


async def test_an_installation_made_anew_between_callback_and_enter_is_another(gateway: Any) -> None:
    browser = gateway.browser()
    answer = await browser.follow(gateway.launch_url(), until="/_td/enter")
    gateway.put(users={"u1": "e1"}, uid="another")
    assert (await browser.get(browser.next_of(answer))).status_code == 400
    assert SESSION not in browser.cookies()


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
    moment, tenancy, other = world.moment(), world.tenancy(), "moved.apps.example.com"
    claims = {"host": world.host, "installation": "i1", "uid": "uid-i1", "nonce": "n", "user": "u1"}
    ticket = seal(Kind.TICKET, claims, keys=moment.keys, now=moment.now, life=timedelta(minutes=1))
    assert enter.opened(ticket, host=world.host, tenancy=tenancy, moment=moment) is not None
    assert enter.opened(ticket, host=other, tenancy=tenancy, moment=moment) is None
    begun = Login(nonce="nonce", to="/")
    (cookie,) = cookies_of(begun, {}, host=world.host, moment=moment)
    kept = dict([cookie.partition(";")[0].split("=", 1)])
    assert login_of(digest("nonce"), kept, host=world.host, moment=moment) == begun
    assert login_of(digest("nonce"), kept, host=other, moment=moment) is None
    # The name of the cookie is only where to look: what counts is what it holds.
    same_name = digest("nonce")[:12] + "0" * 52
    assert login_of(same_name, kept, host=world.host, moment=moment) is None
