"""How long what nobody claims is kept, whatever the clocks say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from talkdesk_crds.app import Retention
from talkdesk_crds.installation import TalkdeskInstallation
from talkdesk_crds.meta import stamp_time, time
from talkdesk_crds.names import PAUSED_ANNOTATION
from talkdesk_operator.incumbent import Role
from talkdesk_operator.retention import (
    ANSWERED_BY_TALKDESK,
    Keeping,
    Party,
    Situation,
    anything_due,
    earliest,
    keeping,
    latest,
    own_start,
    until_next,
)

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
KEPT = timedelta(days=30)
DAY = timedelta(days=1)
POLICY = Retention(seconds=int(KEPT.total_seconds()))


def installation(
    name: str = "i",
    *,
    uninstalled: datetime | None = None,
    answered: bool = True,
    created: datetime = NOW - 90 * DAY,
) -> TalkdeskInstallation:
    talkdesk: dict[str, Any] = {"installed": {"at": stamp_time(created), "rank": 10, "event": "i"}}
    conditions = [
        {
            "type": "Confirmed",
            "status": "True" if answered else "False",
            "reason": "UninstallApproved",
            "observedGeneration": 3,
            "lastTransitionTime": time(created),
        }
    ]
    if uninstalled is not None:
        talkdesk["uninstalled"] = {"at": stamp_time(uninstalled), "rank": 90, "event": "u"}
        changed = {"status": "False", "reason": "Uninstalled", "lastTransitionTime": time(uninstalled)}
        conditions.append({"type": "Ready", "observedGeneration": 3, **changed})
    return TalkdeskInstallation.model_validate(
        {
            "metadata": {"name": name, "generation": 3, "creationTimestamp": time(created)},
            "spec": {"appId": "a", "accountId": "c", "installationId": name, "talkdesk": talkdesk},
            "status": {"conditions": conditions},
        }
    )


def party(role: Role, name: str = "i", **more: Any) -> Party:
    one = installation(name, **more)
    return Party(one, role, leaving=one.spec.talkdesk.is_uninstalled)


def situation(
    *parties: Party, marked: datetime | None = None, exists: bool = True, **policy: Any
) -> Situation:
    found = Retention.model_validate({**POLICY.to_json(), **policy})
    return Situation(parties=parties, policy=found, marked=marked, exists=exists)


def test_a_tenant_that_is_held_is_not_deleted_and_its_record_goes() -> None:
    found = keeping(situation(party(Role.INCUMBENT), marked=NOW - 400 * DAY), now=NOW)
    assert found == Keeping(claimed=True)
    assert not anything_due(found, now=NOW + 4000 * DAY)


def test_the_time_runs_from_the_record_which_is_made_once() -> None:
    left = party(Role.UNINSTALLED, uninstalled=NOW - DAY)
    first = keeping(situation(left), now=NOW)
    assert (first.mark, first.tenant_due) == (True, NOW + KEPT)
    later = keeping(situation(left, marked=NOW), now=NOW + 10 * DAY)
    assert (later.mark, later.tenant_due, later.due) == (False, NOW + KEPT, {"i": NOW + KEPT})


def test_without_any_installation_the_record_alone_tells() -> None:
    found = keeping(situation(marked=NOW), now=NOW + DAY)
    assert (found.claimed, found.tenant_due, found.rest_due) == (False, NOW + KEPT, NOW + KEPT)


def test_a_deleted_object_takes_the_tenant_at_once_where_wanted_but_never_the_credentials() -> None:
    found = keeping(situation(marked=NOW, onDelete="Delete"), now=NOW)
    assert found.tenant_due is not None
    assert found.tenant_due < NOW
    assert found.rest_due == NOW + KEPT
    uninstalled = keeping(
        situation(party(Role.UNINSTALLED, uninstalled=NOW), marked=NOW, onDelete="Delete"), now=NOW
    )
    assert uninstalled.tenant_due == NOW + KEPT, "an uninstallation is no deletion"


def test_nothing_is_deleted_while_talkdesk_may_still_wait_for_our_approval() -> None:
    owing = party(Role.UNINSTALLED, uninstalled=NOW, answered=False)
    found = keeping(situation(owing, marked=NOW, seconds=0), now=NOW)
    assert found.tenant_due == NOW + ANSWERED_BY_TALKDESK
    done = party(Role.UNINSTALLED, uninstalled=NOW)
    assert keeping(situation(done, marked=NOW, seconds=0), now=NOW).tenant_due == NOW


def test_an_installation_that_nobody_has_seen_installed_yet_keeps_everything() -> None:
    parties = (party(Role.AWAITED, "new"), party(Role.UNINSTALLED, "old", uninstalled=NOW - 90 * DAY))
    found = keeping(situation(*parties, marked=NOW - 90 * DAY), now=NOW)
    assert (found.claimed, found.tenant_due, found.rest_due, found.due) == (False, None, None, {})


def test_an_older_installation_goes_after_its_own_retention_and_the_tenant_stays() -> None:
    parties = (party(Role.INCUMBENT, "new"), party(Role.SUPERSEDED, "old", uninstalled=NOW - 31 * DAY))
    found = keeping(situation(*parties), now=NOW)
    assert found.claimed
    assert found.tenant_due is None
    assert found.due == {"old": NOW - DAY}
    assert anything_due(found, now=NOW)


def test_a_superseded_one_that_no_event_uninstalled_is_kept_while_talkdesk_may_wait_for_its_answer() -> None:
    def due(one: TalkdeskInstallation) -> datetime:
        parties = (party(Role.INCUMBENT, "new"), Party(one, Role.SUPERSEDED, leaving=False))
        return keeping(situation(*parties, seconds=1), now=NOW).due["old"]

    def shown(state: str, confirmed: str, *, ready: str, reason: str) -> TalkdeskInstallation:
        one = installation("old").to_json()
        one["status"]["conditions"][0]["reason"] = confirmed
        changed = {"lastTransitionTime": time(NOW - DAY), "observedGeneration": 3}
        one["status"]["conditions"].append({"type": "Ready", "status": ready, "reason": reason, **changed})
        one["status"]["talkdesk"] = {"state": state}
        return TalkdeskInstallation.model_validate(one)

    second = timedelta(seconds=1)
    served = shown("completed", "Approved", ready="True", reason="InstallationReady")
    assert due(served) == NOW + ANSWERED_BY_TALKDESK, "superseded in this very pass"
    unasked = shown("completed", "Approved", ready="False", reason="Superseded")
    assert due(unasked) == NOW - DAY + ANSWERED_BY_TALKDESK
    unanswered = shown("uninstalled", "Approved", ready="False", reason="Superseded")
    assert due(unanswered) == NOW - DAY + ANSWERED_BY_TALKDESK, "approved was its installation"
    answered = shown("uninstalled", "UninstallApproved", ready="False", reason="Superseded")
    assert due(answered) == NOW - DAY + second
    revoked = shown("completed", "CredentialsRevoked", ready="False", reason="Superseded")
    assert due(revoked) == NOW - DAY + second
    ended = shown("timeout", "EndedByTalkdesk", ready="False", reason="Superseded")
    assert due(ended) == NOW - DAY + second


def test_a_pause_of_an_older_installation_keeps_no_record_and_one_of_the_holder_does() -> None:
    def stays(*paused: str) -> bool:
        parties = []
        for role, name in ((Role.SUPERSEDED, "old"), (Role.INCUMBENT, "new")):
            one = installation(name).to_json()
            one["metadata"]["annotations"] = {PAUSED_ANNOTATION: "keep"} if name in paused else {}
            parties.append(Party(TalkdeskInstallation.model_validate(one), role, leaving=False))
        found = keeping(situation(*parties, marked=NOW - DAY), now=NOW)
        assert found.claimed
        return found.record_stays

    assert not stays()
    assert not stays("old")
    assert stays("new")


def test_a_record_from_before_the_customer_came_back_or_left_counts_for_nothing_and_is_made_anew() -> None:
    back = NOW - 20 * DAY
    left = party(Role.UNINSTALLED, uninstalled=NOW - DAY, created=back)

    def judged(marked: datetime, written: datetime | None) -> Keeping:
        return keeping(replace(situation(left, marked=marked), written=written), now=NOW)

    for written in (None, back - 10 * DAY):
        found = judged(back - 10 * DAY, written)
        assert (found.mark, found.since, found.tenant_due) == (True, NOW, NOW + KEPT)
    normal = judged(NOW - DAY, NOW - DAY)
    assert (normal.mark, normal.tenant_due) == (False, NOW - DAY + KEPT)
    sooner = judged(back - 400 * DAY, NOW - timedelta(hours=1))
    assert (sooner.mark, sooner.tenant_due) == (False, back - 400 * DAY + KEPT), "a person's wish"
    held = judged(back + DAY, back + DAY)
    assert (held.mark, held.tenant_due) == (True, NOW + KEPT), "it came back, and nobody took the record away"


@pytest.mark.parametrize("ahead", [timedelta(minutes=4), timedelta(hours=5), 400 * DAY])
def test_a_talkdesk_whose_clock_is_ahead_puts_nothing_off(ahead: timedelta) -> None:
    left = party(Role.UNINSTALLED, uninstalled=NOW + ahead, created=NOW + ahead)
    first = keeping(situation(left, seconds=1), now=NOW)
    assert (first.mark, first.since) == (True, NOW)
    marked = replace(situation(left, marked=NOW, seconds=1), written=NOW)
    again = keeping(marked, now=NOW + timedelta(minutes=1))
    assert (again.mark, again.tenant_due) == (False, NOW + timedelta(seconds=1))
    if ahead < timedelta(minutes=5):
        caught_up = keeping(marked, now=NOW + ahead)
        assert (caught_up.mark, caught_up.since) == (False, NOW)


@given(
    st.integers(0, 800).map(lambda days: NOW - days * DAY),
    st.integers(0, 800).map(lambda days: NOW - days * DAY),
    st.integers(0, 400),
)
def test_whatever_the_record_says_of_earlier_times_the_data_outlives_the_newest_uninstallation(
    back: datetime, marked: datetime, days: int
) -> None:
    gone = back + (NOW - back) / 2
    left = party(Role.UNINSTALLED, uninstalled=gone, created=back)
    found = keeping(situation(left, marked=marked, seconds=days * 86400), now=NOW)
    assert found.tenant_due == (marked if marked >= gone else NOW) + timedelta(days=days)


def locked_out(name: str, *, since: datetime, reason: str = "TrialEnded") -> TalkdeskInstallation:
    """One that no event uninstalled, and that nobody has entered for a while."""
    one = installation(name, answered=False).to_json()
    changed = {"lastTransitionTime": time(since), "observedGeneration": 3}
    one["status"]["conditions"].append({"type": "Ready", "status": "False", "reason": reason, **changed})
    return TalkdeskInstallation.model_validate(one)


@pytest.mark.parametrize("reason", ["TrialEnded", "Superseded"], ids=["the first pass", "later passes"])
def test_a_superseded_one_whose_uninstallation_comes_late_is_kept_from_the_newer_ones_installation_on(
    reason: str,
) -> None:
    old = locked_out("old", since=NOW - 40 * DAY, reason=reason)

    def due(new: TalkdeskInstallation, role: Role = Role.INCUMBENT, **policy: Any) -> datetime:
        parties = (Party(old, Role.SUPERSEDED, leaving=True), Party(new, role, leaving=False))
        return keeping(situation(*parties, **policy), now=NOW).due["old"]

    new = installation("new", created=NOW)
    assert due(new, seconds=1) == NOW + ANSWERED_BY_TALKDESK
    assert due(new) == NOW + KEPT
    assert due(new, Role.UNINSTALLED) == NOW + KEPT
    remade = new.to_json()
    del remade["spec"]["talkdesk"]["installed"]
    assert due(TalkdeskInstallation.model_validate(remade)) == NOW + KEPT, "its object was made again"
    assert due(installation("new", created=NOW - 8 * DAY), seconds=1) == NOW - DAY
    assert due(installation("new", created=NOW + 400 * DAY)) == NOW + KEPT, "some clock's mistake"


def test_one_that_left_without_an_event_is_kept_while_talkdesk_may_wait_for_its_answer() -> None:
    left = Party(locked_out("i", since=NOW - 40 * DAY), Role.UNINSTALLED, leaving=True)
    assert keeping(situation(left, seconds=1), now=NOW).tenant_due == NOW + ANSWERED_BY_TALKDESK
    later = keeping(situation(left, marked=NOW, seconds=1), now=NOW + DAY)
    assert later.tenant_due == NOW + ANSWERED_BY_TALKDESK


def test_the_start_of_an_installations_own_retention_is_the_latest_of_what_tells() -> None:
    one = installation(uninstalled=NOW - 5 * DAY, created=NOW - 90 * DAY)
    assert own_start(one, NOW) == NOW - 5 * DAY
    restored = installation(uninstalled=NOW - 5 * DAY, created=NOW - DAY)
    assert own_start(restored, NOW) == NOW - DAY
    ahead = installation(uninstalled=NOW + 400 * DAY)
    assert own_start(ahead, NOW) == NOW, "a clock that is ahead keeps nothing for ever"


def test_a_start_that_is_a_little_ahead_does_not_move_with_the_present() -> None:
    ahead = installation(uninstalled=NOW + timedelta(hours=5))
    starts = {own_start(ahead, NOW + timedelta(seconds=passed)) for passed in range(3)}
    assert starts == {NOW + timedelta(hours=5)}


roles = st.sampled_from([Role.INCUMBENT, Role.UNINSTALLED, Role.SUPERSEDED, Role.AWAITED])
offsets = st.integers(-4000, 4000).map(lambda days: days * DAY)


@given(
    st.lists(roles, max_size=3),
    st.integers(0, 400),
    st.sampled_from(["Retain", "Delete"]),
    st.one_of(st.none(), st.integers(0, 800)),
)
def test_a_tenant_is_never_deleted_before_its_retention_unless_the_app_says_so(
    who: list[Role], days: int, on_delete: str, marked_days: int | None
) -> None:
    parties = [party(role, f"i{number}", uninstalled=NOW - 500 * DAY) for number, role in enumerate(who)]
    marked = None if marked_days is None else NOW - marked_days * DAY
    found = keeping(situation(*parties, marked=marked, seconds=days * 86400, onDelete=on_delete), now=NOW)
    kept = timedelta(days=days)
    if Role.INCUMBENT in who or Role.AWAITED in who:
        assert found.tenant_due is None
        assert found.rest_due is None
    elif who or on_delete == "Retain":
        assert found.tenant_due is not None
        assert found.tenant_due >= (marked or NOW) + kept
    for number, role in enumerate(who):
        if role in (Role.INCUMBENT, Role.AWAITED):
            assert f"i{number}" not in found.due
    wait = until_next(found, now=NOW)
    assert wait is None or wait > 0


@given(offsets, offsets)
def test_one_wrong_clock_deletes_nothing_early(marking: timedelta, deleting: timedelta) -> None:
    # The operator's clock was wrong when the record was made, or is wrong now; the API server's is right.
    recorded = latest(NOW + marking, NOW)
    assert recorded >= NOW
    left = party(Role.UNINSTALLED, uninstalled=NOW)
    truth = NOW + 29 * DAY
    found = keeping(situation(left, marked=recorded), now=latest(truth + deleting, truth))
    clock = earliest(truth + deleting, truth)
    assert clock is not None
    assert not anything_due(found, now=clock)


@pytest.mark.parametrize("own", [NOW, NOW + 4000 * DAY])
def test_without_the_api_servers_clock_nothing_is_deleted(own: datetime) -> None:
    assert earliest(own, None) is None
