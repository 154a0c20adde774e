"""The brake, the pace of routine readings, and how often Talkdesk is asked."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from declared import app
from talkdesk_crds.installation import TalkdeskInstallation
from talkdesk_kube import ReflectorTimings, Timeouts
from talkdesk_operator import not_found
from talkdesk_operator.app_reconcile import steady
from talkdesk_operator.brake import Brake, BrakePolicy, Member, brake, ends_at, released_until
from talkdesk_operator.memory import Cadence, InstallationMemory, due
from talkdesk_operator.pace import Pace
from talkdesk_operator.settings import OperatorSettings

NOW = datetime(2026, 1, 5, 10, tzinfo=UTC)
POLICY = BrakePolicy(hold=timedelta(seconds=120), window=timedelta(hours=12))


def members(served: int, ending: int, *, ended: int = 0, ago: float = 0.0) -> list[Member]:
    """So many customers, of whom some are about to lose their access, or have lost it ``ago`` seconds ago."""
    since = NOW - timedelta(seconds=ago)
    return [
        *(Member(f"well-{number}", served=True) for number in range(served - ending)),
        *(Member(f"ending-{number}", served=True, impending_since=NOW) for number in range(ending)),
        *(Member(f"ended-{number}", served=False, impending_since=since) for number in range(ended)),
    ]


def found(everyone: list[Member], *, released: datetime | None = None) -> Brake:
    return brake(everyone, now=NOW, policy=POLICY, released=released)


@pytest.mark.parametrize(
    ("served", "ending", "holds"),
    [(1, 1, False), (5, 5, False), (6, 6, True), (30, 6, False), (30, 7, True), (1000, 200, False)],
)
def test_the_brake_holds_beyond_five_and_a_fifth(*, served: int, ending: int, holds: bool) -> None:
    assert found(members(served, ending)).holds is holds


def test_what_has_come_within_the_window_counts_and_later_no_more() -> None:
    assert found(members(24, 1, ended=6, ago=3600)).holds
    assert not found(members(24, 1, ended=6, ago=13 * 3600)).holds


def test_many_who_lose_their_access_one_by_one_in_the_course_of_a_resync_are_a_mass_too() -> None:
    lost: list[Member] = []
    for number in range(1000):
        everyone = [Member(f"well-{one}", served=True) for one in range(1000 - len(lost) - 1)]
        found_now = found([*everyone, *lost, Member("this", served=True, impending_since=NOW)])
        if found_now.holds:
            break
        lost.append(Member(f"lost-{number}", served=False, impending_since=NOW))
    assert len(lost) == 200


def test_those_who_wait_never_age_out() -> None:
    old = NOW - timedelta(days=30)
    waiting = [Member(f"m{number}", served=True, impending_since=old) for number in range(10)]
    assert found(waiting).holds


def test_a_person_releases_what_was_said_until_then_and_nothing_later() -> None:
    everyone = members(30, 30)
    assert not found(everyone, released=NOW).holds
    assert found(everyone, released=NOW - timedelta(seconds=1)).holds
    assert ends_at(NOW, found(everyone), policy=POLICY, released=NOW) == NOW


def test_one_alone_ends_after_the_hold_and_one_of_many_not_at_all() -> None:
    assert ends_at(NOW, found(members(30, 1)), policy=POLICY, released=None) == NOW + POLICY.hold
    assert ends_at(NOW, found(members(30, 30)), policy=POLICY, released=None) is None


@given(st.lists(st.tuples(st.booleans(), st.none() | st.integers(0, 10**6)), max_size=60))
def test_the_brake_is_off_once_nothing_impends(everyone: list[tuple[bool, int | None]]) -> None:
    told = [
        Member(str(number), served, None if ago is None else NOW - timedelta(seconds=ago))
        for number, (served, ago) in enumerate(everyone)
    ]
    one = found(told)
    assert one.waiting <= one.ending <= one.customers <= len(told)
    assert not found([Member(item.name, item.served) for item in told]).holds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-05T10:00:00Z", NOW),
        ("2026-01-05T11:00:00+01:00", NOW),
        ("2026-01-05T10:00:00", None),
        ("now", None),
        ("", None),
        (None, None),
    ],
)
def test_the_release_is_a_time_with_its_zone(text: str | None, expected: datetime | None) -> None:
    annotations = {} if text is None else {"talkdesk-operator.io/release-brake": text}
    assert released_until(app(annotations=annotations)) == expected


def test_steady_names_the_region_the_numbers_and_who_keeps_access() -> None:
    shown = steady({"eu": Brake(customers=30, ending=30, waiting=28, limit=6), "us": found(members(9, 1))})
    assert (shown.status, shown.reason) == ("False", "BrakeHolds")
    assert "region eu" in shown.message
    assert "30 of 30" in shown.message
    assert "28 keep" in shown.message
    assert "us" not in shown.message.split()
    assert steady({}).status == "True"


def test_readings_of_one_host_come_at_its_rate_after_a_burst_and_other_hosts_are_not_held_up() -> None:
    pace = Pace(rate=2.0, burst=3)
    turns = [pace.reserve("api.eu", 100.0) for _ in range(7)]
    assert turns == [100.0, 100.0, 100.0, 100.5, 101.0, 101.5, 102.0]
    assert pace.reserve("api.us", 100.0) == 100.0
    assert pace.reserve("api.eu", 200.0) == 200.0


@given(st.lists(st.floats(0, 5), min_size=1, max_size=60))
def test_no_second_ever_has_more_readings_than_rate_and_burst(gaps: list[float]) -> None:
    pace, now, turns = Pace(rate=4.0, burst=2), 0.0, []
    for gap in gaps:
        now += gap
        turns.append(pace.reserve("host", now))
    for turn in turns:
        assert sum(turn <= one < turn + 1 for one in turns) <= 4 + 2


def installation(**status: Any) -> TalkdeskInstallation:
    return TalkdeskInstallation.model_validate(
        {
            "metadata": {"name": "i", "generation": 3},
            "spec": {"appId": "app", "accountId": "acc", "installationId": "i"},
            "status": {
                "observedGeneration": 3,
                "conditions": [
                    {
                        "type": "Confirmed",
                        "status": "True",
                        "reason": "Approved",
                        "observedGeneration": 3,
                        "lastTransitionTime": "2026-01-05T10:00:00Z",
                    }
                ],
                **status,
            },
        }
    )


def wait(one: TalkdeskInstallation, memory: InstallationMemory, *, resync: float, now: float = 0.0) -> float:
    cadence = Cadence(resync=resync, pending=30, draw=lambda: 0.5)
    return due(one, memory, now=now, cadence=cadence, incomplete=False, unsettled=False)


def test_after_a_start_installations_are_read_over_the_whole_interval() -> None:
    draws = [
        Cadence(resync=1000, pending=30, draw=lambda part=part: part).first_resync(0.0)
        for part in (0.0, 0.25, 0.999)
    ]
    assert draws == [0.0, 250.0, 999.0]
    assert 900 <= Cadence(resync=1000, pending=30).next_resync(0.0) <= 1100
    assert wait(installation(), InstallationMemory(), resync=1000) == 500


def test_with_resync_switched_off_nothing_is_due() -> None:
    memory = InstallationMemory(reading=not_found.reading(installation(), None, 0.0))
    assert wait(installation(), InstallationMemory(), resync=0) == math.inf
    assert wait(installation(), memory, resync=0, now=10.0**6) == math.inf


def test_whoever_is_locked_out_by_talkdesks_word_alone_is_asked_about_soon() -> None:
    one = installation(impending={"reason": "UnknownToTalkdesk", "since": "2026-01-05T10:00:00Z"})
    assert wait(one, InstallationMemory(), resync=43200) == 0
    memory = InstallationMemory(reading=not_found.reading(one, None, 0.0))
    assert wait(one, memory, resync=43200, now=100.0) == 500


def test_whoever_is_overtaken_is_asked_about_at_once_even_with_resync_switched_off() -> None:
    memory = InstallationMemory(reading=not_found.reading(installation(), None, 0.0))
    off = Cadence(resync=0, pending=30)
    asked = due(
        installation(), memory, now=1.0, cadence=off, incomplete=False, unsettled=False, overtaken=True
    )
    assert asked == 0


def test_a_404_is_believed_when_it_has_been_said_for_a_while() -> None:
    memory, cadence = InstallationMemory(), Cadence(resync=43200, pending=30)
    assert [not_found.believed(memory, now, cadence) for now in (0.0, 1.0, 2.0, 59.0, 60.0)] == [
        False, False, False, False, True,
    ]  # fmt: skip
    not_found.known(memory)
    assert not not_found.believed(memory, 61.0, cadence)


def test_a_watch_that_died_unnoticed_is_given_up_in_time_to_list_again_within_90_seconds() -> None:
    silence = OperatorSettings.model_fields["watch_silence_seconds"].default
    assert silence == Timeouts().silence
    # Bookmarks come every minute, at the latest three seconds after it.
    assert silence > 60 + 3
    assert silence + ReflectorTimings().first_backoff < 80
