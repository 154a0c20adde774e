"""What the pages say, and that nobody's words become markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from talkdesk_crds.app import TalkdeskApp
from talkdesk_crds.conditions import Reason
from talkdesk_crds.installation import TalkdeskInstallation
from talkdesk_gateway.pages import (
    Action,
    Help,
    Page,
    Wait,
    document,
    new_reference,
    refusal_page,
    render,
    steps,
)
from talkdesk_gateway.pages.refusals import ACCESS, PASSING, REFUSALS, words
from talkdesk_gateway.tenancy import Tenancy
from talkdesk_gateway.verdict import Refusal, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

#: Reasons that can stand in ``status.access`` of an installation that may not be entered.
ACCESS_REASONS = (
    Reason.INSTALLING,
    Reason.UNINSTALLED,
    Reason.SUSPENDED,
    Reason.TRIAL_ENDED,
    Reason.SUPERSEDED,
    Reason.SUSPENDED_BY_TALKDESK,
    Reason.REVOKED_BY_TALKDESK,
    Reason.UNKNOWN_TO_TALKDESK,
    Reason.CREDENTIALS_REFUSED,
    Reason.CREDENTIALS_SPREADING,
    Reason.CREDENTIALS_MISSING,
    Reason.CREDENTIALS_INVALID,
    Reason.ACCESS_BLOCKED,
    Reason.REJECTED,
    Reason.ENDED_BY_TALKDESK,
)


@pytest.fixture
def tenancy(objects: Any) -> Callable[[str], Tenancy]:
    """A tenancy that is refused for a reason."""

    def make(reason: str) -> Tenancy:
        made = objects.installation()
        made["status"]["access"] = {"state": "Refused", "reason": reason}
        app = objects.app(contact="help@example.com", links={"upgrade": "https://example.com/up"})
        return Tenancy(
            installation=TalkdeskInstallation.model_validate(made),
            app=TalkdeskApp.model_validate(app),
            host="i1.apps.example.com",
            upstream=None,
            user={}.get,
        )

    return make


class Outline(HTMLParser):
    """The elements of a page, and where they point."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def every_page() -> dict[str, Page]:
    """One of each."""
    app = TalkdeskApp.model_validate(
        {
            "metadata": {"name": "app"},
            "spec": {
                "appId": "a1",
                "regions": {"eu": {"api": "api.talkdeskapp.eu", "identity": "talkdeskid.eu"}},
                "baseDomain": "apps.example.com",
                "service": {"name": "web", "port": 8080},
                "template": [],
                "contact": "help@example.com",
                "links": {"support": "https://example.com/support"},
            },
        }
    )
    pages = {why.value: refusal_page(Refused(why, app=app), reference="R", retry="/r") for why in Refusal}
    pages |= {
        "waiting": steps.waiting(known=True, wait=Wait("/_td/launch?a=1", 3, 60), app=app),
        "gave-up": steps.gave_up(retry="/r", app=app, reference="R"),
        "another": steps.continue_as("N", proceed="/p", switch="/s", retry="/r", app=app, reference="R"),
        "wrong": steps.wrong_user("N", switch="/s", retry="/r", app=app, reference="R"),
        "denied": steps.denied(retry="/r", app=app, reference="R"),
        "cookies": steps.cookies_needed(retry="/r", app=app, reference="R"),
        "meanwhile": steps.signed_out_meanwhile(retry="/r", app=app, reference="R"),
        "sign-out": steps.sign_out("N", back="/", app=app),
        "sign-out-elsewhere": steps.sign_out(None, back="/", app=app),
        "signed-out": steps.signed_out(again="/a", app=app),
        "stored": steps.sign_out_stored(again="/a", app=app),
        "not-signed-in": steps.not_signed_in(again="/a", app=app),
        "ended-already": steps.not_signed_in(again="/a", app=app, ended=True),
        "not-signed-out": steps.not_signed_out(app=app, reference="R"),
    }
    return pages


def test_every_refusal_has_words_of_its_own() -> None:
    assert set(REFUSALS) == set(Refusal)
    told = [one.title for one in (*REFUSALS.values(), *ACCESS.values())]
    assert len(set(told)) == len(told)


@pytest.mark.parametrize("reason", ACCESS_REASONS)
def test_every_reason_of_access_has_words_of_its_own(
    tenancy: Callable[[str], Tenancy], reason: Reason
) -> None:
    told = words(Refused(Refusal.SUSPENDED, tenancy(reason)))
    assert told is ACCESS[reason]
    assert told.status == 403


def test_a_reason_that_is_not_known_here_has_the_general_words(tenancy: Callable[[str], Tenancy]) -> None:
    assert words(Refused(Refusal.SUSPENDED, tenancy("Brandnew"))) is REFUSALS[Refusal.SUSPENDED]


def test_there_are_no_words_for_reasons_that_do_not_refuse() -> None:
    assert set(ACCESS) == set(ACCESS_REASONS)
    assert set(ACCESS) & PASSING == {Reason.INSTALLING, Reason.CREDENTIALS_SPREADING}


