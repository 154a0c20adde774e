"""Sessions: their limits, their renewal, and whose they are."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import OctKey
from pydantic import SecretStr

from talkdesk_crds.app import SessionPolicy, TalkdeskApp
from talkdesk_crds.installation import TalkdeskInstallation
from talkdesk_crds.key_ring import Key
from talkdesk_crds.user_slice import LicensedUser
from talkdesk_gateway.sessions import (
    SESSION_COOKIE,
    USE_COOKIE,
    Session,
    entry,
    over,
    read,
    renewal_due,
    seconds_left,
    session_cookies,
    use_cookie,
)
from talkdesk_gateway.tenancy import Tenancy

NOW = datetime(2026, 1, 10, 12, 0, tzinfo=UTC)
KEYS = (Key("a", NOW - timedelta(days=1), SecretStr(json.dumps(OctKey.generate_key(256).as_dict()))),)
POLICY = SessionPolicy()
HOST = "i1.apps.example.com"


def session(**changes: Any) -> Session:
    """One that began now."""
    values = {
        "host": HOST,
        "installation": "i1",
        "uid": "uid-i1",
        "user": "u1",
        "epoch": "e1",
        "sid": "s1",
        "began": NOW,
        "used": NOW,
    }
    return Session(**(values | changes))


def kept(*headers: str) -> dict[str, str]:
    """What a browser keeps of ``Set-Cookie`` headers."""
    return dict(header.partition(";")[0].split("=", 1) for header in headers)


def cookies(one: Session, now: datetime = NOW) -> dict[str, str]:
    """Both cookies of a session."""
    return kept(*session_cookies(one, POLICY, keys=KEYS, now=now))


@pytest.fixture
def tenancy(objects: Any) -> Tenancy:
    """Where u1 is licensed under epoch e1."""
    made = objects.installation()
    made["metadata"]["uid"] = "uid-i1"
    return Tenancy(
        installation=TalkdeskInstallation.model_validate(made),
        app=TalkdeskApp.model_validate(objects.app()),
        host=HOST,
        upstream=None,
        user={"u1": LicensedUser(epoch="e1")}.get,
    )


def test_what_enter_sets_is_read_again() -> None:
    assert read(cookies(session()), host=HOST, keys=KEYS, now=NOW) == session()


def test_at_another_host_it_is_nothing() -> None:
    assert read(cookies(session()), host="i2.apps.example.com", keys=KEYS, now=NOW) is None


def test_the_use_cookie_alone_is_nothing_and_cannot_stand_for_the_session() -> None:
    both = cookies(session())
    assert read({USE_COOKIE: both[USE_COOKIE]}, host=HOST, keys=KEYS, now=NOW) is None
    swapped = {SESSION_COOKIE: both[USE_COOKIE], USE_COOKIE: both[SESSION_COOKIE]}
    assert read(swapped, host=HOST, keys=KEYS, now=NOW) is None


@pytest.mark.parametrize("other", [{"sid": "s2"}, {"host": "i2.apps.example.com"}])
def test_another_sessions_use_does_not_count(other: dict[str, str]) -> None:
    later = NOW + timedelta(hours=6)
    foreign = kept(use_cookie(session(**other), POLICY, keys=KEYS, now=later))
    found = read(cookies(session()) | foreign, host=HOST, keys=KEYS, now=later)
    assert found is not None
    assert found.used is None


def test_without_its_use_cookie_a_session_is_idle_since_it_began() -> None:
    alone = {SESSION_COOKIE: cookies(session())[SESSION_COOKIE]}
    found = read(alone, host=HOST, keys=KEYS, now=NOW)
    assert found is not None
    assert not over(found, POLICY, NOW + timedelta(hours=12) - timedelta(seconds=1))
    assert over(found, POLICY, NOW + timedelta(hours=12))


def test_used_it_goes_on_up_to_the_absolute_limit() -> None:
    """Once an hour by day, for a week."""
    kept_cookies, now = cookies(session()), NOW
    for _ in range(7 * 24 - 1):
        now += timedelta(hours=1)
        found = read(kept_cookies, host=HOST, keys=KEYS, now=now)
        assert found is not None
        assert not over(found, POLICY, now)
        assert renewal_due(found, POLICY, now)
        kept_cookies |= kept(use_cookie(found, POLICY, keys=KEYS, now=now))
    now += timedelta(hours=1)
    assert read(kept_cookies, host=HOST, keys=KEYS, now=now) is None
    assert over(session(used=now), POLICY, now)


def test_unused_it_is_over_at_the_idle_limit() -> None:
    now = NOW + timedelta(hours=12)
    assert over(session(), POLICY, now)
    assert not over(session(), POLICY, now - timedelta(seconds=1))


def test_limits_that_were_made_shorter_count_for_sessions_that_there_are() -> None:
    now = NOW + timedelta(minutes=10)
    found = read(cookies(session()), host=HOST, keys=KEYS, now=now)
    assert found is not None
    assert over(found, SessionPolicy(idle_seconds=600), now)
    assert over(found, SessionPolicy(absolute_seconds=600), now)


def test_an_answer_that_comes_late_does_not_revive_what_was_signed_out(tenancy: Tenancy) -> None:
    """A use cookie that is set after sign-out took both away names a session that is gone."""
    late = kept(use_cookie(session(), POLICY, keys=KEYS, now=NOW))
    assert read(late, host=HOST, keys=KEYS, now=NOW) is None
    signed_out = dataclasses.replace(tenancy, user={"u1": LicensedUser(epoch="e2")}.get)
    assert entry(session(), tenancy, NOW) is not None
    assert entry(session(), signed_out, NOW) is None


@given(st.integers(60, 2592000), st.integers(0, 4 * 86400))
def test_renewal_comes_well_before_the_idle_limit(idle: int, elapsed: int) -> None:
    policy = SessionPolicy(idle_seconds=idle, absolute_seconds=2592000)
    now = NOW + timedelta(seconds=elapsed)
    due = renewal_due(session(), policy, now)
    if elapsed * 4 >= idle and elapsed >= 60:
        assert due
    if elapsed < min(60, idle / 4):
        assert not due
    if not due:
        assert not over(session(), policy, now)


def test_of_many_requests_in_a_minute_none_renews_but_the_first_without_a_use() -> None:
    assert renewal_due(session(used=None), POLICY, NOW)
    assert not any(renewal_due(session(), POLICY, NOW + timedelta(seconds=seconds)) for seconds in range(60))


@pytest.mark.parametrize("skew", [-5, 5])
def test_five_seconds_between_two_clocks_change_nothing(tenancy: Tenancy, skew: int) -> None:
    there = NOW + timedelta(seconds=skew)
    found = read(cookies(session()), host=HOST, keys=KEYS, now=there)
    assert found is not None
    assert entry(found, tenancy, there) is not None
    assert not renewal_due(found, POLICY, there)


@pytest.mark.parametrize(
    "changes",
    [{"user": "u2"}, {"epoch": "e2"}, {"uid": "another"}, {"installation": "i2"}, {"host": "i2.example.com"}],
)
def test_it_counts_for_its_user_epoch_object_and_host_alone(
    tenancy: Tenancy, changes: dict[str, str]
) -> None:
    assert entry(session(), tenancy, NOW) == LicensedUser(epoch="e1")
    assert entry(session(**changes), tenancy, NOW) is None


def test_what_is_left_is_told_in_seconds() -> None:
    assert seconds_left(session(), POLICY, NOW + timedelta(days=1)) == 6 * 86400
    assert seconds_left(session(), POLICY, NOW + timedelta(days=8)) == 0


def test_cookies_live_as_long_as_their_limits_and_fit_into_a_browser() -> None:
    longest = session(user="u" * 128, installation="i" * 63, epoch="e" * 64, host="h" * 253, sid="s" * 43)
    made, used = session_cookies(longest, POLICY, keys=KEYS, now=NOW)
    assert "Max-Age=604800;" in made
    assert "Max-Age=43200;" in used
    assert len(made) + len(used) < 4096
