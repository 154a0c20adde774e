"""What a change of an installation's conditions tells in Events."""

from __future__ import annotations

from itertools import pairwise

import pytest

from talkdesk_crds import conditions as types
from talkdesk_crds.conditions import Reason
from talkdesk_crds.meta import Condition
from talkdesk_operator.news import news


def condition(kind: str, status: str, reason: str, message: str = "") -> Condition:
    return Condition.model_validate(
        {
            "type": kind,
            "status": status,
            "reason": reason,
            "message": message,
            "lastTransitionTime": "2026-01-05T10:00:00Z",
        }
    )


def told(before: list[Condition], now: list[Condition]) -> list[tuple[str, str]]:
    return [(one.kind, one.reason) for one in news(before, now)]


APP = condition(types.APP_KNOWN, "True", Reason.APP_FOUND)
UNCHECKED = condition(types.CREDENTIALS_VALID, "Unknown", Reason.NOT_CHECKED)
ACCEPTED = condition(types.CREDENTIALS_VALID, "True", Reason.CREDENTIALS_ACCEPTED)
REFUSED = condition(types.CREDENTIALS_VALID, "False", Reason.CREDENTIALS_REFUSED)
STARTING = condition(types.TENANT_READY, "False", Reason.WORKLOAD_NOT_READY, "greeter: 0 of 1")
RUNNING = condition(types.TENANT_READY, "True", Reason.WORKLOAD_READY)
WAITING = condition(types.CONFIRMED, "False", Reason.WAITING_FOR_TENANT)
APPROVED = condition(types.CONFIRMED, "True", Reason.APPROVED)
INSTALLING = condition(types.READY, "False", Reason.WORKLOAD_NOT_READY)
READY = condition(types.READY, "True", Reason.INSTALLATION_READY)


def test_an_installation_without_trouble_tells_what_it_waits_for_and_how_it_ended() -> None:
    passes = [
        [],
        [APP, UNCHECKED, WAITING, INSTALLING],
        [APP, ACCEPTED, STARTING, WAITING, INSTALLING],
        [APP, ACCEPTED, RUNNING, WAITING, INSTALLING],
        [APP, ACCEPTED, RUNNING, APPROVED, READY],
        [APP, ACCEPTED, RUNNING, APPROVED, READY],
    ]
    assert [told(before, now) for before, now in pairwise(passes)] == [
        [],
        [("Normal", "WorkloadNotReady")],
        [("Normal", "WorkloadReady")],
        [("Normal", "Approved"), ("Normal", "InstallationReady")],
        [],
    ]


def test_a_trouble_is_told_when_it_begins_when_it_becomes_another_and_when_it_ends() -> None:
    blocked = condition(types.CREDENTIALS_VALID, "False", Reason.ACCESS_BLOCKED)
    assert told([ACCEPTED], [REFUSED]) == [("Warning", "CredentialsRefused")]
    assert told([], [REFUSED]) == [("Warning", "CredentialsRefused")]
    assert told([REFUSED], [blocked]) == [("Warning", "AccessBlocked")]
    assert told([blocked], [ACCEPTED]) == [("Normal", "CredentialsAccepted")]


def test_what_holds_and_yet_lacks_something_is_a_trouble() -> None:
    listed = condition(types.USERS_SYNCED, "True", Reason.USERS_LISTED)
    lacking = condition(types.USERS_SYNCED, "True", Reason.ROLES_UNKNOWN)
    assert told([listed], [lacking]) == [("Warning", "RolesUnknown")]
    assert told([lacking], [listed]) == [("Normal", "UsersListed")]


@pytest.mark.parametrize("reason", [Reason.UNINSTALL_APPROVED, Reason.REJECTED, Reason.APPROVED])
def test_each_answer_that_talkdesk_took_is_told(reason: str) -> None:
    assert told([WAITING], [condition(types.CONFIRMED, "True", reason)]) == [("Normal", reason)]


def test_that_a_person_decides_is_told_and_that_the_answer_waits_for_another_condition_is_not() -> None:
    person = condition(types.CONFIRMED, "False", Reason.WAITING_FOR_PERSON)
    assert told([], [person]) == [("Normal", "WaitingForPerson")]
    assert told([person], [WAITING]) == []


def test_ready_tells_only_that_it_is() -> None:
    assert told([READY], [INSTALLING]) == []
    assert told([INSTALLING], [READY]) == [("Normal", "InstallationReady")]


def test_a_note_is_the_conditions_message_and_never_empty() -> None:
    assert [one.note for one in news([], [STARTING, REFUSED])] == [
        "greeter: 0 of 1",
        "CredentialsValid is False",
    ]
    assert [one.action for one in news([], [STARTING, REFUSED])] == ["TenantReady", "CredentialsValid"]
