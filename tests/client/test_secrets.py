"""Canaries: whatever goes wrong, no secret stands in an error, its traceback, a repr or a log."""

from __future__ import annotations

import itertools
import json
import traceback
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

import httpx
import pytest
from pydantic import SecretStr, ValidationError

from talkdesk_client import Credentials, TalkdeskError, UserToken

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

SECRET = "CANARY+secret/of the=client"
TOKEN = "CANARY-token.of-the_api"
CODE = "CANARY+code/of a user"
VERIFIER = "CANARY-verifier-that-is-long-enough-for-rfc-7636"
STATUSES = [302, 400, 401, 409, 429, 503]
FAILURES = [
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.ReadError,
    httpx.ReadTimeout,
    httpx.WriteError,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.LocalProtocolError,
    httpx.RemoteProtocolError,
    httpx.DecodingError,
    httpx.InvalidURL,
    httpx.StreamError,
    OSError,
    ValueError,
    RuntimeError,
]


def _error_bodies(echo: str) -> list[bytes]:
    """Every shape of error, each repeating what it should not; then what is no error body at all."""
    shapes: list[Any] = [
        {"code": echo, "message": echo, "fields": [{"name": echo, "description": echo}]},
        {"error": echo},
        {"error": echo, "error_description": echo},
        {"schemas": [], "status": "400", "detail": echo, "scimType": echo},
        {"error": {"code": echo, "message": echo}},
        {
            "id": echo,
            "access_token": [echo],
            "state": {"state": [echo]},
            "_embedded": {"users": [{"email": echo}]},
        },
        [echo],
    ]
    return [*(json.dumps(shape).encode() for shape in shapes), echo.encode(), b"{" + echo.encode()]


def _tracebacks(error: BaseException) -> Iterator[TracebackType]:
    """Frames of ``error`` and of all that it is chained to, shown or not."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        current = pending.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        frame = current.__traceback__
        while frame is not None:
            yield frame
            frame = frame.tb_next
        pending += [current.__cause__, current.__context__]


def _everything_said_by(error: BaseException, *, local_variables: bool = True) -> str:
    """str, repr, attributes, the formatted traceback, and the local variables of the client's own frames."""
    said = [str(error), repr(error), repr(vars(error)), *traceback.format_exception(error)]
    for frame in _tracebacks(error):
        if local_variables and "talkdesk_client" in frame.tb_frame.f_code.co_filename:
            said += [repr(value) for value in frame.tb_frame.f_locals.values()]
    return "\n".join(said)


class Canaries:
    """What must not be found: the secrets, part of the key, every assertion, every header that was sent."""

    def __init__(self, private_key: str, requests: list[httpx.Request], form: Any) -> None:
        middle = len(private_key) // 2
        self.words = {"CANARY", quote_plus(SECRET), private_key[middle : middle + 24]}
        for request in requests:
            sent = form(request)
            if assertion := sent.get("client_assertion"):
                self.words |= set(assertion.split(".")[1:])
            self.words |= {sent[name] for name in ("code", "code_verifier") if name in sent}
            if authorization := request.headers.get("Authorization"):
                self.words.add(authorization.split()[1])

    def found_in(self, text: str) -> list[str]:
        """Where they stand, with a little of what stands before."""
        return [text[max(0, text.index(word) - 200) :][:240] for word in self.words if word in text]


CALLS = {
    "read": lambda client, ref: client.installation(ref),
    "change": lambda client, ref: client.answer(ref, "reject", "a reason"),
}


@pytest.mark.parametrize("auth_method", ["private_key_jwt", "client_secret_basic"])
@pytest.mark.parametrize("at_token_endpoint", [False, True], ids=["api", "token endpoint"])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
async def test_no_error_path_shows_a_secret(
    *,
    talkdesk: Any,
    connect: Any,
    ref_with: Any,
    private_keys: Any,
    debug_logs: pytest.LogCaptureFixture,
    auth_method: str,
    at_token_endpoint: bool,
    call: Any,
) -> None:
    private_key = private_keys.base64("ES256")
    ref = ref_with(client_secret=SECRET, private_key=private_key)
    known = "" if at_token_endpoint else TOKEN
    echo = f"bad {SECRET} {known} {private_key} {quote_plus(SECRET)} Bearer {TOKEN}"
    answers: list[Any] = [
        httpx.Response(status, content=body)
        for status, body in itertools.product(STATUSES, _error_bodies(echo))
    ]
    answers += [httpx.Response(200, content=body) for body in _error_bodies(echo)]
    answers += [kind(echo) for kind in FAILURES]
    failed, said = 0, []
    for answer in answers:
        if at_token_endpoint:
            talkdesk.token_answers = [answer]
        else:
            talkdesk.token_answers, talkdesk.answers = [talkdesk.token(TOKEN)], [answer]
        async with connect(auth_method=auth_method, retry_attempts=2, no_trial_statuses=()) as client:
            try:
                await call(client, ref)
            except TalkdeskError as error:
                failed += 1
                # What the API answers to a read is data, not a secret; there it may pass through variables.
                data = not at_token_endpoint and error.status == 200
                said.append(_everything_said_by(error, local_variables=not data))
            said.append(repr(client) + repr(ref) + repr(vars(client._session)))
    said += [debug_logs.text, *(repr(vars(record)) for record in debug_logs.records)]

    canaries = Canaries(private_key, talkdesk.token_asked + talkdesk.asked, talkdesk.form)
    assert failed > len(answers) - 10  # a few are successes of the calls that do not look at the body
    assert len(canaries.words) > 3
    assert [found for text in said for found in canaries.found_in(text)] == []
    assert any("talkdesk_client" in record.name for record in debug_logs.records)
    assert any(record.name == "httpx" for record in debug_logs.records)


