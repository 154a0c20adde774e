"""Tokens: the right one, fetched once, renewed in time, never another installation's."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.jwk import ECKey

from talkdesk_client import (
    TokenRefused,
    TransportError,
    Unauthorized,
    UnexpectedAnswer,
    UnusableCredentials,
)
from talkdesk_client.tokens import Token, TokenCache, TokenKey


@pytest.fixture(autouse=True)
def _answers(talkdesk: Any, an_installation: httpx.Response) -> None:
    talkdesk.answers = [an_installation]


async def test_a_token_is_asked_for_with_a_signed_assertion(
    talkdesk: Any, connect: Any, ref: Any, private_keys: Any, manual_clock: Any
) -> None:
    async with connect() as client:
        await client.installation(ref)
    (request,) = talkdesk.token_asked
    form = talkdesk.form(request)
    assertion = form.pop("client_assertion")
    assert form == {
        "grant_type": "client_credentials",
        "scope": "apps:read",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }
    assert "Authorization" not in request.headers
    public = ECKey.import_key(private_keys["ES256"].public_key())
    decoded = jwt.decode(assertion, public, algorithms=["ES256"])
    assert decoded.header["kid"] == "key-1"
    assert decoded.claims["aud"] == ref.token_url
    # Half a minute back: Talkdesk's clock may be behind ours.
    assert decoded.claims["iat"] == int(manual_clock.epoch + manual_clock.seconds) - 30


async def test_the_audience_may_be_set_to_the_origin(
    talkdesk: Any, connect: Any, ref: Any, private_keys: Any
) -> None:
    async with connect(assertion_audience="origin") as client:
        await client.installation(ref)
    assertion = talkdesk.form(talkdesk.token_asked[0])["client_assertion"]
    public = ECKey.import_key(private_keys["ES256"].public_key())
    assert (
        jwt.decode(assertion, public, algorithms=["ES256"]).claims["aud"]
        == "https://acme.id.talkdesk.example"
    )


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [("plain", "client-1:s+e/c r%t:ü"), ("form", "client-1:s%2Be%2Fc+r%25t%3A%C3%BC")],
)
async def test_basic_sends_id_and_secret_in_the_header_and_nothing_in_the_body(
    talkdesk: Any, connect: Any, ref_with: Any, encoding: str, expected: str
) -> None:
    async with connect(auth_method="client_secret_basic", basic_encoding=encoding) as client:
        await client.installation(ref_with(client_secret="s+e/c r%t:ü", private_key=None))
    (request,) = talkdesk.token_asked
    kind, _, value = request.headers["Authorization"].partition(" ")
    assert kind == "Basic"
    assert base64.b64decode(value).decode() == expected
    assert talkdesk.form(request) == {"grant_type": "client_credentials", "scope": "apps:read"}


async def test_each_scope_has_a_token_of_its_own_and_each_is_fetched_once(
    talkdesk: Any, connect: Any, ref: Any
) -> None:
    account = httpx.Response(200, json={"id": "account-1"})
    state = httpx.Response(200, json={"state": "completed"})
    talkdesk.answers = [talkdesk.answers[0], account, state, talkdesk.answers[0], account, state]
    async with connect() as client:
        for _ in range(2):
            await client.installation(ref)
            await client.account(ref)
            await client.answer(ref, "approve")
    assert talkdesk.scopes == ["apps:read", "account:read", "apps:write"]
    assert talkdesk.bearers == ["token-1", "token-2", "token-3"] * 2


async def test_an_empty_scope_setting_names_none_and_one_token_serves_all(
    talkdesk: Any, connect: Any, ref: Any
) -> None:
    async with connect(apps_read_scope="", account_read_scope="") as client:
        await client.installation(ref)
        await client.account(ref)
    assert talkdesk.scopes == [None]


@pytest.mark.parametrize(
    ("expires_in", "kept_for"),
    [(600, 540), ("1800", 1740), (60, 30), (None, 540), ("soon", 540), (10**12, 86340)],
)
async def test_a_token_is_used_until_shortly_before_it_expires(
    *, talkdesk: Any, connect: Any, ref: Any, manual_clock: Any, expires_in: Any, kept_for: float
) -> None:
    talkdesk.token_answers = [
        lambda _: talkdesk.token(f"t{len(talkdesk.token_asked)}", expires_in=expires_in)
    ]
    async with connect() as client:
        began = manual_clock.seconds
        await client.installation(ref)
        manual_clock.seconds = began + kept_for - 0.5
        await client.installation(ref)
        manual_clock.seconds = began + kept_for + 0.5
        await client.installation(ref)
    assert talkdesk.bearers == ["t1", "t1", "t2"]


async def test_the_life_of_a_token_counts_from_when_it_was_asked_for(
    talkdesk: Any, connect: Any, ref: Any, manual_clock: Any
) -> None:
    def slowly(_: httpx.Request) -> httpx.Response:
        manual_clock.seconds += 10
        return talkdesk.token(f"t{len(talkdesk.token_asked)}", expires_in=100)

    talkdesk.token_answers = [slowly]
    async with connect(token_renew_before=50) as client:
        await client.installation(ref)
        manual_clock.seconds += 45
        await client.installation(ref)
    assert talkdesk.bearers == ["t1", "t2"]


@pytest.mark.parametrize("expires_in", [0, -5])
async def test_a_token_without_a_life_is_used_once(
    talkdesk: Any, connect: Any, ref: Any, expires_in: int
) -> None:
    talkdesk.token_answers = [
        lambda _: talkdesk.token(f"t{len(talkdesk.token_asked)}", expires_in=expires_in)
    ]
    async with connect() as client:
        await client.installation(ref)
        await client.installation(ref)
    assert talkdesk.bearers == ["t1", "t2"]


async def test_a_token_with_fewer_scopes_than_asked_for_is_not_kept(
    talkdesk: Any, connect: Any, ref: Any
) -> None:
    granted = iter(["account:read", "account:read apps:read", "apps:read"])
    talkdesk.token_answers = [lambda _: talkdesk.token(f"t{len(talkdesk.token_asked)}", scope=next(granted))]
    async with connect() as client:
        for _ in range(3):
            await client.installation(ref)
    assert talkdesk.bearers == ["t1", "t2", "t2"]


async def test_new_credentials_never_meet_the_old_ones_token(
    talkdesk: Any, connect: Any, ref_with: Any, private_keys: Any
) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    new_key = type(private_keys)({"ES256": other}).base64("ES256")
    async with connect() as client:
        for changed in (
            {},
            {"client_id": "client-2"},
            {"private_key": new_key},
            {"installation_id": "installation-1"},
        ):
            await client.installation(ref_with(**changed))
    assert talkdesk.bearers == ["token-1", "token-2", "token-3", "token-1"]


async def test_two_installations_with_equal_ids_in_two_apps_share_no_token(
    talkdesk: Any, connect: Any, ref_with: Any
) -> None:
    async with connect() as client:
        await client.installation(ref_with(app_id="app-1"))
        await client.installation(ref_with(app_id="app-2"))
    assert talkdesk.bearers == ["token-1", "token-2"]


async def test_many_callers_at_once_cause_one_token_request(talkdesk: Any, connect: Any, ref: Any) -> None:
    release = asyncio.Event()

    async def held(_: httpx.Request) -> httpx.Response:
        await release.wait()
        return talkdesk.token("t")

    talkdesk.token_answers = [held]
    async with connect() as client:
        calls = [asyncio.create_task(client.installation(ref)) for _ in range(20)]
        await _until(lambda: talkdesk.token_asked)
        release.set()
        await asyncio.gather(*calls)
    assert len(talkdesk.token_asked) == 1
    assert talkdesk.bearers == ["t"] * 20


async def test_a_failed_fetch_fails_all_who_wait_and_the_next_caller_tries_anew(
    talkdesk: Any, connect: Any, ref: Any
) -> None:
    talkdesk.token_answers = [httpx.Response(401, json={"error": "invalid_client"}), talkdesk.token("good")]
    async with connect() as client:
        results = await asyncio.gather(*(client.installation(ref) for _ in range(3)), return_exceptions=True)
        assert [type(result) for result in results] == [TokenRefused] * 3
        await client.installation(ref)
    assert len(talkdesk.token_asked) == 2


async def test_a_401_is_met_with_a_new_token_once(
    talkdesk: Any, connect: Any, ref: Any, an_installation: httpx.Response
) -> None:
    talkdesk.answers = [httpx.Response(401), an_installation]
    async with connect() as client:
        await client.installation(ref)
    assert talkdesk.bearers == ["token-1", "token-2"]

    talkdesk.answers = [httpx.Response(401)]
    async with connect() as client:
        with pytest.raises(Unauthorized):
            await client.installation(ref)
    assert talkdesk.bearers == ["token-1", "token-2", "token-3", "token-4"]


async def test_a_change_refused_with_401_is_sent_again_with_a_new_token(
    talkdesk: Any, connect: Any, ref: Any
) -> None:
    talkdesk.answers = [httpx.Response(401), httpx.Response(200, json={"state": "completed"})]
    async with connect() as client:
        assert (await client.answer(ref, "approve")).state == "completed"
    assert [request.content for request in talkdesk.asked] == [b'{"state":"approve"}'] * 2
    assert talkdesk.scopes == ["apps:write", "apps:write"]


async def test_several_401s_at_once_renew_the_token_once(
    talkdesk: Any, connect: Any, ref: Any, an_installation: httpx.Response
) -> None:
    def only_the_second(request: httpx.Request) -> httpx.Response:
        fresh = request.headers["Authorization"] == "Bearer token-2"
        return httpx.Response(200, content=an_installation.content) if fresh else httpx.Response(401)

    talkdesk.answers = [only_the_second]
    async with connect() as client:
        await asyncio.gather(*(client.installation(ref) for _ in range(8)))
    assert len(talkdesk.token_asked) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 415])
async def test_the_token_endpoints_refusal_is_never_mistaken_for_the_apis(
    talkdesk: Any, connect: Any, ref: Any, status: int
) -> None:
    talkdesk.token_answers = [
        httpx.Response(status, json={"error": "invalid_scope", "error_description": "not yet"})
    ]
    async with connect() as client:
        for call in (client.installation, client.trial, client.users):
            with pytest.raises(TokenRefused, match="not yet") as caught:
                await call(ref)
            assert (caught.value.status, caught.value.code) == (status, "invalid_scope")
    assert talkdesk.asked == []
    assert len(talkdesk.token_asked) == 3


BAD_TOKEN_ANSWERS = {
    "no JSON": b"<html>",
    "no object": b"[]",
    "no token": b'{"token_type":"Bearer"}',
    "null token": b'{"access_token":null}',
    "empty token": b'{"access_token":""}',
    "line break in it": b'{"access_token":"a\\r\\nX-Evil: 1"}',
    "blank in it": b'{"access_token":"a b"}',
    "not ASCII": '{"access_token":"ä"}'.encode(),
    "another type": b'{"access_token":"a","token_type":"mac"}',
}


@pytest.mark.parametrize("body", BAD_TOKEN_ANSWERS.values(), ids=BAD_TOKEN_ANSWERS.keys())
async def test_a_token_answer_that_holds_no_usable_token_is_refused(
    talkdesk: Any, connect: Any, ref: Any, body: bytes
) -> None:
    talkdesk.token_answers = [httpx.Response(200, content=body)]
    async with connect() as client:
        with pytest.raises(UnexpectedAnswer) as caught:
            await client.answer(ref, "approve")
    assert not caught.value.outcome_unknown or caught.value.url != ref.root
    assert talkdesk.asked == []


async def test_credentials_that_lack_what_is_needed_send_nothing(
    talkdesk: Any, connect: Any, ref_with: Any
) -> None:
    async with connect() as client:
        with pytest.raises(UnusableCredentials, match="private_key"):
            await client.installation(ref_with(private_key=None))
    async with connect(auth_method="client_secret_basic") as client:
        with pytest.raises(UnusableCredentials, match="client_secret"):
            await client.installation(ref_with(client_secret=None))
    assert talkdesk.token_asked == []


class Fetches:
    """A fetch the test holds in its hand."""

    def __init__(self) -> None:
        self.begun = 0
        self.ended: list[str] = []
        self.release = asyncio.Event()

    async def __call__(self, _: TokenKey) -> Token:
        self.begun += 1
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise
        self.ended.append("done")
        return Token(value=f"t{self.begun}", renew_at=1e9)  # type: ignore[arg-type] # compared only


async def _until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 # what is waited for knows of no event
            await asyncio.sleep(0)


async def test_a_cancelled_caller_leaves_the_fetch_to_the_others(ref: Any) -> None:
    fetches = Fetches()
    cache = TokenCache(fetches, monotonic=lambda: 0.0)
    key = TokenKey(ref=ref, scope="s")
    first, second = (asyncio.create_task(cache.get(key)) for _ in range(2))
    await _until(lambda: fetches.begun)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert first.cancelled()
    fetches.release.set()
    assert (await second).value == "t1"
    assert (fetches.begun, fetches.ended) == (1, ["done"])


async def test_the_last_cancelled_caller_ends_the_fetch_and_the_next_begins_a_new_one(ref: Any) -> None:
    fetches = Fetches()
    cache = TokenCache(fetches, monotonic=lambda: 0.0)
    key = TokenKey(ref=ref, scope="s")
    callers = [asyncio.create_task(cache.get(key)) for _ in range(2)]
    await _until(lambda: fetches.begun)
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    later = asyncio.create_task(cache.get(key))
    await _until(lambda: fetches.begun == 2)
    fetches.release.set()
    assert (await later).value == "t2"
    assert fetches.ended == ["cancelled", "done"]


async def test_closing_ends_fetches_and_tells_who_waits(ref: Any) -> None:
    fetches = Fetches()
    cache = TokenCache(fetches, monotonic=lambda: 0.0)
    caller = asyncio.create_task(cache.get(TokenKey(ref=ref, scope="s")))
    await _until(lambda: fetches.begun)
    await cache.aclose()
    with pytest.raises(TransportError, match="closed"):
        await caller
    assert fetches.ended == ["cancelled"]


async def test_expired_tokens_do_not_pile_up(ref_with: Any) -> None:
    now = 0.0

    async def fetch(_: TokenKey) -> Token:
        return Token(value="t", renew_at=now + 10)  # type: ignore[arg-type] # compared only

    cache = TokenCache(fetch, monotonic=lambda: now)
    ref = ref_with()
    for number in range(5000):
        now += 1
        await cache.get(TokenKey(ref=ref, scope=str(number)))
    assert len(cache._tokens) <= 1024
