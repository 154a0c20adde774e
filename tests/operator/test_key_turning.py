"""The gateway's keys: routine turns sign nobody out, and nothing is kept longer than it is good for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from talkdesk_crds.key_ring import SPREADING, Key, active, parse, render
from talkdesk_operator.gateway_keys import identity_key, session_key
from talkdesk_operator.key_turning import MOST, KeyPolicy, Turn, ends, turn

START = datetime(2026, 1, 5, tzinfo=UTC)
DAY, WEEK = timedelta(days=1), timedelta(days=7)
POLICY = KeyPolicy(every=30 * DAY, good=WEEK)


class Maker:
    """Makes keys k0, k1, …"""

    def __init__(self) -> None:
        self._numbers = count()

    def __call__(self, now: datetime) -> Key:
        return Key(f"k{next(self._numbers)}", now, SecretStr("{}"))


def names_of(turned: Turn) -> list[str]:
    return [key.id for key in turned.keys]


def test_where_there_is_no_key_one_is_made_at_once() -> None:
    first = turn([], START, POLICY, new=Maker())
    assert names_of(first) == ["k0"]
    assert first.changed
    assert first.look_at == START + 30 * DAY
    assert active(first.keys, START) == first.keys[0]


def test_a_look_before_anything_is_due_changes_nothing() -> None:
    maker = Maker()
    keys = turn([], START, POLICY, new=maker).keys
    later = turn(keys, START + 29 * DAY, POLICY, new=maker)
    assert (later.keys, later.changed) == (keys, False)
    assert later.look_at == START + 30 * DAY


def test_a_new_key_is_made_beside_the_old_one_which_goes_when_it_is_good_for_nothing() -> None:
    maker = Maker()
    keys = turn([], START, POLICY, new=maker).keys
    second = turn(keys, START + 30 * DAY, POLICY, new=maker)
    assert names_of(second) == ["k0", "k1"]
    assert START + 37 * DAY < second.look_at < START + 37 * DAY + timedelta(hours=1)
    assert names_of(turn(second.keys, second.look_at - timedelta(seconds=1), POLICY, new=maker)) == [
        "k0",
        "k1",
    ]
    third = turn(second.keys, second.look_at, POLICY, new=maker)
    assert names_of(third) == ["k1"]
    assert third.look_at == START + 60 * DAY


def test_keys_that_somebody_put_in_another_order_are_put_right() -> None:
    maker = Maker()
    keys = (Key("b", START + DAY, SecretStr("{}")), Key("a", START, SecretStr("{}")))
    turned = turn(keys, START + DAY, POLICY, new=maker)
    assert (names_of(turned), turned.changed) == (["a", "b"], True)
    assert not turn(turned.keys, START + DAY, POLICY, new=maker).changed


def test_a_longer_session_keeps_the_keys_for_longer() -> None:
    maker = Maker()
    keys = turn(turn([], START, POLICY, new=maker).keys, START + 30 * DAY, POLICY, new=maker).keys
    longer = KeyPolicy(every=POLICY.every, good=20 * DAY)
    assert names_of(turn(keys, START + 40 * DAY, longer, new=maker)) == ["k0", "k1"]
    assert names_of(turn(keys, START + 40 * DAY, POLICY, new=maker)) == ["k1"]


def test_there_are_never_more_keys_than_a_secret_should_hold() -> None:
    maker = Maker()
    hasty = KeyPolicy(every=timedelta(minutes=1), good=30 * DAY)
    keys: tuple[Key, ...] = ()
    now = START
    for _ in range(2 * MOST):
        turned = turn(keys, now, hasty, new=maker)
        assert turned.look_at > now
        keys, now = turned.keys, now + timedelta(minutes=1)
    assert len(keys) == MOST
    assert keys[0].id == "k0"
    assert turned.look_at == ends(keys, hasty)[0]


minutes = st.integers(1, 100_000).map(lambda number: timedelta(minutes=number))


@given(
    every=minutes,
    good=minutes,
    steps=st.lists(st.integers(0, 60_000).map(lambda number: timedelta(minutes=number)), max_size=40),
    lag=st.timedeltas(timedelta(0), SPREADING),
    skew=st.timedeltas(timedelta(seconds=-5), timedelta(seconds=5)),
)
def test_whatever_was_sealed_can_be_opened_for_as_long_as_it_is_good(
    every: timedelta, good: timedelta, steps: list[timedelta], lag: timedelta, skew: timedelta
) -> None:
    """By every replica, though one sees the Secret late, clocks differ, and the operator was away."""
    maker, policy = Maker(), KeyPolicy(every, good)
    now = START
    history: list[tuple[datetime, tuple[Key, ...]]] = []

    def seen(at: datetime, *, late: timedelta = timedelta(0)) -> tuple[Key, ...]:
        known = [keys for since, keys in history if since + late <= at]
        return known[-1] if known else history[0][1]

    keys: tuple[Key, ...] = ()
    for step in steps:
        now += step
        turned = turn(keys, now, policy, new=maker)
        assert turned.look_at > now
        keys = turned.keys
        history.append((now, keys))
    moments = [since + offset for since, _ in history for offset in (timedelta(0), lag, SPREADING, good)]
    for sealed_at in moments:
        sealing = active(seen(sealed_at, late=lag), sealed_at + skew)
        assert sealing is not None
        for opened_at in (moment for moment in moments if sealed_at <= moment < sealed_at + good):
            assert sealing in seen(opened_at), (sealed_at, opened_at)


@pytest.mark.parametrize(("make", "kind"), [(session_key, "oct"), (identity_key, "EC")])
def test_a_key_comes_back_from_its_secret_as_it_was_made(make: object, kind: str) -> None:
    assert callable(make)
    now = datetime(2026, 1, 5, 10, 0, 0, 123456, tzinfo=UTC)
    keys = (make(now), make(now + DAY))
    assert parse({"metadata": {"name": "s"}, "data": render(keys)}) == keys
    assert f'"kty": "{kind}"' in keys[0].jwk.get_secret_value()
    assert keys[0].id != keys[1].id
    assert keys[0].jwk.get_secret_value() not in repr(keys)
