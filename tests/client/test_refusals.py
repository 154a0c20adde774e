"""Four shapes of error bodies and every status: one tree of exceptions."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from talkdesk_client import (
    BadRequest,
    Conflict,
    FieldProblem,
    Forbidden,
    NotFound,
    RateLimited,
    ServerError,
    TalkdeskError,
    Unauthorized,
    UnexpectedAnswer,
)
from talkdesk_client.refusals import Blot, problem_of

SHAPES: dict[str, tuple[Any, str | None, str]] = {
    "common": ({"code": "0140", "message": "no such thing", "fields": []}, "0140", "no such thing"),
    "common with description": ({"code": 140, "description": "why"}, "140", "why"),
    "apps": ({"error": "installation not found"}, "installation not found", "installation not found"),
    "oauth": ({"error": "invalid_scope", "error_description": "not granted"}, "invalid_scope", "not granted"),
    "scim": ({"schemas": [], "status": "404", "detail": "gone", "scimType": "noTarget"}, "noTarget", "gone"),
    "nested": ({"error": {"code": "x", "message": "deep"}}, "x", "deep"),
    "empty object": ({}, None, "no explanation"),
    "array": ([1], None, "no explanation"),
    "string": ("oh no", None, "no explanation"),
    "null": (None, None, "no explanation"),
    "odd types": ({"code": {}, "message": [], "fields": "x"}, None, "no explanation"),
}
STATUSES = {
    400: BadRequest,
    401: Unauthorized,
    402: BadRequest,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: BadRequest,
    418: BadRequest,
    422: BadRequest,
    429: RateLimited,
    500: ServerError,
    502: ServerError,
    503: ServerError,
    504: ServerError,
    599: ServerError,
    300: UnexpectedAnswer,
    302: UnexpectedAnswer,
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize(("status", "kind"), STATUSES.items())
async def test_the_status_decides_the_kind_and_the_body_adds_words(
    *, talkdesk: Any, connect: Any, ref: Any, shape: Any, status: int, kind: type[TalkdeskError]
) -> None:
    body, code, words = shape
    talkdesk.answers = [httpx.Response(status, json=body)]
    async with connect(retry_attempts=1) as client:
        with pytest.raises(TalkdeskError) as caught:
            await client.installation(ref)
    error = caught.value
    assert type(error) is kind
    assert (error.status, error.code) == (status, code)
    assert (error.method, error.url) == (
        "GET",
        "https://api.talkdesk.example/apps/app-1/installations/installation-1",
    )
    assert (words if status >= 400 else "redirect") in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    "body", [b"", b"<html>oops</html>", b"\xff\xfe", b"[" * 100_000, b"{}}", b"1" * 5000]
)
async def test_a_body_that_cannot_be_read_leaves_the_status(
    talkdesk: Any, connect: Any, ref: Any, body: bytes
) -> None:
    talkdesk.answers = [httpx.Response(403, content=body)]
    async with connect() as client:
        with pytest.raises(Forbidden, match="403 Forbidden: no explanation"):
            await client.installation(ref)


async def test_complaints_about_fields_are_kept(talkdesk: Any, connect: Any, ref: Any) -> None:
    fields = [
        {"name": "state", "description": "not allowed"},
        {"description": "unnamed"},
        "odd",
        {"name": "x"},
    ]
    talkdesk.answers = [httpx.Response(400, json={"code": "1", "message": "m", "fields": fields})]
    async with connect() as client:
        with pytest.raises(BadRequest, match="state: not allowed") as caught:
            await client.answer(ref, "approve")
    assert caught.value.fields == (
        FieldProblem("state", "not allowed"),
        FieldProblem("?", "unnamed"),
        FieldProblem("x", ""),
    )


@pytest.mark.parametrize("status", [409, 422])
async def test_an_answer_that_comes_too_late_is_a_conflict_by_whichever_status(
    talkdesk: Any, connect: Any, ref: Any, status: int
) -> None:
    talkdesk.answers = [httpx.Response(status, json={"error": "nothing pending"})]
    async with connect() as client:
        with pytest.raises(Conflict, match="nothing pending"):
            await client.answer(ref, "approve")
    async with connect(answer_conflict_statuses="410") as client:
        with pytest.raises(Conflict if status == 409 else BadRequest):
            await client.answer(ref, "approve")


@pytest.mark.parametrize("kind", [RateLimited, ServerError])
def test_what_passes_is_marked_transient(kind: type[TalkdeskError]) -> None:
    assert kind("x").transient
    assert not Forbidden("x").transient


async def test_a_redirect_is_not_followed_not_even_to_talkdesk(talkdesk: Any, connect: Any, ref: Any) -> None:
    for target in ("https://evil.example/", "https://api.talkdesk.example/elsewhere", "/elsewhere"):
        talkdesk.answers = [httpx.Response(302, headers={"Location": target})]
        async with connect() as client:
            with pytest.raises(UnexpectedAnswer, match="redirect"):
                await client.installation(ref)
    assert {request.url.path for request in talkdesk.asked} == {"/apps/app-1/installations/installation-1"}


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["error", "error_description", "code", "message", "fields", "detail", "name"]),
            inner,
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_no_error_body_is_too_odd_to_be_read(value: Any) -> None:
    problem = problem_of(json.dumps(value).encode())
    assert problem.code is None or isinstance(problem.code, str)
    assert problem.words is None or isinstance(problem.words, str)


@given(
    st.text(max_size=400),
    st.text(min_size=6, max_size=40, alphabet="abcdefgh+/=%&\n "),
    st.text(max_size=400),
)
def test_words_become_one_bounded_line_without_the_secret(before: str, secret: str, after: str) -> None:
    words = Blot([SecretStr(secret)])(f"{before}{secret}{after}")
    assert secret not in words
    assert len(words) <= 300
    assert words.isprintable()


@pytest.mark.parametrize(
    "looks",
    [
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJjIn0.c2lnbmF0dXJl",
        "Authorization: Bearer abcdefghijkl",
        "basic Y2xpZW50OnNlY3JldA==",
        "-----BEGIN PRIVATE KEY-----\nMIGH",
        "A" * 64,
    ],
)
def test_what_looks_like_a_credential_is_blotted_out_whoever_it_belongs_to(looks: str) -> None:
    words = Blot([])(f"rejected: {looks} at once")
    assert looks.rsplit(maxsplit=1)[-1] not in words
    assert "[secret]" in words