SIGN_ON = {
    "code": lambda client, ref: client.exchange_code(
        ref, code=SecretStr(CODE), redirect_uri="https://x/callback", code_verifier=SecretStr(VERIFIER)
    ),
    "userinfo": lambda client, ref: client.userinfo(ref, UserToken(access_token=SecretStr(TOKEN))),
}


@pytest.mark.parametrize("auth_method", ["private_key_jwt", "client_secret_basic"])
@pytest.mark.parametrize("step", SIGN_ON)
async def test_no_error_of_a_sign_on_shows_code_verifier_token_or_session(
    *,
    talkdesk: Any,
    connect: Any,
    ref_with: Any,
    private_keys: Any,
    debug_logs: pytest.LogCaptureFixture,
    auth_method: str,
    step: str,
) -> None:
    private_key = private_keys.base64("ES256")
    ref = ref_with(client_secret=SECRET, private_key=private_key)
    echo = f"bad {CODE} {VERIFIER} {TOKEN} {SECRET} {quote_plus(CODE)} {private_key}"
    if step == "code":  # what the endpoint does not know it cannot repeat
        echo = echo.replace(TOKEN, "")
    else:
        echo = echo.replace(CODE, "").replace(VERIFIER, "").replace(quote_plus(CODE), "")
    answers: list[Any] = [
        httpx.Response(status, content=body)
        for status, body in itertools.product(STATUSES, _error_bodies(echo))
    ]
    broken = {
        "token_type": "MAC",
        "access_token": TOKEN,
        "sid": TOKEN,
        "id_token": TOKEN,
        "refresh_token": TOKEN,
    }
    answers += [httpx.Response(200, json=broken), *(kind(echo) for kind in FAILURES)]
    said = []
    for answer in answers:
        talkdesk.token_answers, talkdesk.answers = [answer], [answer]
        async with connect(auth_method=auth_method, retry_attempts=2, pkce=True) as client:
            with pytest.raises(TalkdeskError) as caught:
                await SIGN_ON[step](client, ref)
            data = step == "userinfo" and caught.value.status == 200
            said.append(_everything_said_by(caught.value, local_variables=not data))
            said.append(repr(client) + repr(vars(client._session)))
    said += [debug_logs.text, *(repr(vars(record)) for record in debug_logs.records)]

    canaries = Canaries(private_key, talkdesk.token_asked + talkdesk.asked, talkdesk.form)
    assert [found for text in said for found in canaries.found_in(text)] == []
    assert len(talkdesk.token_asked if step == "code" else talkdesk.asked) >= len(answers)


async def test_what_a_code_was_exchanged_for_is_shown_nowhere(talkdesk: Any, connect: Any, ref: Any) -> None:
    talkdesk.token_answers = [talkdesk.token(TOKEN, sid=TOKEN, id_token=TOKEN, refresh_token=TOKEN)]
    async with connect() as client:
        token = await client.exchange_code(ref, code=SecretStr(CODE), redirect_uri="https://x/callback")
    assert token.sid is not None
    assert "CANARY" not in repr(token) + str(token) + token.model_dump_json() + repr(token.model_dump())


async def test_a_token_that_would_break_the_header_is_not_shown(
    talkdesk: Any, connect: Any, ref: Any
) -> None:
    for token in (f"{TOKEN}\r\nX: 1", f"{TOKEN} x", f"{TOKEN}ä", ""):
        talkdesk.token_answers = [httpx.Response(200, json={"access_token": token, "token_type": TOKEN})]
        async with connect() as client:
            with pytest.raises(TalkdeskError) as caught:
                await client.installation(ref)
        assert "CANARY" not in _everything_said_by(caught.value)


@pytest.mark.parametrize(
    "broken",
    [
        {"private_key": "CANARY"},
        {"private_key": "CANARY" * 30},
        {"private_key": "-----BEGIN PRIVATE KEY-----\nQ0FOQVJZ\n-----END PRIVATE KEY-----"},
        {"key_algorithm": "RS256"},
        {"key_id": None},
    ],
)
async def test_credentials_that_do_not_work_are_not_shown(
    talkdesk: Any, connect: Any, ref_with: Any, broken: Any
) -> None:
    ref = ref_with(**({"client_secret": SECRET} | broken))
    async with connect() as client:
        with pytest.raises(TalkdeskError) as caught:
            await client.installation(ref)
    said = _everything_said_by(caught.value)
    assert "CANARY" not in said
    assert "Q0FOQVJZ" not in said
    assert talkdesk.token_asked == []


@pytest.mark.parametrize(
    "parts",
    [
        {"client_id": ""},
        {"client_id": ["CANARY"]},
        {"client_secret": ["CANARY"]},
        {"private_key": {"CANARY": 1}},
        {"key_id": b"CANARY\xff"},
    ],
)
def test_credentials_that_are_refused_are_not_shown(parts: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        Credentials(**({"client_id": "c", "client_secret": SECRET, "private_key": "CANARY"} | parts))
    assert "CANARY" not in str(caught.value) + repr(caught.value)


def test_credentials_compare_by_their_secrets_and_never_show_them() -> None:
    one, same, other = (Credentials(client_id="c", client_secret=secret) for secret in (SECRET, SECRET, "x"))
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert "CANARY" not in repr(one) + str(one) + one.model_dump_json()
