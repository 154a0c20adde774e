"""Of the passes over a region's tenants only a few wait for a host that does not answer."""

from __future__ import annotations

from contextlib import ExitStack, suppress

import pytest

from talkdesk_client import TalkdeskError, TransportError
from talkdesk_operator.hanging import Call, Hanging

EU, US = "eu", "us"


class Now:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def hanging(now: Now) -> Hanging:
    return Hanging(most=2, monotonic=now)


def asked(
    hanging: Hanging, now: Now, host: str, call: Call = Call.READING, *, seconds: float, fails: bool = True
) -> None:
    """``host`` was asked, and failed or answered after so long."""
    error = TalkdeskError("no answer")
    with suppress(TalkdeskError), hanging.asking(host, call):
        now.at += seconds
        if fails:
            raise error


def full(hanging: Hanging, host: str, call: Call = Call.READING) -> bool:
    """Nobody more may ask ``host`` at present."""
    try:
        with hanging.asking(host, call):
            return False
    except TransportError as error:
        return error.transient and bool(error.retry_after)


def test_a_host_that_answers_takes_any_number(hanging: Hanging) -> None:
    with hanging.asking(EU, Call.READING), hanging.asking(EU, Call.READING), hanging.asking(EU, Call.READING):
        assert not full(hanging, EU)


def test_a_host_that_hangs_takes_two_at_a_time_and_others_any_number(hanging: Hanging, now: Now) -> None:
    asked(hanging, now, EU, seconds=30)
    with hanging.asking(US, Call.READING), hanging.asking(US, Call.READING), ExitStack() as waiting:
        waiting.enter_context(hanging.asking(EU, Call.READING))
        waiting.enter_context(hanging.asking(EU, Call.READING))
        assert full(hanging, EU)
        assert not full(hanging, US)


def test_whoever_is_turned_away_takes_no_place(hanging: Hanging, now: Now) -> None:
    asked(hanging, now, EU, seconds=30)
    with hanging.asking(EU, Call.READING):
        with hanging.asking(EU, Call.READING):
            assert [full(hanging, EU) for _ in range(3)] == [True] * 3
        asked(hanging, now, EU, seconds=30)


def test_a_host_that_fails_at_once_holds_nobody_up_and_takes_any_number(hanging: Hanging, now: Now) -> None:
    asked(hanging, now, EU, seconds=0.1)
    with hanging.asking(EU, Call.READING), hanging.asking(EU, Call.READING):
        assert not full(hanging, EU)


@pytest.mark.parametrize("fails", [True, False])
def test_whatever_comes_quickly_ends_it(hanging: Hanging, now: Now, *, fails: bool) -> None:
    asked(hanging, now, EU, seconds=30)
    asked(hanging, now, EU, seconds=0.1, fails=fails)
    with hanging.asking(EU, Call.READING), hanging.asking(EU, Call.READING):
        assert not full(hanging, EU)


def test_a_slow_answer_is_an_answer(hanging: Hanging, now: Now) -> None:
    asked(hanging, now, EU, seconds=30)
    asked(hanging, now, EU, seconds=30, fails=False)
    with hanging.asking(EU, Call.READING), hanging.asking(EU, Call.READING):
        assert not full(hanging, EU)


def test_it_is_forgotten_after_a_minute(hanging: Hanging, now: Now) -> None:
    asked(hanging, now, EU, seconds=30)
    with ExitStack() as waiting:
        waiting.enter_context(hanging.asking(EU, Call.READING))
        waiting.enter_context(hanging.asking(EU, Call.READING))
        now.at += 59
        assert full(hanging, EU)
        now.at += 1
        assert not full(hanging, EU)


def test_a_call_that_hangs_leaves_the_others_of_its_host_alone(hanging: Hanging, now: Now) -> None:
    asked(hanging, now, EU, Call.USERS, seconds=30)
    with hanging.asking(EU, Call.USERS), hanging.asking(EU, Call.USERS):
        assert full(hanging, EU, Call.USERS)
        with hanging.asking(EU, Call.READING), hanging.asking(EU, Call.READING):
            assert not full(hanging, EU, Call.READING)


def test_a_quick_answer_to_one_call_tells_nothing_of_another(hanging: Hanging, now: Now) -> None:
    asked(hanging, now, EU, Call.USERS, seconds=30)
    asked(hanging, now, EU, Call.READING, seconds=0.1, fails=False)
    with hanging.asking(EU, Call.USERS), hanging.asking(EU, Call.USERS):
        assert full(hanging, EU, Call.USERS)


def test_two_wait_for_a_host_in_all_whatever_they_ask_it_for(hanging: Hanging, now: Now) -> None:
    asked(hanging, now, EU, Call.READING, seconds=30)
    asked(hanging, now, EU, Call.USERS, seconds=30)
    with hanging.asking(EU, Call.READING), hanging.asking(EU, Call.USERS):
        assert full(hanging, EU, Call.READING)
        assert full(hanging, EU, Call.USERS)
        assert not full(hanging, EU, Call.ROLES)


def test_a_call_is_not_forgotten_while_another_keeps_all_places(hanging: Hanging, now: Now) -> None:
    asked(hanging, now, EU, Call.USERS, seconds=30)
    for _ in range(4):
        asked(hanging, now, EU, Call.READING, seconds=30)
        with hanging.asking(EU, Call.READING), hanging.asking(EU, Call.READING):
            assert full(hanging, EU, Call.USERS)
            now.at += 10
    assert not full(hanging, EU, Call.USERS)
