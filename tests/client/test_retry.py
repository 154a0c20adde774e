"""What is repeated, when, and for how long; above all: a change is not."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from talkdesk_client import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    RateLimited,
    ServerError,
    TalkdeskError,
    TransportError,
    UnexpectedAnswer,
)
from talkdesk_client.retry import RetryPolicy, retry_after_seconds

POLICY = RetryPolicy(attempts=4, first=0.25, longest=8.0, budget=30.0)
NOW = 1_780_000_000.0

LOST = [
    httpx.ReadTimeout("x"),
    httpx.ReadError("x"),
    httpx.WriteError("x"),
    httpx.WriteTimeout("x"),
    httpx.RemoteProtocolError("x"),
]
NEVER_SENT = [
    httpx.ConnectError("x"),
    httpx.ConnectTimeout("x"),
    httpx.PoolTimeout("x"),
    httpx.ProxyError("x"),
]


def test_waits_grow_exponentially_with_jitter_below_a_ceiling() -> None:
    policy = RetryPolicy(attempts=99, first=0.25, longest=2.0, budget=1e9)
    error = ServerError("x")
    lowest = [policy.wait(error, made=made, elapsed=0, chance=0.0) for made in range(1, 7)]
    highest = [policy.wait(error, made=made, elapsed=0, chance=1.0) for made in range(1, 7)]
    assert lowest == [0.125, 0.25, 0.5, 1.0, 1.0, 1.0]
    assert highest == [0.25, 0.5, 1.0, 2.0, 2.0, 2.0]


@given(
    made=st.integers(1, 60),
    elapsed=st.floats(0, 100),
    chance=st.floats(0, 1, exclude_max=True),
    retry_after=st.none() | st.floats(0, 100),
)
def test_a_wait_never_undercuts_talkdesks_wish_nor_exceeds_the_budget(
    made: int, elapsed: float, chance: float, retry_after: float | None
) -> None:
    wait = POLICY.wait(RateLimited("x", retry_after=retry_after), made=made, elapsed=elapsed, chance=chance)
    if wait is not None:
        assert made < POLICY.attempts
        assert elapsed + wait < POLICY.budget
        assert wait >= (retry_after or 0)


@pytest.mark.parametrize("kind", [Forbidden, NotFound, Conflict, BadRequest, UnexpectedAnswer])
def test_what_will_not_change_is_not_repeated(kind: type[TalkdeskError]) -> None:
    assert POLICY.wait(kind("x"), made=1, elapsed=0, chance=0) is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        (" 1.5 ", 1.5),
        ("0", 0.0),
        ("-3", 0.0),
        ("soon", None),
        ("", None),
        ("nan", None),
        ("inf", None),
        (format_datetime(datetime.fromtimestamp(NOW + 90, UTC), usegmt=True), 90.0),
        (format_datetime(datetime.fromtimestamp(NOW - 90, UTC), usegmt=True), 0.0),
        ("Fri, 99 Foo 2026 10:00:00 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds_and_as_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header, now=NOW) == seconds


@given(st.text(max_size=60))
def test_no_retry_after_header_raises(header: str) -> None:
    seconds = retry_after_seconds(header, now=NOW)
    assert seconds is None or seconds >= 0


@pytest.mark.parametrize(
    "failure", [*LOST, *NEVER_SENT, httpx.Response(500), httpx.Response(503), httpx.Response(429)]
)
async def test_a_read_is_repeated_until_it_succeeds(
    *, talkdesk: Any, connect: Any, ref: Any, manual_clock: Any, an_installation: httpx.Response, failure: Any
) -> None:
    talkdesk.answers = [failure, failure, an_installation]
    async with connect() as client:
        assert (await client.installation(ref)).id == "installation-1"
    assert len(talkdesk.asked) == 3
    assert manual_clock.slept == [0.125, 0.25]


async def test_a_read_is_given_up_after_the_last_attempt_with_the_last_error(
    talkdesk: Any, connect: Any, ref: Any
) -> None:
    talkdesk.answers = [httpx.ReadTimeout("x"), httpx.Response(502), httpx.Response(503)]
    async with connect(retry_attempts=3) as client:
        with pytest.raises(ServerError) as caught:
            await client.installation(ref)
    assert caught.value.status == 503
    assert caught.value.transient
    assert not caught.value.outcome_unknown
    assert len(talkdesk.asked) == 3


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_waited_out(
    *, talkdesk: Any, connect: Any, ref: Any, manual_clock: Any, an_installation: httpx.Response, status: int
) -> None:
    at = datetime.fromtimestamp(manual_clock.epoch + manual_clock.seconds + 5 + 7, UTC)
    talkdesk.answers = [
        httpx.Response(status, headers={"Retry-After": "5"}),
        httpx.Response(status, headers={"Retry-After": format_datetime(at, usegmt=True)}),
        an_installation,
    ]
    async with connect() as client:
        await client.installation(ref)
    assert manual_clock.slept == [5.0, 7.0]


async def test_a_retry_after_beyond_the_budget_is_handed_to_the_caller_at_once(
    talkdesk: Any, connect: Any, ref: Any, manual_clock: Any
) -> None:
    talkdesk.answers = [httpx.Response(429, headers={"Retry-After": "3600"})]
    async with connect() as client:
        with pytest.raises(RateLimited) as caught:
            await client.installation(ref)
    assert caught.value.retry_after == 3600.0
    assert manual_clock.slept == []


async def test_a_token_request_is_repeated_each_time_with_a_new_assertion(
    talkdesk: Any, connect: Any, ref: Any, an_installation: httpx.Response
) -> None:
    talkdesk.answers = [an_installation]
    talkdesk.token_answers = [httpx.ReadTimeout("x"), httpx.Response(503), talkdesk.token("t")]
    async with connect() as client:
        await client.installation(ref)
    sent = [talkdesk.form(request)["client_assertion"] for request in talkdesk.token_asked]
    assert len(set(sent)) == 3


CHANGES = {
    "answer": lambda client, ref: client.answer(ref, "approve"),
    "rotate": lambda client, ref: client.rotate(ref),
    "acknowledge": lambda client, ref: client.acknowledge(ref),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
@pytest.mark.parametrize(
    ("failure", "kind", "unknown"),
    [
        *[(failure, TransportError, True) for failure in LOST],
        *[(failure, TransportError, False) for failure in NEVER_SENT],
        (httpx.Response(500), ServerError, True),
        (httpx.Response(503, headers={"Retry-After": "1"}), ServerError, True),
        (httpx.Response(429, headers={"Retry-After": "1"}), RateLimited, False),
        (httpx.Response(409), Conflict, False),
        (httpx.Response(307, headers={"Location": "https://api.talkdesk.example/x"}), UnexpectedAnswer, True),
    ],
)
async def test_a_change_is_sent_once_and_the_error_says_whether_it_may_have_happened(
    *,
    talkdesk: Any,
    connect: Any,
    ref: Any,
    manual_clock: Any,
    change: Any,
    failure: Any,
    kind: Any,
    unknown: bool,
) -> None:
    talkdesk.answers = [failure]
    async with connect() as client:
        with pytest.raises(kind) as caught:
            await change(client, ref)
    assert caught.value.outcome_unknown is unknown
    assert len(talkdesk.asked) == 1
    assert manual_clock.slept == []


@pytest.mark.parametrize("failure", [httpx.ReadTimeout("x"), httpx.Response(503)])
async def test_a_change_whose_token_could_not_be_had_has_certainly_not_happened(
    talkdesk: Any, connect: Any, ref: Any, failure: Any
) -> None:
    talkdesk.token_answers = [failure]
    async with connect() as client:
        with pytest.raises((TransportError, ServerError)) as caught:
            await client.answer(ref, "approve")
    assert not caught.value.outcome_unknown
    assert talkdesk.asked == []


async def test_the_success_of_a_change_that_cannot_be_read_leaves_its_outcome_unknown(
    talkdesk: Any, connect: Any, ref: Any
) -> None:
    talkdesk.answers = [httpx.Response(200, content=b"<html>")]
    async with connect() as client:
        with pytest.raises(UnexpectedAnswer) as caught:
            await client.answer(ref, "approve")
    assert caught.value.outcome_unknown
