"""When a refusal tells that an uninstallation is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from talkdesk_crds.installation import TalkdeskInstallation
from talkdesk_crds.meta import stamp_time, time
from talkdesk_operator.revoked import until_over

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
OVER = timedelta(0)


def left(
    *, ago: timedelta = DAY, state: str = "uninstalled", refused_for: timedelta | None = None
) -> TalkdeskInstallation:
    """One that its customer uninstalled, with credentials that have been refused for a while."""
    conditions: list[dict[str, Any]] = []
    if refused_for is not None:
        since = {
            "status": "False",
            "reason": "CredentialsRefused",
            "lastTransitionTime": time(NOW - refused_for),
        }
        conditions.append({"type": "CredentialsValid", "message": "", "observedGeneration": 1, **since})
    said = {"event": "e", "rank": 90, "at": stamp_time(NOW - ago)}
    return TalkdeskInstallation.model_validate(
        {
            "metadata": {"name": "i", "namespace": "n", "creationTimestamp": time(NOW - 90 * DAY)},
            "spec": {
                "appId": "a",
                "accountId": "c",
                "installationId": "i",
                "talkdesk": {"uninstalled": said},
            },
            "status": {
                "access": {"state": "Refused", "reason": "Uninstalled"},
                "talkdesk": {"state": state},
                "conditions": conditions,
            },
        }
    )


def judged(one: TalkdeskInstallation, **how: bool) -> timedelta | None:
    told, refused, superseded = (how.get(name, False) for name in ("told", "refused", "superseded"))
    return until_over(
        one,
        told=told,
        refused=refused,
        superseded=superseded,
        approved=how.get("approved", False),
        now=NOW,
        lasting=HOUR,
    )


def test_a_refusal_has_to_last_before_it_tells_that_the_uninstallation_is_over() -> None:
    assert judged(left(), refused=True) == HOUR
    assert judged(left(refused_for=HOUR / 4), refused=True) == HOUR * 3 / 4
    assert judged(left(refused_for=HOUR), refused=True) == OVER
    assert judged(left(refused_for=DAY / 2), refused=True) == OVER


def test_where_talkdesk_has_our_answer_or_no_such_installation_it_is_over_at_once() -> None:
    assert judged(left(), told=True, refused=True) == OVER


@pytest.mark.parametrize("state", ["uninstalled", "revoked", "completed", "pending", "odd", "(not found)"])
@pytest.mark.parametrize("ending", ["told", "refused"])
def test_where_talkdesk_took_our_approval_it_is_over_whatever_word_it_answered_with(
    state: str, ending: str
) -> None:
    assert judged(left(state=state), approved=True, **{ending: True}) == OVER
    assert judged(left(state=state), approved=True) is None, "being kept out tells nothing"


def test_an_approval_counts_where_the_status_was_lost() -> None:
    lost = left().to_json()
    del lost["status"]
    assert judged(TalkdeskInstallation.model_validate(lost), approved=True, refused=True) == OVER


@pytest.mark.parametrize("state", ["pending", "odd"])
def test_what_waited_under_another_word_is_over_as_what_waited_as_uninstalled(state: str) -> None:
    assert judged(left(state=state), told=True) == OVER
    assert judged(left(state=state), refused=True) == HOUR
    assert judged(left(state=state, refused_for=HOUR), refused=True) == OVER


@pytest.mark.parametrize("state", ["pending", "odd"])
def test_that_word_counts_of_one_that_left_or_was_superseded_alone(state: str) -> None:
    one = left(state=state, refused_for=HOUR).to_json()
    del one["spec"]["talkdesk"]["uninstalled"]
    unannounced = TalkdeskInstallation.model_validate(one)
    assert judged(unannounced, refused=True) is None
    assert judged(unannounced, refused=True, superseded=True) == OVER


@pytest.mark.parametrize("state", ["installing", "updating"])
def test_what_waited_about_something_else_may_still_wait(state: str) -> None:
    for superseded in (False, True):
        assert judged(left(state=state, refused_for=DAY), told=True, superseded=superseded) is None


def test_being_kept_out_tells_nothing_however_long_it_lasts() -> None:
    assert judged(left(refused_for=6 * DAY, ago=6 * DAY)) is None


@pytest.mark.parametrize("told", [False, True])
def test_what_was_never_seen_to_wait_for_us_may_still_wait(*, told: bool) -> None:
    assert judged(left(state="completed", refused_for=DAY), refused=True, told=told) is None


def test_after_a_week_talkdesk_waits_no_longer() -> None:
    late = left(ago=7 * DAY + timedelta(seconds=1), state="completed")
    assert judged(late) == OVER
    assert judged(left(ago=7 * DAY - timedelta(seconds=1), state="completed")) is None


def test_of_one_that_a_newer_one_superseded_the_week_runs_from_the_newer_ones_installation() -> None:
    def superseded(for_: timedelta, *, refused: timedelta = 40 * DAY) -> timedelta | None:
        one, new = left(state="completed").to_json(), left().to_json()
        del one["spec"]["talkdesk"]["uninstalled"]
        ready = {"type": "Ready", "status": "False", "reason": "TrialEnded", "observedGeneration": 1}
        one["status"]["conditions"] = [ready | {"lastTransitionTime": time(NOW - refused)}]
        new["spec"]["talkdesk"] = {"installed": {"event": "e", "rank": 10, "at": stamp_time(NOW - for_)}}
        return until_over(
            TalkdeskInstallation.model_validate(one),
            superseded=True,
            holder=TalkdeskInstallation.model_validate(new),
            approved=False,
            told=False,
            refused=True,
            now=NOW,
            lasting=HOUR,
        )

    assert superseded(timedelta(0)) is None
    assert superseded(6 * DAY) is None
    assert superseded(8 * DAY) == OVER
    assert superseded(8 * DAY, refused=6 * DAY) is None, "access ended later"
