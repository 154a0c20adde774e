"""The answer owed to Talkdesk."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from talkdesk_crds.conditions import Reason
from talkdesk_operator import annotation, answers
from talkdesk_operator.confirm import (
    CONTRADICTIONS,
    REMEMBERED,
    REPEATED_AFTER_CONFLICT,
    REPEATED_AFTER_SUCCESS,
    SETTLED_STATES,
    Given,
    Nothing,
    Person,
    Readiness,
    Say,
    Situation,
    Wait,
    decide,
    may_leave,
    remember,
    uninstall_approved,
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


def test_an_approved_uninstallation_is_known_until_something_else_is_answered() -> None:
    done = Given("uninstalled", "t1", "approve", "x", result_state="uninstalled", result_updated_at="t2")
    later = Given("installing", "t3", "approve", "x", result_state="completed", result_updated_at="t4")
    assert uninstall_approved([later, done])
    assert not uninstall_approved([done, later])
    assert not uninstall_approved([replace(done, result_state=None)])
    assert not uninstall_approved([])


def test_an_approved_uninstallation_is_known_whatever_word_its_state_has() -> None:
    done = Given(
        "pending", "t1", "approve", "x", result_state="odd", result_updated_at="t2", uninstalling=True
    )
    assert uninstall_approved([APPROVED, done])
    assert uninstall_approved(answers.parse(annotation.render([done])))
    assert not uninstall_approved([done, replace(done, updated_at="t3", uninstalling=None)])
    assert not uninstall_approved([replace(done, result_state=None)])
    assert not uninstall_approved([replace(done, answer="reject")])


APPROVED = Given(
    state="installing", updated_at="t1", answer="approve", at="2026-01-05T10:00:00Z",
    result_state="completed", result_updated_at="t2",
)  # fmt: skip


def test_a_usable_tenant_with_listed_users_is_approved() -> None:
    assert decide(INSTALLING, NOW) == Say("approve")


def test_what_no_event_has_told_of_is_approved_only_after_a_while() -> None:
    soon = NOW + timedelta(seconds=5)
    unannounced = replace(INSTALLING, state="updating", unannounced_until=soon)
    waiting = decide(unannounced, NOW)
    assert isinstance(waiting, Wait)
    assert (waiting.reason, waiting.until) == (Reason.WAITING_FOR_EVENT, soon)
    assert decide(unannounced, soon) == Say("approve")


def test_what_is_not_usable_waits_until_patience_ends_and_is_then_rejected_with_the_reason() -> None:
    detail = "Deployment web: 0 of 1"
    unready = replace(INSTALLING, readiness=Readiness.NOT_YET, detail=detail, apology="sorry")
    decision = decide(unready, NOW)
    assert isinstance(decision, Wait)
    assert decision.until == NOW + timedelta(hours=1)
    assert decide(unready, NOW + timedelta(hours=1)) == Say("reject", "sorry", detail)


def test_what_has_failed_for_good_is_given_the_same_patience_and_then_rejected() -> None:
    failed = replace(INSTALLING, readiness=Readiness.FAILED, detail="ConfigMap limits", apology="sorry")
    for state in ("installing", "updating"):
        one = replace(failed, state=state)
        assert isinstance(decide(one, NOW + timedelta(minutes=59)), Wait)
        assert decide(one, NOW + timedelta(hours=1)) == Say("reject", "sorry", "ConfigMap limits")


def test_users_are_listed_before_the_approval() -> None:
    decision = decide(replace(INSTALLING, users_listed=False), NOW)
    assert isinstance(decision, Wait)
    assert decision.reason is Reason.WAITING_FOR_USERS


def test_the_same_moment_is_answered_once() -> None:
    answered = replace(INSTALLING, given=(APPROVED,))
    assert isinstance(decide(answered, NOW), Wait)
    assert decide(replace(answered, updated_at="t9"), NOW) == Say("approve")


def test_what_talkdesk_still_waits_for_is_answered_once_more_after_a_while() -> None:
    taken = replace(INSTALLING, given=(APPROVED,))
    decision = decide(taken, NOW)
    assert isinstance(decision, Wait)
    assert decision.until == NOW + REPEATED_AFTER_SUCCESS
    assert decide(taken, NOW + REPEATED_AFTER_SUCCESS) == Say("approve")
    conflict = replace(INSTALLING, given=(replace(APPROVED, result_state=None, result_updated_at=None),))
    assert isinstance(decide(conflict, NOW), Wait)
    assert decide(conflict, NOW + REPEATED_AFTER_CONFLICT) == Say("approve")


def test_users_that_cannot_be_listed_end_patience_as_well() -> None:
    unlisted = replace(INSTALLING, users_listed=False, apology="sorry")
    decision = decide(unlisted, NOW + timedelta(hours=1))
    assert decision == Say("reject", "sorry", "the users have not been listed yet")


def test_a_person_who_has_not_decided_is_asked_and_patience_does_not_end() -> None:
    asked = replace(INSTALLING, readiness=Readiness.FAILED, person=Person("which?"))
    for now in (NOW, NOW + timedelta(days=6)):
        assert decide(asked, now) == Wait(Reason.WAITING_FOR_PERSON, "which?")
    assert isinstance(decide(replace(asked, readiness=Readiness.USABLE), NOW), Wait)


def test_a_persons_approval_still_needs_a_usable_tenant_and_a_rejection_does_not() -> None:
    approved = replace(INSTALLING, person=Person("which?", "approve"))
    assert decide(approved, NOW) == Say("approve")
    unready = replace(approved, readiness=Readiness.NOT_YET, detail="0 of 1")
    waiting = decide(unready, NOW + timedelta(days=6))
    assert waiting == Wait(Reason.WAITING_FOR_TENANT, "approved by a person; 0 of 1")
    rejected = replace(unready, person=Person("which?", "reject", "not yet"))
    assert decide(rejected, NOW) == Say("reject", "not yet", "a person decided so")


def test_an_uninstallation_is_not_held_for_a_person() -> None:
    assert decide(replace(UNINSTALLING, person=Person("which?")), NOW) == Say("approve")


def test_a_rejected_update_leaves_the_installation_confirmed() -> None:
    update = Given("updating", "t5", "reject", "2026-01-05T10:00:00Z", reason="sorry", cause="0 of 1")
    decision = decide(replace(INSTALLING, state="completed", updated_at="t6", given=(APPROVED, update)), NOW)
    assert isinstance(decision, Nothing)
    assert decision.reason is Reason.UPDATE_REJECTED
    assert "0 of 1" in decision.message
    assert "sorry" in decision.message


def test_the_state_an_answer_led_to_is_not_answered() -> None:
    led = replace(UNINSTALLING, updated_at="t2", given=(
        Given("uninstalled", "t1", "approve", "x", result_state="uninstalled", result_updated_at="t2"),
    ))  # fmt: skip
    assert decide(led, NOW) == Nothing(
        Reason.UNINSTALL_APPROVED, "Talkdesk accepted the approval of the uninstallation"
    )


@pytest.mark.parametrize("led_to", ["odd", "uninstalled"])
def test_an_uninstallation_under_any_word_is_answered_once_whatever_word_that_led_to(led_to: str) -> None:
    taken = Given(
        "pending", "t1", "approve", "x", result_state=led_to, result_updated_at="t2", uninstalling=True
    )
    led = replace(UNINSTALLING, state=led_to, updated_at="t2", given=(APPROVED, taken))
    assert decide(led, NOW) == Nothing(
        Reason.UNINSTALL_APPROVED, "Talkdesk accepted the approval of the uninstallation"
    )
    assert decide(replace(led, updated_at="t3"), NOW) == Say("approve"), "a question of its own"
    installing = replace(taken, uninstalling=None)
    assert decide(replace(led, given=(installing,)), NOW) == Say("approve"), "about something else"


@pytest.mark.parametrize("led_to", ["revoked", "completed"])
def test_an_approved_uninstallation_that_led_to_a_settled_state_says_which(led_to: str) -> None:
    taken = Given(
        "pending", "t1", "approve", "x", result_state=led_to, result_updated_at="t2", uninstalling=True
    )
    led = replace(UNINSTALLING, state=led_to, updated_at="t2", given=(taken,))
    assert decide(led, NOW) == Nothing(Reason.UNINSTALL_APPROVED, f"Talkdesk says {led_to}")
    assert isinstance(decide(replace(led, behind=True), NOW), Wait)


@pytest.mark.parametrize(
    ("state", "waits"),
    [
        *((state, False) for state in (*sorted(SETTLED_STATES), "installing", "updating", None)),
        *((state, True) for state in ("uninstalled", "pending", "odd")),
    ],
)
def test_an_uninstallation_may_wait_under_any_word_but_those_of_something_else(
    state: str | None, *, waits: bool
) -> None:
    assert may_leave(state) is waits


def test_an_uninstallation_is_approved_only_once_access_is_stored_as_refused() -> None:
    assert isinstance(decide(replace(UNINSTALLING, access_refused=False), NOW), Wait)
    assert decide(UNINSTALLING, NOW) == Say("approve")


@pytest.mark.parametrize("state", ["completed", "suspended", "revoked"])
def test_an_uninstallation_that_talkdesks_api_does_not_show_yet_is_waited_for(state: str) -> None:
    earlier = Given("uninstalled", "t0", "approve", "x", result_state="uninstalled", result_updated_at="t0")
    for before in ((), (APPROVED,), (earlier,)):
        behind = replace(UNINSTALLING, state=state, given=before, behind=True)
        decision = decide(behind, NOW)
        assert isinstance(decision, Wait)
        assert decision.reason is Reason.WAITING_FOR_TALKDESK
        assert isinstance(decide(replace(behind, behind=False), NOW), Nothing)
    assert decide(replace(UNINSTALLING, behind=True), NOW) == Say("approve")


def test_an_approved_uninstallation_that_talkdesk_contradicts_is_approved_again_a_few_times() -> None:
    given: tuple[Given, ...] = (APPROVED,)
    now = NOW
    for number in range(CONTRADICTIONS):
        assert decide(replace(UNINSTALLING, given=given), now) == Say("approve")
        contradicted = Given("uninstalled", "t1", "approve", f"{now:%Y-%m-%dT%H:%M:%SZ}")
        given = answers.parse(annotation.render(remember(given, contradicted)))
        now += REPEATED_AFTER_CONFLICT
        again = decide(replace(UNINSTALLING, given=given), now - timedelta(seconds=1))
        assert isinstance(again, Wait if number < CONTRADICTIONS - 1 else Nothing)
        assert not isinstance(again, Wait) or again.until == now
    done = decide(replace(UNINSTALLING, given=given), now)
    assert isinstance(done, Nothing)
    assert done.reason is Reason.UNINSTALL_APPROVED
    assert "accepted" not in done.message
    assert not uninstall_approved(given)
    assert len(given) == 2


def test_contradictions_are_counted_for_one_moment_alone() -> None:
    contradicted = Given("uninstalled", "t1", "approve", "2026-01-05T10:00:00Z")
    given: tuple[Given, ...] = ()
    for _ in range(CONTRADICTIONS):
        given = remember(given, contradicted)
    assert decide(replace(UNINSTALLING, updated_at="t2", given=given), NOW) == Say("approve")
    newer = remember(given, replace(contradicted, updated_at="t2"))
    assert isinstance(decide(replace(UNINSTALLING, updated_at="t2", given=newer), NOW), Wait)
    taken = remember(given, replace(contradicted, result_state="uninstalled", result_updated_at="t1"))
    assert decide(replace(UNINSTALLING, given=taken), NOW) == Nothing(
        Reason.UNINSTALL_APPROVED, "Talkdesk accepted the approval of the uninstallation"
    )


def test_an_unknown_state_of_an_uninstalled_one_is_approved() -> None:
    assert decide(replace(UNINSTALLING, state="pending"), NOW) == Say("approve")


def test_an_old_reading_beside_an_uninstalled_event_is_not_answered() -> None:
    old = replace(UNINSTALLING, state="installing")
    assert isinstance(decide(old, NOW), Wait)
    answered = replace(old, given=(APPROVED,))
    assert isinstance(decide(answered, NOW), Wait), "what was approved was the installation"


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
        behind=st.booleans(),
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
        covering = [one for one in situation.given if one.covers((situation.state, situation.updated_at))]
        assert not covering or covering[-1].again_at <= NOW
        if leaving:
            assert decision.answer == "approve"
            assert situation.access_refused
        elif decision.answer == "approve":
            assert situation.readiness is Readiness.USABLE
            assert situation.users_listed
        else:
            assert situation.readiness is not Readiness.USABLE or not situation.users_listed


def test_answers_survive_their_annotation_and_stay_bounded() -> None:
    given: tuple[Given, ...] = ()
    for number in range(15):
        given = remember(given, replace(APPROVED, updated_at=f"t{number}"))
    assert len(given) == REMEMBERED
    assert given[-1].updated_at == "t14"
    again = replace(given[-1], at="2026-01-05T11:00:00Z")
    assert remember(given, again) == (*given[:-1], again)
    assert answers.parse(annotation.render(given)) == given
    assert answers.for_status(given)[0].updated_at == "t5"


@pytest.mark.parametrize("text", [None, "", "nonsense", "{}", '[{"state": 1}]', "[3]"])
def test_an_annotation_that_is_not_ours_counts_as_no_answers(text: str | None) -> None:
    assert answers.parse(text) == ()
