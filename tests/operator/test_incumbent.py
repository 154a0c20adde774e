"""Who holds a tenant, where it is, and who may enter."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from declared import app
from talkdesk_crds.conditions import Reason
from talkdesk_crds.installation import Access, TalkdeskInstallation, TalkdeskState
from talkdesk_operator.access import ALLOWED, access
from talkdesk_operator.confirm import Given
from talkdesk_operator.incumbent import Role, holding
from talkdesk_operator.memory import InstallationMemory
from talkdesk_operator.notes import Notes
from talkdesk_operator.over import is_over
from talkdesk_operator.publish import status_of
from talkdesk_operator.reading import Reading
from talkdesk_operator.region import Placed, Unplaced, place
from talkdesk_operator.standing import Case, judge

APP = app()


def stamp(hour: int, rank: int = 1) -> dict[str, Any]:
    return {"at": f"2026-01-05T{hour:02}:00:00.000000Z", "rank": rank, "event": f"e{hour}"}


def installation(
    name: str, installed: int | None, uninstalled: int | None = None, root: str | None = None
) -> TalkdeskInstallation:
    talkdesk: dict[str, Any] = {}
    if installed is not None:
        talkdesk["installed"] = stamp(installed)
    if uninstalled is not None:
        talkdesk["uninstalled"] = stamp(uninstalled, 9)
    if root is not None:
        talkdesk["links"] = {"root": {**stamp(1), "href": root}}
    return TalkdeskInstallation.model_validate(
        {
            "metadata": {"name": name},
            "spec": {"appId": "app", "accountId": "account", "installationId": name, "talkdesk": talkdesk},
        }
    )


def test_the_newest_installed_one_holds_the_tenant() -> None:
    held = holding([installation("a", 1), installation("b", 2)])
    assert held.roles == {"a": Role.SUPERSEDED, "b": Role.INCUMBENT}


def test_an_installed_one_goes_before_a_newer_one_that_was_uninstalled() -> None:
    held = holding([installation("a", 1), installation("b", 2, uninstalled=3)])
    assert held.roles == {"a": Role.INCUMBENT, "b": Role.SUPERSEDED}


def test_the_last_one_uninstalled_still_holds_the_suspended_tenant() -> None:
    held = holding([installation("a", 1, uninstalled=2), installation("b", 3, uninstalled=4)])
    assert held.roles == {"a": Role.SUPERSEDED, "b": Role.UNINSTALLED}


def test_equal_times_are_decided_by_id() -> None:
    held = holding([installation("b", 1), installation("a", 1)])
    assert held.holder is not None
    assert held.holder.metadata.name == "b"


def test_what_talkdesk_reports_as_gone_holds_nothing_although_the_event_is_missing() -> None:
    held = holding([installation("a", 1)], gone=frozenset({"a"}))
    assert held.roles == {"a": Role.UNINSTALLED}


def test_nobody_holds_a_tenant_before_an_install() -> None:
    held = holding([installation("a", None)])
    assert (held.holder, held.roles) == (None, {"a": Role.AWAITED})


FOUR = (installation("a", 1, 2), installation("b", 3), installation("c", 3), installation("d", None))


@given(st.permutations(FOUR))
def test_the_order_of_looking_does_not_count(everyone: list[TalkdeskInstallation]) -> None:
    held = holding(everyone)
    assert held.holder is not None
    assert held.holder.metadata.name == "c"
    assert list(held.roles.values()).count(Role.INCUMBENT) == 1


def test_the_region_is_the_one_whose_gateway_the_root_link_names() -> None:
    assert place(APP, installation("a", 1, root="https://api.talkdeskapp.eu")) == Placed("eu")


@pytest.mark.parametrize(
    ("root", "reason"),
    [
        (None, Reason.LINKS_MISSING),
        ("https://api.evil.example", Reason.FOREIGN_LINKS),
        ("http://api.talkdeskapp.eu", Reason.FOREIGN_LINKS),
        ("https://api.talkdeskapp.eu@evil.example", Reason.FOREIGN_LINKS),
        ("https://[oops", Reason.FOREIGN_LINKS),
    ],
)
def test_a_link_that_is_missing_or_foreign_places_nowhere(root: str | None, reason: Reason) -> None:
    placed = place(APP, installation("a", 1, root=root))
    assert isinstance(placed, Unplaced)
    assert placed.reason is reason


REFUSED = Access(state="Refused", reason="Installing")
APPROVED = Given(
    "installing", "t1", "approve", "2026-01-05T10:00:00Z", result_state="completed", result_updated_at="t2"
)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ((APPROVED,), "Allowed"),
        ((), "Refused"),
        ((replace(APPROVED, answer="reject"),), "Refused"),
        ((replace(APPROVED, result_state=None),), "Refused"),
    ],
)
def test_an_update_on_the_heels_of_an_approval_keeps_nobody_out(
    answers: tuple[Given, ...], expected: str
) -> None:
    one = installation("a", 1)
    one = one.model_copy(update={"status": one.status.model_copy(update={"access": REFUSED})})
    updating = Reading(
        begun=0.0, generation=one.metadata.generation, resync_token=None, seen=frozenset(),
        state="updating", updated_at="t3", admin=None,
    )  # fmt: skip
    notes = Notes(
        installation=one, memory=InstallationMemory(reading=updating), given=answers, role=Role.INCUMBENT
    )
    shown = status_of(notes, None, datetime(2026, 1, 5, tzinfo=UTC)).access
    assert shown is not None
    assert shown.state == expected


UPDATED = Given("updating", "t3", "reject", "2026-01-05T11:00:00Z", result_state="completed")
REMOVED = Given("uninstalled", "t5", "approve", "2026-01-05T12:00:00Z", result_state="uninstalled")
UNAPPROVED = replace(APPROVED, answer="reject", result_state="rejected")
SWITCHED = Access(state="Refused", reason="Suspended")


@pytest.mark.parametrize("state", ["timeout", "failed", "rejected", "a-new-word"])
@pytest.mark.parametrize(
    ("answers", "previous", "expected"),
    [
        ((APPROVED,), SWITCHED, "Allowed"),
        ((APPROVED,), Access(state="Refused", reason="TrialEnded"), "Allowed"),
        ((APPROVED,), Access(state="Refused", reason="CredentialsRefused"), "Allowed"),
        ((APPROVED,), None, "Allowed"),
        ((APPROVED, UPDATED), SWITCHED, "Allowed"),
        # Whoever is updated was approved before, however long ago.
        ((UPDATED,), SWITCHED, "Allowed"),
        ((replace(APPROVED, state="pending"),), SWITCHED, "Allowed"),
        ((), SWITCHED, "Refused"),
        ((UNAPPROVED,), SWITCHED, "Refused"),
        ((replace(APPROVED, result_state=None),), SWITCHED, "Refused"),
        ((replace(APPROVED, result_state="failed"),), SWITCHED, "Refused"),
        ((APPROVED, REMOVED), SWITCHED, "Refused"),
        ((APPROVED, REMOVED, UNAPPROVED), SWITCHED, "Refused"),
        ((APPROVED,), Access(state="Refused", reason="Uninstalled"), "Refused"),
        ((APPROVED,), REFUSED, "Refused"),
    ],
)
def test_a_refusal_that_is_lifted_comes_back_to_whom_a_failed_update_left_what_was(
    *, state: str, answers: tuple[Given, ...], previous: Access | None, expected: str
) -> None:
    one = installation("a", 1)
    one = one.model_copy(update={"status": one.status.model_copy(update={"access": previous})})
    shown = Reading(
        begun=0.0, generation=one.metadata.generation, resync_token=None, seen=frozenset(),
        state=state, updated_at="t9", admin=None,
    )  # fmt: skip
    notes = Notes(
        installation=one, memory=InstallationMemory(reading=shown), given=answers, role=Role.INCUMBENT
    )
    found = status_of(notes, None, datetime(2026, 1, 5, tzinfo=UTC)).access
    assert found is not None
    assert found.state == expected


@pytest.mark.parametrize("state", ["installing", "pending"])
def test_an_installation_under_way_is_let_in_by_no_older_approval(state: str) -> None:
    found = access(suspension=None, state=state, approved=False, served=True, previous=SWITCHED)
    assert found.state == "Refused"


@pytest.mark.parametrize(
    ("role", "suspended", "state", "approved", "previous", "expected"),
    [
        (Role.INCUMBENT, False, "installing", False, None, "Installing"),
        (Role.INCUMBENT, False, "installing", True, REFUSED, "InstallationReady"),
        (Role.INCUMBENT, False, "completed", False, None, "InstallationReady"),
        (Role.INCUMBENT, False, "updating", False, ALLOWED, "InstallationReady"),
        (Role.INCUMBENT, False, "updating", False, None, "InstallationReady"),
        (Role.INCUMBENT, False, "updating", False, REFUSED, "Installing"),
        (Role.INCUMBENT, False, "rejected", False, ALLOWED, "InstallationReady"),
        (Role.INCUMBENT, False, "rejected", False, REFUSED, "Rejected"),
        (Role.INCUMBENT, False, "suspended", False, ALLOWED, "SuspendedByTalkdesk"),
        (Role.INCUMBENT, False, "revoked", False, ALLOWED, "RevokedByTalkdesk"),
        (Role.INCUMBENT, False, "(not found)", False, ALLOWED, "UnknownToTalkdesk"),
        (Role.INCUMBENT, False, "timeout", False, ALLOWED, "InstallationReady"),
        (Role.INCUMBENT, False, "timeout", False, REFUSED, "EndedByTalkdesk"),
        (Role.INCUMBENT, False, "failed", False, ALLOWED, "InstallationReady"),
        (Role.INCUMBENT, False, "a-new-word", False, ALLOWED, "InstallationReady"),
        (Role.INCUMBENT, False, "a-new-word", False, REFUSED, "Installing"),
        (Role.INCUMBENT, False, "a-new-word", True, REFUSED, "InstallationReady"),
        (Role.INCUMBENT, False, None, False, ALLOWED, "InstallationReady"),
        (Role.INCUMBENT, True, "completed", False, ALLOWED, "Suspended"),
        (Role.UNINSTALLED, False, "completed", True, ALLOWED, "Uninstalled"),
        (Role.SUPERSEDED, False, "completed", True, ALLOWED, "Superseded"),
        (Role.AWAITED, False, "completed", True, ALLOWED, "Installing"),
    ],
)
def test_who_may_enter(
    *, role: Role, suspended: bool, state: str | None, approved: bool, previous: Access | None, expected: str
) -> None:
    one = installation("a", 1)
    one = one.model_copy(update={"spec": one.spec.model_copy(update={"suspend": suspended})})
    now = datetime(2026, 1, 5, tzinfo=UTC)
    case = Case(installation=one, role=role, app=APP, reading=None, state=state, now=now)
    found = access(suspension=judge(case).suspension, state=state, approved=approved, previous=previous)
    assert found.reason == expected
    assert found.state == ("Allowed" if expected == "InstallationReady" else "Refused")


LEFT_BEHIND = ["uninstalled", "pending", "a-new-word"]


def last_read(state: str | None, *, role: Role, given: tuple[Given, ...] = ()) -> Notes:
    """Notes about one of which no event says that it was uninstalled."""
    one = installation("a", 1)
    shown = TalkdeskState(state=state) if state is not None else None
    one = one.model_copy(update={"status": one.status.model_copy(update={"talkdesk": shown})})
    return Notes(installation=one, memory=InstallationMemory(), given=given, role=role)


@pytest.mark.parametrize("state", LEFT_BEHIND)
def test_a_superseded_one_that_waits_at_talkdesk_is_leaving_whatever_the_word(state: str) -> None:
    assert last_read(state, role=Role.SUPERSEDED).leaving
    assert not last_read(state, role=Role.INCUMBENT).leaving
    assert not last_read(state, role=Role.AWAITED).leaving


@pytest.mark.parametrize("state", ["completed", "suspended", "installing", "updating", None])
def test_a_superseded_one_of_which_talkdesk_tells_something_else_is_not_leaving(state: str | None) -> None:
    assert not last_read(state, role=Role.SUPERSEDED).leaving
    assert last_read(state, role=Role.SUPERSEDED, given=(APPROVED, REMOVED)).leaving


@pytest.mark.parametrize("state", [*LEFT_BEHIND, "completed", "revoked"])
def test_a_superseded_one_whose_uninstallation_was_approved_is_over_whatever_the_word(state: str) -> None:
    def confirmed(reason: str, *, generation: int = 1) -> TalkdeskInstallation:
        one = last_read(state, role=Role.SUPERSEDED).installation.to_json()
        one["metadata"]["generation"] = 1
        one["status"]["conditions"] = [
            {
                "type": "Confirmed",
                "status": "True",
                "reason": reason,
                "message": "",
                "observedGeneration": generation,
                "lastTransitionTime": "2026-01-05T10:00:00Z",
            }
        ]
        return TalkdeskInstallation.model_validate(one)

    assert is_over(confirmed("UninstallApproved"))
    ended = state == "revoked"
    assert is_over(confirmed("Approved")) is ended
    assert is_over(confirmed("UninstallApproved", generation=0)) is ended
