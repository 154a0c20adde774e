"""Two sets of credentials side by side, refusals told apart, and when to ask for new ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import talkdesk_client as talkdesk
from samples import sample_of
from talkdesk_crds.app import TalkdeskApp
from talkdesk_crds.conditions import Reason
from talkdesk_crds.installation import TalkdeskInstallation
from talkdesk_kube import parse
from talkdesk_operator import failures, rotation
from talkdesk_operator.conditions import Verdict, false, true, unknown
from talkdesk_operator.deadlines import deadlines
from talkdesk_operator.failures import Kind
from talkdesk_operator.incumbent import Role
from talkdesk_operator.memory import InstallationMemory
from talkdesk_operator.notes import Notes
from talkdesk_operator.rotation import KeyMemory, in_order
from talkdesk_operator.standing import credentials as rule
from talkdesk_operator.standing.case import Case

NOW = datetime(2026, 1, 10, 10, tzinfo=UTC)
INSTALLED = {"at": "2026-01-05T10:00:00.000000Z", "rank": 10, "event": "e-1"}
ROTATED = {"at": "2026-01-08T10:00:00.000000Z", "rank": 50, "event": "e-2", "secret": "new"}


def installation(*, rotated: bool, status: dict[str, Any] | None = None) -> TalkdeskInstallation:
    obj = sample_of("talkdeskinstallation")
    register = ROTATED if rotated else {**INSTALLED, "secret": "old"}
    obj["spec"]["talkdesk"] |= {"installed": INSTALLED, "credentials": register}
    obj["spec"]["talkdesk"].pop("uninstalled", None)
    obj["status"] = status or {}
    return parse(TalkdeskInstallation, obj)


def app(**credentials: int) -> TalkdeskApp:
    obj = sample_of("talkdeskapp")
    obj["spec"]["credentials"] = credentials
    return parse(TalkdeskApp, obj)


def test_the_newest_set_is_tried_first_and_the_one_in_use_after_it() -> None:
    assert in_order("new", "old", KeyMemory(), now=0) == ("new", "old")
    assert in_order("new", "new", KeyMemory(), now=0) == ("new",)
    assert in_order("new", None, KeyMemory(), now=0) == ("new",)
    assert in_order(None, "old", KeyMemory(), now=0) == ("old",)
    assert in_order(None, None, KeyMemory(), now=0) == ()


def test_an_old_set_is_dropped_at_its_first_refusal() -> None:
    memory = KeyMemory()
    rotation.refused(memory, "old", newest="new", now=0, pause=30)
    assert in_order("new", "old", memory, now=0) == ("new",)


def test_an_old_set_is_dropped_once_the_newest_has_worked() -> None:
    memory = KeyMemory()
    rotation.worked(memory, "new", newest="new", in_use="old")
    assert in_order("new", "old", memory, now=0) == ("new",)
    kept = KeyMemory()
    rotation.worked(kept, "old", newest="new", in_use="old")
    assert in_order("new", "old", kept, now=0) == ("new", "old")


def test_a_newest_set_that_is_refused_is_tried_again_later_and_ever_less_often() -> None:
    memory, now, pauses = KeyMemory(), 0.0, []
    for _ in range(8):
        rotation.refused(memory, "new", newest="new", now=now, pause=30)
        assert in_order("new", "old", memory, now=now) == ("old", "new")
        assert in_order("new", "old", memory, now=now, first=True) == ("new", "old")
        pauses.append(memory.retry_at - now)
        now = memory.retry_at
        assert in_order("new", "old", memory, now=now) == ("new", "old")
    assert pauses == [30, 60, 120, 240, 480, 900, 900, 900]


@given(
    newest=st.sampled_from([None, "a", "b"]),
    in_use=st.sampled_from([None, "a", "b"]),
    dropped=st.sets(st.sampled_from(["a", "b"])),
    refusals=st.integers(0, 3),
    retry_at=st.floats(0, 10),
)
def test_the_newest_set_is_never_given_up(
    newest: str | None, in_use: str | None, dropped: set[str], refusals: int, retry_at: float
) -> None:
    memory = KeyMemory(dropped=dropped, refusals=refusals, retry_at=retry_at)
    order = in_order(newest, in_use, memory, now=5)
    assert newest is None or newest in order
    assert len(set(order)) == len(order)
    assert not {name for name in order if name != newest} & dropped


def test_only_a_rotated_set_in_use_is_acknowledged_and_only_once() -> None:
    assert not rotation.owes_acknowledgement(installation(rotated=False, status={"credentials": "old"}))
    assert not rotation.owes_acknowledgement(installation(rotated=True, status={"credentials": "old"}))
    assert rotation.owes_acknowledgement(installation(rotated=True, status={"credentials": "new"}))
    done = {"credentials": "new", "acknowledged": "new"}
    assert not rotation.owes_acknowledgement(installation(rotated=True, status=done))


def test_the_end_of_the_old_set_is_shown_until_it_is_acknowledged() -> None:
    notes = Notes(installation=installation(rotated=True), memory=InstallationMemory(), given=())
    assert deadlines(notes, now=NOW).rotation == "2026-01-15T10:00:00Z"
    notes.acknowledged = "new"
    assert deadlines(notes, now=NOW).rotation is None
    first = Notes(installation=installation(rotated=False), memory=InstallationMemory(), given=())
    assert deadlines(first, now=NOW).rotation is None


def test_new_credentials_are_asked_for_by_age_and_again_where_none_came() -> None:
    every = timedelta(days=5)
    in_use = {"credentials": "new"}
    due = rotation.request_at(installation(rotated=True, status=in_use), every=every)
    assert due == datetime(2026, 1, 13, 10, tzinfo=UTC)
    asked = {**in_use, "rotationRequestedAt": "2026-01-13T11:00:00Z"}
    again = rotation.request_at(installation(rotated=True, status=asked), every=every)
    assert again == datetime(2026, 1, 14, 11, tzinfo=UTC)
    # Before an old set, however it was replaced, can have died.
    assert again < datetime(2026, 1, 8, 10, tzinfo=UTC) + rotation.OLD_SET_LASTS


def test_a_request_for_the_set_before_does_not_count_for_the_new_one() -> None:
    status = {"credentials": "new", "rotationRequestedAt": "2026-01-08T09:59:00Z"}
    due = rotation.request_at(installation(rotated=True, status=status), every=timedelta(days=5))
    assert due == datetime(2026, 1, 13, 10, tzinfo=UTC)


def test_nothing_is_asked_for_while_a_rotation_is_under_way_or_where_it_is_switched_off() -> None:
    under_way = installation(rotated=True, status={"credentials": "old"})
    assert rotation.request_at(under_way, every=timedelta(days=5)) is None
    in_use = installation(rotated=True, status={"credentials": "new"})
    assert rotation.request_at(in_use, every=timedelta(0)) is None


def test_blocked_addresses_and_refused_credentials_are_told_apart() -> None:
    blocked = [talkdesk.Forbidden("no", status=403), talkdesk.TokenRefused("no", status=403)]
    for error in blocked:
        failure = failures.of_reading(error)
        assert (failure.kind, failure.reason, failure.final) == (Kind.REFUSED, Reason.ACCESS_BLOCKED, False)
    refused = [talkdesk.Unauthorized("no", status=401), talkdesk.TokenRefused("no", status=401)]
    for error in refused:
        failure = failures.of_reading(error)
        assert (failure.reason, failure.final) == (Reason.CREDENTIALS_REFUSED, True)


def case(*, verdict: Verdict | None, stored: tuple[str, str, str] | None = None, grace: int = 3600) -> Case:
    status = {}
    if stored is not None:
        kind, reason, at = stored
        one = {"type": "CredentialsValid", "status": kind, "reason": reason, "lastTransitionTime": at}
        status = {"conditions": [one]}
    return Case(
        installation=installation(rotated=False, status=status),
        role=Role.INCUMBENT,
        app=app(graceSeconds=grace),
        reading=None,
        state="completed",
        now=NOW,
        credentials=verdict,
    )


@pytest.mark.parametrize("reason", [Reason.CREDENTIALS_REFUSED, Reason.ACCESS_BLOCKED])
def test_access_stays_for_the_grace_and_ends_with_it(reason: Reason) -> None:
    fresh = rule.rule(case(verdict=false(reason)))
    assert fresh.suspension is None
    assert fresh.look_at == NOW + timedelta(hours=1)
    within = rule.rule(case(verdict=false(reason), stored=("False", reason.value, "2026-01-10T09:30:00Z")))
    assert within.suspension is None
    assert within.look_at == NOW + timedelta(minutes=30)
    over = ("False", Reason.CREDENTIALS_REFUSED.value, "2026-01-10T09:00:00Z")
    for verdict in (false(reason), None):
        ended = rule.rule(case(verdict=verdict, stored=over))
        assert ended.suspension is not None
        assert ended.suspension.reason is (reason if verdict else Reason.CREDENTIALS_REFUSED)


@pytest.mark.parametrize(
    "verdict",
    [
        true(Reason.CREDENTIALS_ACCEPTED),
        unknown(Reason.CREDENTIALS_SPREADING),
        false(Reason.FOREIGN_LINKS),
        false(Reason.LINKS_MISSING),
    ],
)
def test_access_stays_for_whatever_is_no_refusal(verdict: Verdict) -> None:
    stored = ("False", "CredentialsRefused", "2026-01-01T00:00:00Z")
    assert rule.rule(case(verdict=verdict, stored=stored)).suspension is None


def test_the_end_of_the_grace_is_shown() -> None:
    refused = case(verdict=None, stored=("False", "AccessBlocked", "2026-01-10T09:30:00Z"))
    notes = Notes(installation=refused.installation, memory=InstallationMemory(), given=())
    notes.role, notes.grace = Role.INCUMBENT, timedelta(hours=1)
    assert deadlines(notes, now=NOW).credentials == "2026-01-10T10:30:00Z"
    notes.role = Role.SUPERSEDED
    assert deadlines(notes, now=NOW).credentials is None
