"""From Talkdesk's icon to the app, over HTTP: who gets a session, and who does not."""

from __future__ import annotations

import dataclasses
from typing import Any
from urllib.parse import parse_qs, urlsplit

import structlog.testing

from talkdesk_gateway import sessions

SESSION, USE = sessions.SESSION_COOKIE, sessions.USE_COOKIE


async def test_one_click_leads_a_licensed_user_into_the_app(gateway: Any) -> None:
    browser = gateway.browser()
    answer = await browser.follow(gateway.launch_url(to="/reports?week=2"))
    assert answer.headers["Location"] == gateway.url("/reports?week=2")
    assert gateway.signed_in(browser) == "u1"
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
    assert gateway.signed_in(browser) == "u2"
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
    assert gateway.signed_in(browser) == "u2"


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
    assert gateway.signed_in(browser) == "new"
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


async def test_a_user_who_is_hinted_but_unknown_at_start_enters_under_the_epoch_of_the_callback(
    gateway: Any,
) -> None:
    browser = gateway.browser()
    gateway.talkdesk.user = "new"
    gateway.talkdesk.on_the_way = lambda: gateway.put(users={"new": "n1"})
    await browser.follow(gateway.launch_url(user="new"))
    assert gateway.signed_in(browser) == "new"


async def test_an_app_that_a_browser_was_launched_into_by_another_apps_host_is_unknown(gateway: Any) -> None:
    other = gateway.app.model_copy(update={"spec": gateway.app.spec.model_copy(update={"app_id": "another"})})
    gateway.directory.apps["launch.other.example"] = other
    url = gateway.launch_url(waited="60").replace(gateway.launch_host, "launch.other.example")
    answer = await gateway.browser().get(url)
    assert answer.status_code == 404


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
