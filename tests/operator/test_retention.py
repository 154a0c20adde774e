"""How long what nobody claims is kept, whatever the clocks say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from talkdesk_crds.app import Retention
from talkdesk_crds.installation import TalkdeskInstallation
from talkdesk_crds.meta import stamp_time, time
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
