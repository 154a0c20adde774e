"""Conditions: what a pass found out, told without noise; and their reasons, documented."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from talkdesk_crds import conditions as types
from talkdesk_crds.conditions import Reason
from talkdesk_operator.conditions import Verdict, conditions, false, summary, true
from talkdesk_operator.publish import patch_of

if TYPE_CHECKING:
    from talkdesk_crds.meta import Condition

NOW = datetime(2026, 1, 5, 10, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
STEPS = [name for name in types.INSTALLATION_CONDITIONS if name != types.READY]
ALL = {name: true(Reason.INSTALLATION_READY) for name in STEPS}


def test_the_transition_time_moves_only_with_the_status() -> None:
    first = conditions([], {"A": false(Reason.LIST_FAILED)}, wanted=["A"], generation=1, now=NOW)
    again = conditions(first, {"A": false(Reason.USERS_UNUSABLE)}, wanted=["A"], generation=2, now=LATER)
    turned = conditions(again, {"A": true(Reason.USERS_LISTED)}, wanted=["A"], generation=2, now=LATER)
    assert again[0].last_transition_time == first[0].last_transition_time
    assert (again[0].reason, again[0].observed_generation) == ("UsersUnusable", 2)
    assert turned[0].last_transition_time > first[0].last_transition_time


def test_what_nothing_was_found_out_about_stays_with_its_generation() -> None:
    first = conditions([], {"A": true(Reason.APPROVED)}, wanted=["A", "B"], generation=1, now=NOW)
    assert [(one.type, one.status) for one in first] == [("A", "True"), ("B", "Unknown")]
    kept = conditions(first, {}, wanted=["A", "B"], generation=2, now=LATER)
    assert kept == first


def steps(**verdicts: Verdict) -> list[Condition]:
    return conditions([], {**ALL, **verdicts}, wanted=list(ALL), generation=3, now=NOW)


def test_ready_names_the_first_step_that_is_not_so() -> None:
    assert summary(steps(), generation=3).status == "True"
    found = summary(
        steps(TenantReady=false(Reason.PROBE_FAILING, "503"), UsersSynced=false(Reason.LIST_FAILED)),
        generation=3,
    )
    assert (found.status, found.reason) == ("False", Reason.PROBE_FAILING)


def test_a_confirmation_of_an_older_generation_makes_nothing_ready() -> None:
    assert summary(steps(), generation=4).status == "Unknown"


def test_a_rejection_that_talkdesk_accepted_is_confirmed_but_not_ready() -> None:
    found = summary(steps(Confirmed=true(Reason.REJECTED, "rejected: no pods")), generation=3)
    assert (found.status, found.reason) == ("False", Reason.REJECTED)


def test_a_long_message_is_cut_and_kept_on_one_line() -> None:
    (found,) = conditions(
        [], {"A": false(Reason.APPLY_FAILED, "x\ny" * 2000)}, wanted=["A"], generation=1, now=NOW
    )
    assert len(found.message) == 1024
    assert "\n" not in found.message


def test_a_status_patch_holds_what_changed_and_removes_what_went() -> None:
    assert patch_of({"a": 1, "b": [1], "c": 2}, {"a": 1, "b": [2]}) == {"b": [2], "c": None}
    assert patch_of({"a": {"b": 1}}, {"a": {"b": 1}}) == {}


def test_what_ends_within_an_object_of_status_is_taken_out_by_the_patch() -> None:
    old = {"deadlines": {"answer": "x", "trial": "y"}, "access": {"state": "Allowed"}, "answers": [1]}
    new = {"deadlines": {"trial": "z"}, "access": {"state": "Allowed"}, "answers": [1, 2]}
    assert patch_of(old, new) == {"deadlines": {"answer": None, "trial": "z"}, "answers": [1, 2]}
    assert patch_of({"deadlines": {"answer": "x"}}, {}) == {"deadlines": None}
