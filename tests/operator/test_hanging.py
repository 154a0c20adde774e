"""Of the passes over a region's tenants only a few wait for a host that does not answer."""

from __future__ import annotations

from contextlib import ExitStack, suppress

import pytest

from talkdesk_client import TalkdeskError, TransportError
from talkdesk_operator.hanging import Hanging

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


def asked(hanging: Hanging, now: Now, host: str, *, seconds: float, fails: bool = True) -> None:
    """``host`` was asked, and failed or answered after so long."""
    error = TalkdeskError("no answer")
    with suppress(TalkdeskError), hanging.asking(host):
        now.at += seconds
        if fails:
            raise error


def full(hanging: Hanging, host: str) -> bool:
    """Nobody more may ask ``host`` at present."""
    try:
        with hanging.asking(host):
            return False
    except TransportError as error:
        return error.transient and bool(error.retry_after)


def test_a_host_that_answers_takes_any_number(hanging: Hanging) -> None:
    with hanging.asking(EU), hanging.asking(EU), hanging.asking(EU):
        assert not full(hanging, EU)


def test_a_host_that_hangs_takes_two_at_a_time_and_others_any_number(hanging: Hanging, now: Now) -> None:
    asked(hanging, now, EU, seconds=30)
    with hanging.asking(US), hanging.asking(US), ExitStack() as waiting:
        waiting.enter_context(hanging.asking(EU))
        waiting.enter_context(hanging.asking(EU))
        assert full(hanging, EU)
        assert not full(hanging, US)


def test_whoever_is_turned_away_takes_no_place(hanging: Hanging, now: Now) -> None:
    asked(hanging, now, EU, seconds=30)
    with hanging.asking(EU):
        with hanging.asking(EU):
            assert [full(hanging, EU) for _ in range(3)] == [True] * 3
        asked(hanging, now, EU, seconds=30)


def test_a_host_that_fails_at_once_holds_nobody_up_and_takes_any_number(hanging: Hanging, now: Now) -> None:
    asked(hanging, now, EU, seconds=0.1)
    with hanging.asking(EU), hanging.asking(EU):
        assert not full(hanging, EU)


@pytest.mark.parametrize("fails", [True, False])
def test_whatever_comes_quickly_ends_it(hanging: Hanging, now: Now, *, fails: bool) -> None:
    asked(hanging, now, EU, seconds=30)
    asked(hanging, now, EU, seconds=0.1, fails=fails)
    with hanging.asking(EU), hanging.asking(EU):
        assert not full(hanging, EU)


def test_a_slow_answer_is_an_answer(hanging: Hanging, now: Now) -> None:
    asked(hanging, now, EU, seconds=30)
    asked(hanging, now, EU, seconds=30, fails=False)
    with hanging.asking(EU), hanging.asking(EU):
        assert not full(hanging, EU)


def test_it_is_forgotten_after_a_minute(hanging: Hanging, now: Now) -> None:
    asked(hanging, now, EU, seconds=30)
    with ExitStack() as waiting:
        waiting.enter_context(hanging.asking(EU))
        waiting.enter_context(hanging.asking(EU))
        now.at += 59
        assert full(hanging, EU)
        now.at += 1
        assert not full(hanging, EU)
