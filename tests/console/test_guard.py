"""The console answers to its own names, obeys its own pages, and escapes what people call themselves."""

from __future__ import annotations

import re
from typing import Any

import pytest

from talkdesk_sandbox.console.mails import Mail
from talkdesk_sandbox.talkdesk.control_bodies import NewApp, NewUser
from talkdesk_sandbox.talkdesk.population import add_app, add_user

CANARY = "canary-5f3a"
MARKUP = '<img src=x onerror="alert(1)">'


async def test_other_names_get_nothing(show: Any) -> None:
    port = show.talkdesk.browser_port
    for host in (f"evil.example:{port}", f"console.localhost.evil.example:{port}", "console.localhost:1"):
        answer = await show.get(f"{show.root}/controls", host=host)
        assert answer.status_code == 421, host
    account, _ = show.account("acme")
    assert (await show.get(f"{show.console.at(account)}/controls")).status_code == 404
    assert (await show.get(f"{show.root}/apps")).status_code == 404
    assert (await show.get(f"{show.root}/", host=f"127.0.0.1:{port}")).headers["Location"] == f"{show.root}/"


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "http://acme.demo.localhost"])
async def test_a_form_of_another_page_changes_nothing(show: Any, origin: str | None) -> None:
    account, (ada, *_) = show.account("acme")
    id_, cookies = show.installed(account, [ada]), await show.sign_in(account, ada)
    at, before = show.console.at(account), show.talkdesk.clock.now()
    for url, form in (
        (f"{show.root}/controls/clock", {"seconds": "86400"}),
        (f"{show.root}/controls/delivery-faults", {"fault": "drop"}),
        (f"{show.root}/accounts", {"name": "new", "region": "eu"}),
        (f"{at}/apps/{id_}/uninstall", {}),
    ):
        answer = await show.post(url, form, cookies=cookies, origin=origin)
        assert answer.status_code == 403, url
    assert (show.talkdesk.clock.now() - before).total_seconds() < 3600
    assert show.talkdesk.installation(id_).state == "completed"
    assert (len(show.talkdesk.accounts), show.talkdesk.deliveries.faults.waiting) == (1, [])


async def test_only_talkdesk_s_own_pages_sign_somebody_in(show: Any) -> None:
    account, (ada, *_) = show.account("acme")
    login = f"{show.console.at(account)}/login"
    assert (await show.post(login, {"user": ada.id}, origin="http://acme.demo.localhost")).status_code == 403
    assert (await show.post(login, {"user": ada.id}, origin=show.root)).status_code == 303


async def test_every_page_has_a_policy_without_inline_scripts_and_nothing_from_elsewhere(show: Any) -> None:
    account, (ada, *_) = show.account("acme")
    id_, cookies, at = (
        show.installed(account, [ada]),
        await show.sign_in(account, ada),
        show.console.at(account),
    )
    own = [
        f"{show.root}{path}" for path in ("/", "/timeline", "/kubernetes", "/mailbox", "/controls", "/none")
    ]
    of_account = [f"{at}{path}" for path in ("/apps", "/marketplace", f"/apps/{id_}")]
    for url in own + of_account:
        page = await show.get(url, cookies=cookies)
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self';" in policy, url
        assert "frame-ancestors 'none'" in policy
        assert not re.search(
            r"<script(?! src=\"/_console/console\.js\" defer>)|<style|\son\w+=|\sstyle=", page.text
        )


async def test_names_that_contain_markup_are_text(show: Any) -> None:
    account, _ = show.account("acme", people=0)
    mallory = add_user(show.talkdesk, account.id, NewUser(email="m@x.example", name=f"M{MARKUP}"))
    app = add_app(show.talkdesk, NewApp(name=f"A{MARKUP}", events_url=show.app.events_url, summary=MARKUP))
    cookies, at = await show.sign_in(account, mallory), show.console.at(account)
    installation_id, event_id = show.talkdesk.install(
        app_id=app.id, account_id=account.id, plan=None, users=[mallory.id], created_by=mallory.id
    )
    show.talkdesk.answer(installation_id, verdict="reject", reason=MARKUP)
    show.letters.kept.append(
        Mail(id="1", to=MARKUP, subject=MARKUP, at="2026-11-29T10:00:00Z", message_id=MARKUP, text=MARKUP)
    )
    await show.settle()
    for url in (
        f"{show.root}/",
        f"{show.root}/timeline",
        f"{show.root}/controls",
        f"{show.root}/mailbox",
        f"{at}/apps",
        f"{at}/marketplace",
        f"{at}/marketplace/{app.id}",
        f"{at}/marketplace/install/{app.version.id}",
        f"{at}/apps/{installation_id}",
        f"{at}/apps/{installation_id}/requests/{event_id}",
    ):
        page = await show.get(url, cookies=cookies)
        assert page.status_code == 200, url
        assert "<img" not in page.text, url


async def test_no_secret_is_on_any_page(show: Any) -> None:
    account, (ada, *_) = show.account("acme")
    id_, cookies = show.installed(account, [ada]), await show.sign_in(account, ada)
    await show.settle()
    secrets = [cookies["talkdesk_session"]]
    for _, body in show.deliveries:
        secrets += re.findall(rb'"(?:client_secret|private_key)":"([^"]+)"', body)
    assert len(secrets) >= 3
    forged = f"eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ{CANARY}.c2ln"
    show.talkdesk.ledger.add(
        "api",
        method="GET",
        url=f"https://api.eu.talkdesk.localhost/x?code={CANARY}",
        status=200,
        detail={
            "answer": {
                "access_token": CANARY,
                "headers": {"Authorization": f"Bearer {CANARY}", "Set-Cookie": f"a={CANARY}"},
                "code": CANARY,
                "note": f"sent {forged} as Bearer {CANARY}",
                "pem": f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----",
            }
        },
    )
    text = ""
    for url in (f"{show.root}/timeline", f"{show.root}/", f"{show.root}/controls"):
        text += (await show.get(url, cookies=cookies)).text
    text += (await show.get(f"{show.console.at(account)}/apps/{id_}", cookies=cookies)).text
    assert "app.installed" in text
    for secret in secrets:
        assert (secret if isinstance(secret, str) else secret.decode()) not in text
    assert CANARY not in text


async def test_a_mail_s_html_is_framed_without_scripts(show: Any) -> None:
    show.letters.kept.append(
        Mail(
            id="7",
            to="ada@acme.example",
            subject="Installed",
            at="2026-11-29T10:00:00Z",
            message_id="<7@demo>",
            text="plain words",
            html="<script>alert(1)</script><p>rich words",
        )
    )
    page = await show.get(f"{show.root}/mailbox?id=7")
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox" src="/mailbox/7/html"' in page.text
    assert "<script>alert" not in page.text
    framed = await show.get(f"{show.root}/mailbox/7/html")
    policy = framed.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox ")
    assert "allow-scripts" not in policy
    assert "default-src 'none'" in policy
    assert "plain words" in (await show.get(f"{show.root}/mailbox?id=7&form=text")).text
    assert (await show.get(f"{show.root}/mailbox?id=8")).status_code == 404
