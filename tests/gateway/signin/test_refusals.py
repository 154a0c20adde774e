"""What is told where a sign-in does not go on, and whom to ask."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import structlog.testing

from talkdesk_gateway import sessions
from talkdesk_gateway.seams import TalkdeskUnavailableError

CONTACT = "help@example.com"
SESSION = sessions.SESSION_COOKIE


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


async def test_what_breaks_is_a_page_and_its_text_stays_out_of_the_log(gateway: Any) -> None:
    gateway.talkdesk.error = RuntimeError("secret words")
    with structlog.testing.capture_logs() as logs:
        answer = await gateway.browser().follow(gateway.launch_url())
    assert answer.status_code == 503
    assert "<h1>" in answer.text
    assert "secret words" not in str(logs) + answer.text
    assert [line["error"] for line in logs if line["event"] == "fault"] == ["RuntimeError"]


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
