"""Which mails are owed, how they are kept, and what the condition says of them."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from talkdesk_crds.conditions import Reason
from talkdesk_crds.installation import FromTalkdesk, Installed, Uninstalled, Updated
from talkdesk_crds.meta import parse_time, time
from talkdesk_operator import annotation
from talkdesk_operator.confirm import REMEMBERED, Given
from talkdesk_operator.mail import record
from talkdesk_operator.mail.outcome import Outcome
from talkdesk_operator.mail.owed import Standing, by_answer, by_state
from talkdesk_operator.mail.record import Mail
from talkdesk_operator.mail.verdict import Failing, verdict

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
DAY = timedelta(days=1)
INSTALLED = Installed(at="2026-01-05T10:00:00.000000Z", rank=1, event="e-installed")
UPDATED = Updated(at="2026-01-05T11:00:00.000000Z", rank=2, event="e-updated")
UNINSTALLED = Uninstalled(at="2026-01-05T11:30:00.000000Z", rank=9, event="e-uninstalled")
FRESH = FromTalkdesk(installed=INSTALLED)
CHANGED = FromTalkdesk(installed=INSTALLED, updated=UPDATED)
GONE = FromTalkdesk(installed=INSTALLED, uninstalled=UNINSTALLED)
APPROVED = Given(
    state="installing", updated_at="2026-01-05T10:00:01Z", answer="approve", at="2026-01-05T10:00:09Z",
    result_state="completed", result_updated_at="2026-01-05T10:00:09Z", event="e-installed",
)  # fmt: skip
SETTLED = Standing(
    said=FRESH, given=(), state="completed", updated_at="2026-01-05T10:00:09Z", leaving=False, confirmed=True
)


@pytest.mark.parametrize(
    ("state", "answer", "event", "expected"),
    [
        ("installing", "approve", "e-installed", (Outcome.INSTALLED, "e-installed")),
        ("installing", "reject", "e-installed", (Outcome.INSTALL_FAILED, "e-installed")),
        ("updating", "approve", "e-updated", (Outcome.UPDATED, "e-updated")),
        ("updating", "reject", None, (Outcome.UPDATE_FAILED, "updating 2026-01-05T10:00:01Z")),
        ("pending", "approve", "e-updated", (Outcome.UPDATED, "e-updated")),
        ("pending", "approve", "e-installed", (Outcome.INSTALLED, "e-installed")),
    ],
)
def test_each_answer_that_talkdesk_took_owes_one_mail(
    state: str, answer: str, event: str | None, expected: tuple[Outcome, str]
) -> None:
    given = replace(APPROVED, state=state, answer=answer, event=event, reason="sorry")
    mail = by_answer(given, CHANGED)
    assert mail is not None
    assert (mail.outcome, mail.request) == expected
    assert mail.reason == (None if answer == "approve" else "sorry")


def test_an_approved_uninstallation_owes_one_under_its_event() -> None:
    given = replace(APPROVED, state="uninstalled", result_state="uninstalled", event=None)
    assert by_answer(given, GONE) == Mail(Outcome.UNINSTALLED, "e-uninstalled", at=given.at)


def test_an_uninstallation_is_known_by_its_event_whatever_word_its_state_has() -> None:
    given = replace(APPROVED, state="pending", event=None)
    assert by_answer(given, GONE) == Mail(Outcome.UNINSTALLED, "e-uninstalled", at=given.at)
    assert by_answer(replace(given, answer="reject"), GONE) is None
    mail = by_answer(replace(given, uninstalling=True), FRESH)
    assert mail == Mail(Outcome.UNINSTALLED, "pending 2026-01-05T10:00:01Z", at=given.at)
    for state, outcome in (("installing", Outcome.INSTALLED), ("updating", Outcome.UPDATED)):
        mail = by_answer(replace(given, state=state), GONE)
        assert mail is not None
        assert mail.outcome is outcome


def test_an_answer_whose_outcome_is_unknown_owes_nothing_until_the_state_shows_it() -> None:
    unknown = replace(APPROVED, result_state=None, result_updated_at=None)
    assert by_answer(unknown, FRESH) is None
    seen = replace(SETTLED, given=(unknown,))
    mail = by_state(seen, (), now=NOW, within=DAY)
    assert mail is not None
    assert (mail.outcome, mail.request) == (Outcome.INSTALLED, "e-installed")
    refused = replace(seen, state="rejected", given=(replace(unknown, answer="reject", reason="no room"),))
    mail = by_state(refused, (), now=NOW, within=DAY)
    assert mail is not None
    assert (mail.outcome, mail.reason) == (Outcome.INSTALL_FAILED, "no room")


def test_an_answer_whose_record_was_lost_is_told_of_once() -> None:
    mail = by_state(SETTLED, (), now=NOW, within=DAY)
    assert mail is not None
    assert mail.outcome is Outcome.INSTALLED
    assert by_state(SETTLED, (mail,), now=NOW, within=DAY) is None
    assert by_state(SETTLED, (replace(mail, state="sent"),), now=NOW, within=DAY) is None


def test_an_answer_that_is_on_record_without_its_mail_is_told_of_all_the_same() -> None:
    answered = replace(SETTLED, given=(APPROVED,))
    mail = by_state(answered, (), now=NOW, within=DAY)
    with_the_answer = by_answer(APPROVED, FRESH)
    assert mail is not None
    assert with_the_answer is not None
    assert mail.same(with_the_answer)
    assert by_state(answered, (with_the_answer,), now=NOW, within=DAY) is None


@pytest.mark.parametrize(
    "standing",
    [
        replace(SETTLED, given=(replace(APPROVED, event=None),)),
        replace(SETTLED, confirmed=False),
        replace(SETTLED, state=None),
        replace(SETTLED, state="suspended"),
        replace(SETTLED, state="revoked"),
        # What Talkdesk shows is from before the update.
        replace(SETTLED, said=CHANGED),
        replace(SETTLED, updated_at=None),
        replace(SETTLED, said=FromTalkdesk()),
    ],
    ids=[
        "told before its event came", "an answer is owed", "not read",
        "suspended", "revoked", "older than the request", "no time", "no event",
    ],
)  # fmt: skip
def test_nothing_is_owed_where_nothing_new_has_ended(standing: Standing) -> None:
    assert by_state(standing, (), now=NOW, within=DAY) is None


def test_what_ended_long_ago_is_news_to_nobody() -> None:
    late = NOW + DAY
    assert by_state(SETTLED, (), now=late, within=DAY) is None
    assert by_state(replace(SETTLED, said=GONE, leaving=True), (), now=late, within=DAY) is None


def test_what_talkdesk_ended_itself_is_told_as_a_failure() -> None:
    for state in ("timeout", "failed"):
        mail = by_state(replace(SETTLED, state=state), (), now=NOW, within=DAY)
        assert mail is not None
        assert mail.outcome is Outcome.INSTALL_FAILED
        assert mail.reason
        update = replace(SETTLED, state=state, said=CHANGED, updated_at="2026-01-05T11:30:00Z")
        mail = by_state(update, (), now=NOW, within=DAY)
        assert mail is not None
        assert mail.outcome is Outcome.UPDATE_FAILED
        mail = by_state(replace(SETTLED, state=state, said=GONE, leaving=True), (), now=NOW, within=DAY)
        assert mail is not None
        assert mail.outcome is Outcome.UNINSTALL_FAILED


#: Talkdesk has ended the update after its week, and shows what was before.
LATER = datetime(2026, 1, 12, 12, tzinfo=UTC)
TIMED_OUT = replace(SETTLED, said=CHANGED, given=(APPROVED,), updated_at="2026-01-12T11:00:00Z")
TAKEN = replace(
    APPROVED, state="updating", event="e-updated", updated_at="2026-01-05T11:00:01Z",
    at="2026-01-05T11:00:09Z", result_updated_at="2026-01-05T11:00:09Z",
)  # fmt: skip


@pytest.mark.parametrize("state", ["completed", "suspended"])
@pytest.mark.parametrize(
    "standing",
    [
        TIMED_OUT,
        replace(TIMED_OUT, given=()),
        replace(TIMED_OUT, updated_at="2026-01-12T10:59:58Z"),
        replace(TIMED_OUT, given=(APPROVED, replace(TAKEN, result_state=None, result_updated_at=None))),
    ],
    ids=["not answered", "nothing on record", "a little early by its clocks", "Talkdesk did not take it"],
)
def test_an_update_that_talkdesk_ended_after_a_week_is_told_as_a_failure(
    standing: Standing, state: str
) -> None:
    standing = replace(standing, state=state)
    mail = by_state(standing, (), now=LATER, within=DAY)
    assert mail is not None
    assert (mail.outcome, mail.request) == (Outcome.UPDATE_FAILED, "e-updated")
    assert mail.reason == "It took too long, and Talkdesk ended it."
    assert by_state(standing, (replace(mail, state="sent"),), now=LATER, within=DAY) is None


@pytest.mark.parametrize(
    "given",
    [(APPROVED, TAKEN), (APPROVED, replace(TAKEN, event=None)), (APPROVED, replace(TAKEN, event="e-odd"))],
    ids=["under its event", "before its event came", "under another event"],
)
def test_an_update_that_talkdesk_took_is_no_failure_whatever_changes_a_week_later(
    given: tuple[Given, ...],
) -> None:
    for state in ("completed", "suspended"):
        mail = by_state(replace(TIMED_OUT, state=state, given=given), (), now=LATER, within=DAY)
        assert mail is None or mail.outcome is Outcome.UPDATED


def test_an_update_that_was_rejected_keeps_its_reason_however_late() -> None:
    rejected = replace(TAKEN, answer="reject", reason="no room", result_state=None, result_updated_at=None)
    mail = by_state(replace(TIMED_OUT, given=(APPROVED, rejected)), (), now=LATER, within=DAY)
    assert mail is not None
    assert (mail.outcome, mail.reason) == (Outcome.UPDATE_FAILED, "no room")


def test_an_update_that_was_told_of_is_not_told_of_again_as_timed_out() -> None:
    lost = replace(TIMED_OUT, updated_at="2026-01-05T11:00:09Z")
    told = by_state(lost, (), now=NOW, within=DAY)
    assert told is not None
    assert told.outcome is Outcome.UPDATED
    for state in ("completed", "suspended"):
        later = replace(TIMED_OUT, state=state)
        assert by_state(later, (replace(told, state="sent"),), now=LATER, within=DAY) is None


def test_an_installation_that_took_more_than_a_week_is_no_failed_update() -> None:
    for state, expected in (("completed", Outcome.INSTALLED), ("suspended", None)):
        late = replace(SETTLED, state=state, updated_at="2026-01-12T11:00:00Z")
        mail = by_state(late, (), now=LATER, within=DAY)
        assert (mail.outcome if mail is not None else None) == expected


def test_an_uninstallation_is_told_once_whatever_the_state_reads_afterwards() -> None:
    gone = replace(SETTLED, said=GONE, leaving=True, state="revoked")
    mail = by_state(gone, (), now=NOW, within=DAY)
    assert mail is not None
    assert (mail.outcome, mail.request) == (Outcome.UNINSTALLED, "e-uninstalled")
    for state in ("uninstalled", "(not found)", "timeout", "failed"):
        assert by_state(replace(gone, state=state), (mail,), now=NOW, within=DAY) is None


@pytest.mark.parametrize("state", ["uninstalled", "timeout", "failed"])
@pytest.mark.parametrize("said", [GONE, FRESH], ids=["its event is here", "its event is lost"])
def test_of_an_installation_whose_tenant_a_newer_one_holds_no_end_is_told(
    said: FromTalkdesk, state: str
) -> None:
    given = replace(APPROVED, state="uninstalled", result_state="uninstalled", event=None, uninstalling=True)
    assert by_answer(given, said, superseded=True) is None
    gone = replace(SETTLED, said=said, state=state, given=(given,), leaving=True, superseded=True)
    assert by_state(gone, (), now=NOW, within=DAY) is None


#: The approval of an uninstallation that Talkdesk's API alone told of, and its mail.
LEFT = Given(
    state="uninstalled", updated_at="2026-01-05T11:30:00Z", answer="approve", at="2026-01-05T11:31:00Z",
    result_state="uninstalled", result_updated_at="2026-01-05T11:31:00Z", uninstalling=True,
)  # fmt: skip


@pytest.mark.parametrize("state", ["uninstalled", "(not found)", "timeout"])
@pytest.mark.parametrize(
    "behind", [timedelta(0), timedelta(minutes=4)], ids=["clocks agree", "ours is behind"]
)
def test_an_uninstallation_that_was_told_of_before_its_event_came_is_not_told_of_again(
    behind: timedelta, state: str
) -> None:
    given = replace(LEFT, at=time(parse_time(LEFT.at) - behind))
    told = by_answer(given, FRESH)
    assert told is not None
    assert (told.outcome, told.request) == (Outcome.UNINSTALLED, "uninstalled 2026-01-05T11:30:00Z")
    gone = replace(SETTLED, said=GONE, state=state, given=(APPROVED, given), leaving=True)
    for one in (told, replace(told, state="sent")):
        assert by_state(gone, (one,), now=NOW, within=DAY) is None


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ((LEFT,), ()),
        ((replace(LEFT, result_state=None),), (Mail(Outcome.INSTALLED, "e-installed", at=LEFT.at),)),
        (
            (replace(LEFT, at="2026-01-04T11:31:00Z"),),
            (Mail(Outcome.UNINSTALLED, "uninstalled 2026-01-05T11:30:00Z", at="2026-01-04T11:31:00Z"),),
        ),
    ],
    ids=["its mail was lost", "Talkdesk did not take it", "it was about an earlier one"],
)
def test_an_uninstallation_that_was_not_told_of_is_told_of_under_its_event(
    given: tuple[Given, ...], told: tuple[Mail, ...]
) -> None:
    gone = replace(SETTLED, said=GONE, state="uninstalled", given=given, leaving=True)
    mail = by_state(gone, told, now=NOW, within=DAY)
    assert mail is not None
    assert (mail.outcome, mail.request) == (Outcome.UNINSTALLED, "e-uninstalled")


def test_the_record_survives_its_annotation_and_keeps_the_newest() -> None:
    mails: tuple[Mail, ...] = ()
    for number, outcome in zip(range(REMEMBERED + 3), itertools.cycle(Outcome)):
        new = Mail(outcome, f"e{number}", at="2026-01-05T10:00:00Z", reason="ü" * 2000)
        mails = record.remember(mails, new)
        assert record.remember(mails, replace(new, at="2026-01-06T10:00:00Z")) == mails
    assert [one.request for one in mails] == [f"e{number}" for number in range(3, REMEMBERED + 3)]
    assert record.parse(annotation.render(mails)) == mails
    assert len(annotation.render(mails).encode()) < 100_000
    sent = record.mark(mails, replace(mails[0], state="sent", ended="2026-01-05T10:00:01Z"))
    assert [one.state for one in sent] == ["sent", *["owed"] * (REMEMBERED - 1)]


@pytest.mark.parametrize(
    "text",
    ["", "nonsense", "{}", "[1]", '[{"outcome": "odd", "request": "e", "at": "2026-01-05T10:00:00Z"}]',
     '[{"outcome": "installed", "request": "e", "at": "soon"}]', '[{"outcome": "installed"}]', "null"],
)  # fmt: skip
def test_what_somebody_else_wrote_into_the_annotation_counts_as_nothing(text: str) -> None:
    assert record.parse(text) == ()


def test_an_id_is_one_mails_own_and_the_same_for_each_copy() -> None:
    mail = Mail(Outcome.INSTALLED, "e1", at="2026-01-05T10:00:00Z")
    assert mail.id("i1") == replace(mail, at="2026-01-06T10:00:00Z", state="sent").id("i1")
    others = {
        mail.id("i1"),
        mail.id("i2"),
        replace(mail, request="e2").id("i1"),
        replace(mail, outcome=Outcome.INSTALL_FAILED).id("i1"),
    }
    assert len(others) == 4


def test_the_condition_says_what_became_of_the_newest_mail() -> None:
    owed = Mail(Outcome.INSTALLED, "e1", at="2026-01-05T10:00:00Z")
    sent = replace(owed, state="sent", ended="2026-01-05T10:00:01Z")
    lost = replace(owed, state="givenUp", cause="NobodyToWriteTo", message="nobody")

    def said(*mails: Mail, failing: Failing | None = None, **settings: bool) -> tuple[str, Reason]:
        found = verdict(mails, **({"configured": True, "enabled": True} | settings), failing=failing)
        return (found.status, found.reason)

    assert said() == ("True", Reason.NOTHING_TO_TELL)
    assert said(sent) == ("True", Reason.MAIL_SENT)
    assert said(sent, owed) == ("False", Reason.MAIL_OWED)
    retrying = Failing(Reason.MAIL_RETRYING, "no answer")
    assert said(owed, failing=retrying) == ("False", Reason.MAIL_RETRYING)
    assert said(sent, failing=retrying) == ("True", Reason.MAIL_SENT)
    assert said(lost) == ("False", Reason.NOBODY_TO_WRITE_TO)
    assert said(replace(lost, cause="odd")) == ("False", Reason.MAIL_GIVEN_UP)
    assert said(lost, sent) == ("True", Reason.MAIL_SENT)
    assert said(owed, configured=False) == ("True", Reason.MAILS_NOT_CONFIGURED)
    assert said(owed, enabled=False) == ("True", Reason.MAILS_SWITCHED_OFF)
