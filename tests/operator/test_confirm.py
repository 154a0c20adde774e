"""The answer owed to Talkdesk."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from talkdesk_crds.conditions import Reason
from talkdesk_operator import answers
from talkdesk_operator.confirm import (
    REMEMBERED,
    SETTLED_STATES,
    Given,
    Nothing,
    Readiness,
    Say,
    Situation,
    Wait,
    decide,
    remember,
)

NOW = datetime(2026, 1, 5, 10, tzinfo=UTC)
OPEN_STATES = ("installing", "updating", "pending", "uninstalled", "odd")
INSTALLING = Situation(
    state="installing",
    updated_at="t1",
    uninstalled=False,
    access_refused=True,
    readiness=Readiness.USABLE,
    detail="",
    users_listed=True,
    given=(),
    since=NOW,
    patience=timedelta(hours=1),
)
UNINSTALLING = replace(INSTALLING, state="uninstalled", uninstalled=True)
APPROVED = Given(
    state="installing", updated_at="t1", answer="approve", at="2026-01-05T10:00:00Z",
    result_state="completed", result_updated_at="t2",
)  # fmt: skip


def test_a_usable_tenant_with_listed_users_is_approved() -> None:
    assert decide(INSTALLING, NOW) == Say("approve")


def test_what_is_not_usable_waits_until_patience_ends_and_is_then_rejected_with_the_reason() -> None:
    unready = replace(INSTALLING, readiness=Readiness.NOT_YET, detail="Deployment web: 0 of 1")
    decision = decide(unready, NOW)
    assert isinstance(decision, Wait)
    assert decision.until == NOW + timedelta(hours=1)
    assert decide(unready, NOW + timedelta(hours=1)) == Say("reject", "Deployment web: 0 of 1")


def test_users_are_listed_before_the_approval() -> None:
    decision = decide(replace(INSTALLING, users_listed=False), NOW)
    assert isinstance(decision, Wait)
    assert decision.reason is Reason.WAITING_FOR_USERS


def test_the_same_moment_is_answered_once() -> None:
    answered = replace(INSTALLING, given=(APPROVED,))
    assert isinstance(decide(answered, NOW), Wait)
    assert decide(replace(answered, updated_at="t9"), NOW) == Say("approve")


def test_the_state_an_answer_led_to_is_not_answered() -> None:
    led = replace(UNINSTALLING, updated_at="t2", given=(
        Given("uninstalled", "t1", "approve", "x", result_state="uninstalled", result_updated_at="t2"),
    ))  # fmt: skip
    assert decide(led, NOW) == Nothing(
        Reason.UNINSTALL_APPROVED, "Talkdesk accepted the approval of the uninstallation"
    )


def test_an_uninstallation_is_approved_only_once_access_is_stored_as_refused() -> None:
    assert isinstance(decide(replace(UNINSTALLING, access_refused=False), NOW), Wait)
    assert decide(UNINSTALLING, NOW) == Say("approve")


def test_an_unknown_state_of_an_uninstalled_one_is_approved() -> None:
    assert decide(replace(UNINSTALLING, state="pending"), NOW) == Say("approve")


def test_an_old_reading_beside_an_uninstalled_event_is_not_answered() -> None:
    assert isinstance(decide(replace(UNINSTALLING, state="installing"), NOW), Wait)


@pytest.mark.parametrize("state", sorted(SETTLED_STATES))
def test_settled_states_get_no_answer(state: str) -> None:
    assert isinstance(decide(replace(INSTALLING, state=state), NOW), Nothing)


@given(
    st.builds(
        Situation,
        state=st.sampled_from([*sorted(SETTLED_STATES), *OPEN_STATES]),
        updated_at=st.sampled_from([None, "t1", "t2"]),
        uninstalled=st.booleans(),
        access_refused=st.booleans(),
        readiness=st.sampled_from(Readiness),
        detail=st.just("because"),
        users_listed=st.booleans(),
        given=st.lists(
            st.builds(
                Given,
                state=st.sampled_from(["installing", "uninstalled"]),
                updated_at=st.sampled_from([None, "t1"]),
                answer=st.sampled_from(["approve", "reject"]),
                at=st.just("2026-01-05T10:00:00Z"),
            ),
            max_size=3,
        ).map(tuple),
        since=st.datetimes(timezones=st.just(UTC)),
        patience=st.timedeltas(timedelta(0), timedelta(days=7)),
    )
)  # fmt: skip
def test_nothing_unusable_is_approved_and_no_uninstallation_rejected(situation: Situation) -> None:
    decision = decide(situation, NOW)
    if isinstance(decision, Say):
        leaving = situation.uninstalled or situation.state == "uninstalled"
        assert situation.state not in SETTLED_STATES
        assert not any(one.covers((situation.state, situation.updated_at)) for one in situation.given)
        if leaving:
            assert decision.answer == "approve"
            assert situation.access_refused
        elif decision.answer == "approve":
            assert situation.readiness is Readiness.USABLE
            assert situation.users_listed
        else:
            assert situation.readiness is not Readiness.USABLE


def test_answers_survive_their_annotation_and_stay_bounded() -> None:
    given: tuple[Given, ...] = ()
    for number in range(15):
        given = remember(given, replace(APPROVED, updated_at=f"t{number}"))
    assert len(given) == REMEMBERED
    assert given[-1].updated_at == "t14"
    assert answers.parse(answers.render(given)) == given
    assert answers.for_status(given)[0].updated_at == "t5"


@pytest.mark.parametrize("text", [None, "", "nonsense", "{}", '[{"state": 1}]', "[3]"])
def test_an_annotation_that_is_not_ours_counts_as_no_answers(text: str | None) -> None:
    assert answers.parse(text) == ()
