"""What customers and persons are told, since when patience runs, and which deadlines are shown."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from samples import sample_of
from talkdesk_crds import conditions as types
from talkdesk_crds.app import TalkdeskApp
from talkdesk_crds.conditions import Reason
from talkdesk_crds.installation import TalkdeskInstallation
from talkdesk_kube import parse
from talkdesk_operator.answer import Answerer, goes_on, rests
from talkdesk_operator.apology import apology
from talkdesk_operator.conditions import false, true
from talkdesk_operator.confirm import Nothing, Readiness, Say, Wait
from talkdesk_operator.deadlines import answer_deadline, deadlines
from talkdesk_operator.gate import Verdict
from talkdesk_operator.memory import InstallationMemory
from talkdesk_operator.notes import Agenda, Notes
from talkdesk_operator.patience import patience_began, tried
from talkdesk_operator.person import person
from talkdesk_operator.reading import Reading
from talkdesk_operator.tenant.facts import TrialFacts

if TYPE_CHECKING:
    from talkdesk_operator.answer import Desk

NOW = datetime(2026, 1, 5, 10, tzinfo=UTC)
ASKED = "2026-01-05T09:00:00.123456+00:00"


def installation(*, spec: dict[str, Any] | None = None, status: dict[str, Any] | None = None) -> Any:
    obj = sample_of("talkdeskinstallation")
    obj["metadata"] |= {"namespace": "talkdesk-system", "uid": "u", "generation": 1}
    for name in ("decision", "approval"):
        obj["spec"].pop(name, None)
    obj["spec"] |= spec or {}
    obj["status"] = status or {}
    return parse(TalkdeskInstallation, obj)


def app(**spec: Any) -> TalkdeskApp:
    obj = sample_of("talkdeskapp")
    obj["spec"] |= spec
    return parse(TalkdeskApp, obj)


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize("updating", [False, True])
def test_a_customer_is_told_in_words_of_their_own_and_whom_to_ask(reason: Reason, updating: bool) -> None:
    links = {"support": "https://help.example/td"}
    told = apology(app(contact="help@partner.example", links=links), reason, updating=updating)
    assert "help@partner.example" in told
    assert links["support"] in told
    assert ("previous settings stay in use" in told) is updating
    # No jargon, no name of a constant, no object.
    assert not re.search(
        r"(?i)kubernetes|namespace|\bpods?\b|deployment|secret|template|\$\{|reason|probe", told
    )
    assert not re.search(r"\b[A-Z][a-z]+[A-Z]\w*", told)
    assert len(told) <= 1024


def test_without_a_contact_the_customer_is_sent_to_the_apps_provider() -> None:
    told = apology(app(contact=None, links={}), Reason.WORKLOAD_NOT_READY, updating=False)
    assert told.endswith("Please try again later, or contact the app's provider.")


def test_a_person_is_told_the_deadline_the_advice_and_the_exact_command() -> None:
    held = installation(spec={"approval": "Manual"})
    asked = person(held, state="installing", updated_at=ASKED, deadline=answer_deadline(ASKED))
    assert asked is not None
    assert asked.answer is None
    assert "Talkdesk says installing and gives up at 2026-01-12T09:00:00Z" in asked.question
    assert "advises against manual approval" in asked.question
    found = re.search(r"kubectl -n (\S+) patch tdi (\S+) --type merge -p '(.*)'$", asked.question)
    assert found is not None
    assert (found[1], found[2]) == ("talkdesk-system", held.metadata.name)
    assert json.loads(found[3]) == {"spec": {"decision": {"answer": "approve", "updatedAt": ASKED}}}
    assert " ".join(asked.question.split()) == asked.question
    assert len(asked.question) <= 1024


def test_a_decision_counts_for_its_own_moment_alone() -> None:
    decision = {"answer": "reject", "updatedAt": ASKED, "reason": "no"}
    held = installation(spec={"approval": "Manual", "decision": decision})
    same = person(held, state="updating", updated_at=ASKED, deadline=None)
    assert same is not None
    assert (same.answer, same.reason) == ("reject", "no")
    other = person(held, state="updating", updated_at="2026-01-05T09:00:01Z", deadline=None)
    assert other is not None
    assert other.answer is None


def test_nobody_is_asked_where_approval_is_automatic() -> None:
    decision = {"answer": "reject", "updatedAt": ASKED}
    held = installation(spec={"decision": decision})
    assert person(held, state="installing", updated_at=ASKED, deadline=None) is None


DAY = timedelta(days=1)


def confirmed(
    status: str, at: str, *, reason: str = "WaitingForTenant", until: datetime | None = None
) -> dict[str, Any]:
    one = {"type": "Confirmed", "status": status, "reason": reason, "lastTransitionTime": at}
    deadlines = {"patience": f"{until:%Y-%m-%dT%H:%M:%SZ}"} if until is not None else {}
    return {"conditions": [one], "deadlines": deadlines}


def began(held: Any, updated_at: str | None) -> datetime:
    """As a process finds it that has just started."""
    since = tried(held, patience=DAY, known=None, now=NOW)
    return patience_began(updated_at, tried=since, now=NOW)


def test_patience_begins_when_it_is_tried_and_not_while_nobody_could() -> None:
    assert began(installation(), "2026-01-01T00:00:00Z") == NOW
    since = NOW - timedelta(minutes=10)
    at = f"{since:%Y-%m-%dT%H:%M:%SZ}"
    owed = installation(status=confirmed("False", at, until=since + DAY))
    assert began(owed, "2026-01-01T00:00:00Z") == since
    settled = installation(status=confirmed("True", at))
    assert began(settled, "2026-01-05T09:59:00Z") == NOW


def test_patience_begins_anew_with_a_newer_request_but_not_with_one_from_the_future() -> None:
    since = NOW - timedelta(hours=2)
    owed = installation(status=confirmed("False", f"{since:%Y-%m-%dT%H:%M:%SZ}", until=since + DAY))
    assert began(owed, "2026-01-05T09:30:00Z") == NOW - timedelta(minutes=30)
    assert began(owed, "2027-01-05T09:30:00Z") == since
    assert began(owed, None) == since


@pytest.mark.parametrize("reason", ["WaitingForTenant", "WaitingForUsers", "WaitingForPerson"])
def test_patience_stands_still_while_somebody_keeps_us_and_begins_when_they_let_go(reason: str) -> None:
    at = "2026-01-01T00:00:00Z"  # four days of a pause, or of a person's thinking: no deadline was shown
    assert began(installation(status=confirmed("False", at, reason=reason)), at) == NOW
    # The pass after that, and a process that starts then, go on with what is shown.
    shown = installation(status=confirmed("False", at, until=NOW - timedelta(hours=1) + DAY))
    assert tried(shown, patience=DAY, known=NOW - timedelta(hours=1), now=NOW) == NOW - timedelta(hours=1)
    assert began(shown, at) == NOW - timedelta(hours=1)


def test_an_answer_that_could_not_be_delivered_does_not_begin_patience_anew() -> None:
    owed = installation(status=confirmed("False", "2026-01-01T00:00:00Z", reason="AnswerFailed"))
    assert began(owed, None) == datetime(2026, 1, 1, tzinfo=UTC)


def test_less_patience_of_the_app_counts_at_once() -> None:
    since = NOW - timedelta(hours=2)
    owed = installation(status=confirmed("False", f"{since:%Y-%m-%dT%H:%M:%SZ}", until=since + DAY))
    assert tried(owed, patience=timedelta(seconds=1), known=since, now=NOW) == since


@pytest.mark.parametrize(
    ("decision", "ending", "at_once"),
    [
        (Wait(Reason.WAITING_FOR_ACCESS, "access first"), True, True),
        # Its end is held back: what ends it looks again by itself, and not thousands of times a second.
        (Wait(Reason.WAITING_FOR_ACCESS, "access first"), False, False),
        (Wait(Reason.WAITING_FOR_TENANT, "not yet"), True, False),
        (Say("approve"), False, True),
        (Nothing(Reason.APPROVED), True, False),
    ],
)
def test_what_this_pass_stores_is_looked_at_at_once_and_what_is_held_back_is_not(
    decision: Any, ending: bool, at_once: bool
) -> None:
    assert goes_on(decision, access_ends=ending) is at_once


def notes(*, status: dict[str, Any] | None = None) -> Notes:
    made = Notes(installation=installation(status=status), memory=InstallationMemory(), given=())
    made.fresh = Reading(
        begun=0.0, generation=1, resync_token=None, seen=frozenset(), state="installing", updated_at=ASKED,
        admin=None,
    )  # fmt: skip
    return made


def test_deadlines_of_answer_and_patience_stand_while_an_answer_is_owed() -> None:
    owed = notes()
    owed.verdicts[types.CONFIRMED] = false(Reason.WAITING_FOR_TENANT)
    owed.patience = NOW
    found = deadlines(owed, now=NOW)
    assert (found.answer, found.patience) == ("2026-01-12T09:00:00Z", "2026-01-05T10:00:00Z")
    owed.verdicts[types.CONFIRMED] = true(Reason.APPROVED)
    assert (deadlines(owed, now=NOW).answer, deadlines(owed, now=NOW).patience) == (None, None)


def test_a_pass_that_learns_nothing_keeps_the_deadlines() -> None:
    old = {"deadlines": {"answer": "2026-01-12T09:00:00Z", "patience": "2026-01-06T00:00:00Z"}}
    assert deadlines(notes(status=old), now=NOW).to_json() == old["deadlines"]


@pytest.mark.parametrize("text", [None, "", "soon", "9999-12-31T00:00:00Z"])
def test_a_time_that_cannot_be_counted_from_gives_no_deadline(text: str | None) -> None:
    assert answer_deadline(text) is None


def resting(*, asked: str | None) -> bool:
    """A tenant whose trial is over, and an update that asks for that plan, or for users alone."""
    held = notes()
    said = held.installation.spec.talkdesk
    wanted = {"at": "2027-01-05T09:00:00.000000Z", "rank": 20, "event": "u"}
    registers: dict[str, Any] = {
        "updated": wanted,
        "subscription": {**wanted, "name": asked} if asked else None,
    }
    told = type(said).model_validate({**said.to_json(), **registers})
    spec = held.installation.spec.model_copy(update={"talkdesk": told})
    held.installation = held.installation.model_copy(update={"spec": spec})
    shown = Reading(
        begun=0.0, generation=1, resync_token=None, seen=frozenset(), state="updating", updated_at=ASKED,
        admin=None, plan="Trial", trial=TrialFacts(state="ended", subscription_name="Trial"),
    )  # fmt: skip
    return rests(held, Verdict(Readiness.NOT_YET, Reason.TRIAL_ENDED, ""), shown)


def test_of_a_trial_that_is_over_other_users_are_approved_at_rest_but_no_other_plan() -> None:
    assert resting(asked=None)
    assert resting(asked="Trial")
    assert not resting(asked="Paid"), "what is paid for has to run first"


@pytest.mark.parametrize(("rechecks", "reason"), [(1, "WaitingForTalkdesk"), (0, "NothingPending")])
async def test_what_talkdesk_showed_before_an_uninstallation_settles_it_only_once_it_was_asked_again(
    rechecks: int, reason: str
) -> None:
    stamp = {"rank": 90, "event": "u"}
    said = {"installed": {**stamp, "at": None}, "uninstalled": {**stamp, "at": "2026-01-05T10:00:00.000000Z"}}
    held = notes()
    held.installation = installation(spec={"talkdesk": said})
    held.memory.rechecks = rechecks
    assert held.fresh is not None
    held.fresh = replace(held.fresh, state="completed")
    desk = cast("Desk", SimpleNamespace(clock=lambda: NOW, delivered_within=timedelta(0)))
    await Answerer(desk).answer(held, app(), Verdict(Readiness.NOT_YET, Reason.UNINSTALLED, ""), Agenda())
    assert held.verdicts[types.CONFIRMED].reason == reason
