"""What stands in a mail: the templates' language, the app's own words, and headers that nobody can break."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samples import sample_of
from talkdesk_crds.app import TalkdeskApp
from talkdesk_crds.installation import TalkdeskInstallation
from talkdesk_operator.app_reconcile import mail_templates
from talkdesk_operator.entries import Entry
from talkdesk_operator.mail.compose import compose, default, problems
from talkdesk_operator.mail.language import LARGEST, REFERENCES, TemplateRefused, check, render
from talkdesk_operator.mail.message import Sender, message
from talkdesk_operator.mail.outcome import Outcome
from talkdesk_operator.mail.recipient import Recipient, recipient, usable
from talkdesk_operator.mail.record import Mail
from talkdesk_operator.mail.situations import UNCERTAIN, situations
from talkdesk_operator.mail.values import Story, values
from talkdesk_operator.tenant.facts import AccountFacts

DATE = datetime(2026, 1, 5, 10, tzinfo=UTC)
ADA = Recipient("ada@acme.example", "Ada Lovelace")
ACME = AccountFacts(name="acme", company_name="Acme & Sons <Ltd>", email="office@acme.example")


@cache
def an_installation() -> TalkdeskInstallation:
    return TalkdeskInstallation.model_validate(sample_of("talkdeskinstallation"))


def an_app(**email: Any) -> TalkdeskApp:
    declared = sample_of("talkdeskapp")
    spec = declared["spec"] | {"email": {"appName": "Call Insights", **email}}
    return TalkdeskApp.model_validate(declared | {"spec": spec})


def story(outcome: Outcome = Outcome.INSTALLED, *, app: TalkdeskApp | None = None, **more: Any) -> Story:
    reason = None if outcome.succeeded else "The app did not start in time; write to help@example.com."
    return Story(
        app=app or an_app(),
        installation=an_installation(),
        mail=Mail(outcome, "e1", at="2026-01-05T10:00:00Z", reason=reason),
        **{"recipient": ADA, "account": ACME, "plan": "Gold", "launch": "https://t.apps.example.com/"} | more,
    )


@pytest.mark.parametrize("outcome", Outcome)
def test_the_default_says_what_happened_what_to_do_next_whom_to_ask_and_where_things_are(
    outcome: Outcome,
) -> None:
    letter = compose(story(outcome))
    assert letter.html is not None
    told = values(story(outcome))["words"]
    for part in (letter.text, letter.html):
        for expected in (told["headline"], told["next"], "help@example.com", "https://example.com/support"):
            assert expected.replace("&", "&amp;") in part.replace("& ", "&amp; ")
        assert "https://example.com/terms" in part
        assert "None" not in part
        launches = outcome in (Outcome.INSTALLED, Outcome.UPDATED)
        assert ("https://t.apps.example.com/" in part) == launches
        if not outcome.succeeded:
            assert "did not start in time" in part
    assert "Acme & Sons <Ltd>" in letter.text
    assert "Acme &amp; Sons &lt;Ltd&gt;" in letter.html
    assert "<Ltd>" not in letter.html
    assert "\n\n\n" not in letter.text


def test_each_outcome_has_a_subject_of_its_own() -> None:
    subjects = {compose(story(outcome)).subject for outcome in Outcome}
    assert len(subjects) == len(Outcome)
    assert all("Call Insights" in subject for subject in subjects)


def test_the_default_is_whole_where_next_to_nothing_is_known() -> None:
    app = an_app()
    bare = app.model_copy(
        update={"spec": app.spec.model_copy(update={"contact": None, "links": type(app.spec.links)()})}
    )
    for outcome in Outcome:
        nothing = {"account": AccountFacts(), "plan": None, "launch": None}
        about = story(outcome, app=bare, recipient=Recipient("a@b.example"), **nothing)
        letter = compose(about)
        assert letter.html is not None
        for part in (letter.subject, letter.text, letter.html):
            assert "None" not in part
            assert "Questions?" not in part
            assert "Hello" not in part


def test_the_apps_own_words_are_used_and_values_in_html_are_escaped() -> None:
    own = {
        "subject": "Welcome {{ account.companyName }}\nto\tus",
        "text": "{% if links.launch %}{{ links.launch | upper }}{% endif %}{{ plan.name | default('none') }}",
        "html": "<b>{{ account.companyName }}</b>{{ links.terms if succeeded else '' }}",
    }
    app = an_app(templates={"installed": own})
    assert problems(app) == ()
    letter = compose(story(app=app, plan=None))
    assert letter.subject == "Welcome Acme & Sons <Ltd> to us"
    assert letter.text == "HTTPS://T.APPS.EXAMPLE.COM/none"
    assert letter.html == "<b>Acme &amp; Sons &lt;Ltd&gt;</b>https://example.com/terms"


def test_of_a_mail_with_own_words_in_one_body_the_other_does_not_contradict_it() -> None:
    text_only = compose(story(app=an_app(templates={"installed": {"text": "Hi"}})))
    assert (text_only.text, text_only.html) == ("Hi", None)
    html_only = compose(story(app=an_app(templates={"installed": {"html": "<p>Hi</p>"}})))
    assert html_only.html == "<p>Hi</p>"
    assert "is ready" in html_only.text
    subject_only = compose(story(app=an_app(templates={"installed": {"subject": "Hi"}})))
    assert subject_only.subject == "Hi"
    assert subject_only.html is not None


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{{ acount.name }}", "unknown reference acount.name"),
        ("{{ account.nme }}", "unknown reference account.nme"),
        ("{{ account }}", "unknown reference account"),
        ("{{ self }}", "unknown reference self"),
        ("a\n{% if contact %}{{ nobody }}{% endif %}", "line 2: unknown reference nobody"),
        ("{% if false %}{{ nobody }}{% endif %}", "unknown reference nobody"),
        ("{{ account.name.upper() }}", "call is not allowed"),
        ("{{ account.__class__ }}", "unknown reference account.__class__"),
        ("{{ ''.__class__.__mro__ }}", "unknown reference"),
        ("{{ contact['__class__'] }}", "getitem is not allowed"),
        ("{% for c in contact %}{{ c }}{% endfor %}", "for is not allowed"),
        ("{{ range(10) }}", "call is not allowed"),
        ("{{ 'a' * 999999999 }}", "mul is not allowed"),
        ("{{ 9 ** 9 ** 9 }}", "pow is not allowed"),
        ("{{ contact ~ contact }}", "concat is not allowed"),
        ("{{ '%999999999d' % 1 }}", "mod is not allowed"),
        ("{{ contact | center(999999999) }}", "unknown filter center"),
        ("{{ contact | safe }}", "unknown filter safe"),
        ("{% set x = contact %}", "assign is not allowed"),
        ("{% macro m() %}{% endmacro %}", "macro is not allowed"),
        ("{% include 'other' %}", "include is not allowed"),
        ("{% extends 'other' %}", "extends is not allowed"),
        ("{{ contact is defined }}", "is not allowed"),
        ("{% if contact %}", "line 1: Unexpected end of template"),
        ("{{ contact", "line 1: unexpected end"),
        ("{{ " + "(" * 9000 + "contact", "nested too deeply"),
        ("{{ contact" + " and contact" * 1400 + " }}", "nested too deeply"),
        ("{{ contact }}" * 401, "more than 400 references"),
        ("{% if contact %}" * 900 + "{% endif %}" * 900, "nested too deeply"),
    ],
)
def test_what_is_no_reference_condition_or_known_filter_is_refused_when_written(
    template: str, problem: str
) -> None:
    began = time.process_time()
    with pytest.raises(TemplateRefused, match=re.escape(problem)):
        check(template)
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{% if 'Pro' in plan.name %}Pro{% endif %}", "line 1: TypeError where plan.name is not known"),
        ("a\n\n{{ 'Pro' in reason }}", "line 3: TypeError where reason is not known"),
        ("{% if not plan.name %}{{ contact > 'a' }}{% endif %}", "line 1: TypeError where nothing is known"),
        ("{% if not succeeded %}{{ none > 'a' }}{% endif %}", "line 1: TypeError"),
        ("{% if outcome == 'updated' %}{{ 1 > 'a' }}{% endif %}", "line 1: TypeError"),
        ("{{ none > 'a' }}", "line 1: TypeError"),
        ("{{ succeeded > 'a' }}", "line 1: TypeError"),
        ("{{ contact | upper('a') }}", "line 1: the filter upper takes no argument"),
        ("{% if false %}{{ contact | upper('a') }}{% endif %}", "line 1: the filter upper takes no argument"),
        ("{{ contact | default('a', true, 1) }}", "line 1: the filter default takes 2 arguments at most"),
        ("{{ contact | default(*contact) }}", "line 1: arguments have to be written one by one"),
        ("{{ contact | default(**contact) }}", "line 1: arguments have to be written one by one"),
        ("{{ contact | default(fallback='a') }}", "keyword is not allowed"),
        ("{{ '\\ud800' | urlencode }}", "line 1: UnicodeEncodeError"),
        ("{{ 1e999 == contact }}", "line 1: NameError"),
        ("{{ " + "9" * 5000 + " }}", "line 1: ValueError"),
    ],
)
def test_what_would_fail_for_some_customers_is_refused_when_written_and_the_default_is_sent(
    template: str, problem: str
) -> None:
    with pytest.raises(TemplateRefused, match=re.escape(problem)):
        check(template)
    for part in ("text", "html"):
        app = an_app(templates={"installed": {part: template}})
        found = mail_templates(app)
        assert found.status == "False"
        assert f"spec.email.templates.installed.{part}: " in found.message
        assert problem in found.message
        assert compose(story(app=app, plan=None)) == compose(story(plan=None))


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ plan.name | default('your plan', true) }}", "your plan"),
        ("{{ plan.name | default('your plan', false) }}", "your plan"),
        ("{{ plan.name | default('your plan') }}", "your plan"),
        ("{{ plan.name | default }}", ""),
        ("{{ plan.name | upper | default('none') }}", "none"),
        ("{{ '' | default('empty', true) }}{{ '' | default('empty', false) }}", "empty"),
        ("{{ false | default('no', true) }} {{ false | default('no', false) }}", "no False"),
        ("{{ contact | default('nobody', true) }}", "help@example.com"),
        ("{% if plan.name and 'Pro' in plan.name %}Pro{% else %}other{% endif %}", "other"),
        ("{{ 'a' if 'Pro' in plan.name | default('') else 'b' }}", "b"),
        ("{% if plan.name == none %}none{% endif %}", "none"),
        ("{% if 'Calls' in app.name and outcome > 'a' %}yes{% else %}no{% endif %}", "no"),
    ],
)
def test_what_is_not_known_has_its_words_in_the_ways_that_jinja_users_write_it(
    template: str, expected: str
) -> None:
    app = an_app(templates={"installed": {"text": template}})
    assert problems(app) == ()
    assert compose(story(app=app, plan=None)).text == expected


def test_whatever_a_template_raises_its_refusal_names_the_kind_and_no_value() -> None:
    template = "\n{% if plan.name %}{{ plan.name > 'a' }}{% endif %}"
    check(template)
    with pytest.raises(TemplateRefused) as refused:
        render(template, {"plan": {"name": 4711}}, html=False)
    assert str(refused.value) == "line 2: TypeError"


def test_a_template_that_grows_beyond_all_bounds_is_replaced_by_the_default() -> None:
    grown = "{{ reason }}" * 400
    check(grown)
    with pytest.raises(TemplateRefused, match=str(LARGEST)):
        render(grown, {"reason": "x" * 1024}, html=False)
    app = an_app(templates={"installFailed": {"html": grown}})
    about = story(Outcome.INSTALL_FAILED, app=app)
    long = Mail(Outcome.INSTALL_FAILED, "e1", at="2026-01-05T10:00:00Z", reason="x" * 1024)
    letter = compose(Story(app, about.installation, long, ADA, ACME))
    assert letter.html is not None
    assert "The installation was not completed" in letter.html


def test_broken_templates_are_named_by_path_and_line_and_the_default_is_sent_meanwhile() -> None:
    app = an_app(
        templates={
            "installed": {"subject": "Hi", "html": "<p>\n{{ account.nme }}</p>"},
            "uninstallFailed": {"text": "{% for a in b %}{% endfor %}"},
        }
    )
    found = mail_templates(app)
    assert found.status == "False"
    assert "spec.email.templates.installed.html: line 2: unknown reference account.nme" in found.message
    assert "spec.email.templates.uninstallFailed.text: line 1: for is not allowed" in found.message
    letter = compose(story(app=app))
    assert letter.subject == "Call Insights is ready for Acme & Sons <Ltd>"
    assert letter.html is not None
    assert mail_templates(an_app()).status == "True"


def test_the_defaults_are_of_the_language_and_every_reference_has_a_value() -> None:
    for ending in ("txt", "html"):
        check(default(ending))
    known = values(story())
    for name, members in REFERENCES.items():
        if members is None:
            assert not isinstance(known[name], dict)
        else:
            assert set(known[name]) == members
    assert set(known) == set(REFERENCES)


def test_a_template_is_tried_without_each_value_that_may_be_missing_and_with_all_others() -> None:
    app = an_app()
    bare = app.model_copy(
        update={"spec": app.spec.model_copy(update={"contact": None, "links": type(app.spec.links)()})}
    )
    declared = sample_of("talkdeskinstallation")
    del declared["spec"]["talkdesk"]["accountName"]
    unnamed = TalkdeskInstallation.model_validate(declared)
    missing = set()
    for outcome in Outcome:
        about = story(outcome, app=bare, recipient=Recipient("a@b.example"), account=AccountFacts())
        about = replace(about, installation=unnamed, plan=None, launch=None)
        about = replace(about, mail=replace(about.mail, reason=None))
        known = values(about)
        assert known.keys() == REFERENCES.keys()
        for name, members in REFERENCES.items():
            missing |= {name} if known[name] is None else set()
            missing |= {f"{name}.{one}" for one in members or () if known[name][one] is None}
    assert missing == set(UNCERTAIN)
    for _, known in situations():
        assert known.keys() == REFERENCES.keys()
        for name, members in REFERENCES.items():
            assert members is None or known[name].keys() == members


def an_uninstallation(*, seconds: int, due: str | None = None, uninstalled: str | None = None) -> Story:
    declared, known = sample_of("talkdeskapp"), sample_of("talkdeskinstallation")
    declared["spec"] |= {"retention": {"seconds": seconds}, "email": {"appName": "Call Insights"}}
    known["status"]["deadlines"]["retention"] = due
    known["spec"]["talkdesk"]["installed"]["at"] = "2026-01-01T10:00:00.000000Z"
    known["spec"]["talkdesk"]["uninstalled"]["at"] = uninstalled
    app = TalkdeskApp.model_validate(declared)
    return replace(
        story(Outcome.UNINSTALLED, app=app), installation=TalkdeskInstallation.model_validate(known)
    )


@pytest.mark.parametrize(
    ("seconds", "due", "uninstalled", "until"),
    [
        # Before the approval is stored, the deadline is the one until which Talkdesk waits for it.
        (86400, "2026-01-12T10:00:00Z", None, "2026-01-06 10:00 UTC"),
        (86400, None, None, "2026-01-06 10:00 UTC"),
        (3600, "2026-01-12T10:00:00Z", None, "2026-01-05 11:00 UTC"),
        # What is kept is kept from the uninstallation on, however late it was approved.
        (86400, "2026-01-12T10:00:00Z", "2026-01-05T08:30:59.900000Z", "2026-01-06 08:30 UTC"),
        (2592000, "2026-02-04T09:59:59Z", "2026-01-05T10:00:00.000000Z", "2026-02-04 09:59 UTC"),
        # One that was reinstalled since, or whose event never came, is counted from the approval.
        (2592000, None, "2025-12-01T10:00:00.000000Z", "2026-02-04 10:00 UTC"),
    ],
)
def test_an_uninstallations_mail_names_a_time_until_which_the_data_is_kept_for_certain(
    seconds: int, due: str | None, uninstalled: str | None, until: str
) -> None:
    about = an_uninstallation(seconds=seconds, due=due, uninstalled=uninstalled)
    assert values(about)["retention"] == {"until": until}
    text = compose(about).text
    assert f"Your data is kept until {until}: install Call Insights again before that" in text
    assert "After that it is deleted." in text


@pytest.mark.parametrize(
    ("seconds", "uninstalled"),
    [(0, None), (3600, "2026-01-05T09:00:00.000000Z")],
    ids=["never", "over when its approval was taken"],
)
def test_an_uninstallations_mail_promises_nothing_where_nothing_is_kept(
    seconds: int, uninstalled: str | None
) -> None:
    about = an_uninstallation(seconds=seconds, due="2026-01-12T10:00:00Z", uninstalled=uninstalled)
    assert values(about)["retention"] == {"until": None}
    assert "Your data is deleted." in compose(about).text


EVIL = "Ada\r\nBcc: everybody@evil.example\r\n\r\n<script>\u2028\x00\u202e"


def test_a_name_adds_no_header_no_recipient_and_no_body() -> None:
    app = an_app(senderName="Team")
    about = story(
        app=app, recipient=Recipient("ada@acme.example", EVIL), account=AccountFacts(company_name=EVIL)
    )
    own = an_app(templates={"installed": {"subject": "{{ account.companyName }} {{ admin.name }}"}})
    for letter in (compose(about), compose(story(app=own, recipient=about.recipient, account=about.account))):
        ready = message(
            letter,
            sender=Sender("apps@example.com", EVIL, "help@example.com"),
            to=about.recipient,
            mail_id="0123",
            date=DATE,
        )
        read = message_from_bytes(ready.as_bytes(), policy=policy.default)
        assert read["Bcc"] is None
        assert sorted(read.keys()) == sorted(
            ["From", "To", "Reply-To", "Subject", "Date", "Message-ID", "Auto-Submitted",
             "X-Auto-Response-Suppress", "MIME-Version", "Content-Type"]
        )  # fmt: skip
        assert [one.addr_spec for one in read["To"].addresses] == ["ada@acme.example"]
        assert [one.addr_spec for one in read["From"].addresses] == ["apps@example.com"]
        assert read["Message-ID"] == "<0123@example.com>"
        assert read["Auto-Submitted"] == "auto-generated"
        html = read.get_body(("html",))
        assert html is not None
        assert "<script>" not in html.get_content()


@given(st.text(max_size=300), st.text(max_size=300))
def test_no_text_whatever_breaks_a_header(name: str, subject: str) -> None:
    letter = compose(
        story(recipient=Recipient("ada@acme.example", name), account=AccountFacts(company_name=subject))
    )
    to = recipient([Entry("x", email="ada@acme.example", name=name, admin=True)], AccountFacts())
    assert to is not None
    ready = message(
        letter, sender=Sender("apps@example.com", subject or "x"), to=to, mail_id="0123", date=DATE
    )
    head = ready.as_bytes().split(b"\r\n\r\n")[0]
    names = [line.split(b":")[0] for line in head.split(b"\r\n") if not line.startswith((b" ", b"\t"))]
    assert sorted(names) == sorted(
        [b"From", b"To", b"Subject", b"Date", b"Message-ID", b"Auto-Submitted", b"X-Auto-Response-Suppress",
         b"MIME-Version", b"Content-Type"]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ada@acme.example", "ada@acme.example"),
        (" ada@acme.example ", "ada@acme.example"),
        ("ada@büro.example", "ada@xn--bro-hoa.example"),
        ("ada+x@acme.example", "ada+x@acme.example"),
        (None, None),
        ("", None),
        ("ada", None),
        ("@acme.example", None),
        ("ada@", None),
        ("a@b@c.example", None),
        ("ada@acme.example\r\nRCPT TO:<x@evil.example>", None),
        ("ada@acme.example>, <x@evil.example", None),
        ("ada@-acme.example", None),
        (".ada@acme.example", None),
        ("å@acme.example", None),
        ("a" * 65 + "@acme.example", None),
    ],
)
def test_only_plain_addresses_are_written_to(text: str | None, expected: str | None) -> None:
    assert usable(text) == expected


def test_the_admin_is_written_to_else_the_account_else_nobody() -> None:
    admin = Entry("x", email="ada@acme.example", name="Ada", admin=True)
    other = Entry("x", email="ben@acme.example")
    assert recipient([other, admin], ACME) == Recipient("ada@acme.example", "Ada")
    assert recipient([other], ACME) == Recipient("office@acme.example", "Acme & Sons <Ltd>")
    unusable = Entry("x", email="nonsense", admin=True)
    assert recipient([unusable], ACME) == Recipient("office@acme.example", "Acme & Sons <Ltd>")
    assert recipient([other, unusable], AccountFacts()) is None