@pytest.mark.parametrize(
    ("why", "status"),
    [
        (Refusal.SIGN_IN, 401),
        (Refusal.UNKNOWN_HOST, 404),
        (Refusal.UNKNOWN_INSTALLATION, 404),
        (Refusal.NOT_LICENSED, 403),
        (Refusal.SUSPENDED, 403),
        (Refusal.CROSS_SITE, 403),
        (Refusal.NO_SERVICE, 503),
        (Refusal.UNAVAILABLE, 503),
        (Refusal.TALKDESK_UNAVAILABLE, 503),
        (Refusal.BAD_STEP, 400),
    ],
)
def test_each_refusal_has_its_status_and_says_when_to_come_again(why: Refusal, status: int) -> None:
    answered, headers, html = document(refusal_page(Refused(why), reference="ABCD-2345"))
    assert answered == status
    assert ("Retry-After" in headers) == (status == 503)
    assert "ABCD-2345" in html


def test_the_end_of_a_trial_offers_the_upgrade_and_nothing_else_does(
    tenancy: Callable[[str], Tenancy],
) -> None:
    ended = refusal_page(Refused(Refusal.SUSPENDED, tenancy("TrialEnded")), reference="R", retry="/r")
    assert [action.href for action in ended.actions] == ["https://example.com/up", "/r"]
    assert [action.primary for action in ended.actions] == [True, False]
    other = refusal_page(Refused(Refusal.SUSPENDED, tenancy("Suspended")), reference="R", retry="/r")
    assert [action.href for action in other.actions] == ["/r"]


def test_the_contact_is_there_with_the_reference_in_the_mails_subject(
    tenancy: Callable[[str], Tenancy],
) -> None:
    page = refusal_page(Refused(Refusal.NOT_LICENSED, tenancy("Suspended")), reference="ABCD-2345")
    (mail,) = [link["href"] for link in Outline(render(page, nonce="n")).named("a")]
    assert mail == (
        "mailto:help@example.com?subject=You%20have%20no%20licence%20for%20this%20app%20%28ABCD-2345%29"
    )


@pytest.mark.parametrize("name", every_page())
def test_a_page_loads_nothing_and_its_policy_lets_nothing_in(name: str) -> None:
    page = every_page()[name]
    _, headers, html = document(page)
    policy = dict(
        directive.strip().split(" ", 1) for directive in headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["form-action"] == ("'self'" if page.form else "'none'")
    outline = Outline(html)
    (style,) = outline.named("style")
    assert policy["style-src"] == f"'nonce-{style['nonce']}'"
    scripts = outline.named("script")
    assert [f"'nonce-{script['nonce']}'" for script in scripts] == (
        [policy["script-src"]] if page.wait else []
    )
    assert ("script-src" in policy) == ("connect-src" in policy) == bool(page.wait)
    for tag, attributes in outline.elements:
        assert "src" not in attributes
        assert not any(attribute.startswith("on") or attribute == "style" for attribute in attributes)
        assert tag != "link" or attributes["href"] == "data:,"
    assert "@import" not in html
    assert "url(" not in html
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("name", every_page())
def test_a_page_has_one_heading_a_language_and_a_title_for_those_who_listen(name: str) -> None:
    outline = Outline(render(every_page()[name], nonce="n"))
    assert [element["lang"] for element in outline.named("html")] == ["en"]
    assert len(outline.named("h1")) == len(outline.named("main")) == len(outline.named("title")) == 1
    for picture in outline.named("svg"):
        assert "focusable" not in picture
    signs = [attributes for attributes in outline.named("div") if attributes.get("class") == "sign"]
    assert [sign["aria-hidden"] for sign in signs] == ["true"]
    for link in outline.named("a"):
        assert link.get("target") is None or "noopener" in (link["rel"] or "")


def test_only_the_page_for_another_user_and_those_of_refusals_ask_for_a_click() -> None:
    assert not every_page()["waiting"].actions
    assert every_page()["waiting"].form is None


def test_a_nonce_serves_once() -> None:
    page = every_page()["waiting"]
    first, second = document(page)[1], document(page)[1]
    assert first["Content-Security-Policy"] != second["Content-Security-Policy"]


def test_nobodys_name_becomes_markup() -> None:
    evil = '"><script>alert(1)</script>&'
    page = Page(
        status=200,
        tone="ask",
        title=evil,
        sentences=(evil,),
        actions=(Action(evil, f"/x?{evil}"),),
        form=evil,
        wait=Wait(f"/y?</script>{evil}", 0, 60),
        help=Help(evil, f"https://e/{evil}"),
        reference=evil,
    )
    html = render(page, nonce="n")
    assert "<script>alert" not in html
    outline = Outline(html)
    assert len(outline.named("script")) == 1
    assert f"/x?{evil}" in [link["href"] for link in outline.named("a")]


def test_the_waiting_page_works_without_scripts_too() -> None:
    html = render(every_page()["waiting"], nonce="n")
    (refresh,) = [meta for meta in Outline(html).named("meta") if meta.get("http-equiv") == "refresh"]
    assert refresh["content"] == "3; url=/_td/launch?a=1&waited=6"


def test_a_reference_is_legible_and_another_each_time() -> None:
    references = {new_reference() for _ in range(200)}
    assert len(references) == 200
    assert all(re.fullmatch(r"[A-HJ-NP-Z2-9]{4}-[A-HJ-NP-Z2-9]{4}", one) for one in references)


def test_the_manual_tells_each_page_by_its_title_and_outcome() -> None:
    manual = (Path(__file__).parents[3] / "docs" / "sign-on.md").read_text()
    for why, told in REFUSALS.items():
        rows = [line for line in manual.splitlines() if line.startswith(f"| `{why.value}` | {told.status} |")]
        assert any(told.title in row for row in rows), why
    for reason, told in ACCESS.items():
        assert f"| `{reason}` | {told.title}" in manual
    for page in every_page().values():
        if page.status not in (200, 202):
            assert page.title in manual
