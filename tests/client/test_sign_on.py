"""Signing a user on: the link for the browser, the code that works once, and who the user is."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from talkdesk_client import (
    ForeignHost,
    Hosts,
    NoUser,
    RateLimited,
    ServerError,
    TalkdeskError,
    TokenRefused,
    TransportError,
    Unauthorized,
    UnexpectedAnswer,
    UnusableInput,
    UserToken,
    authorize_url,
    pkce_challenge,
)

HOSTS = Hosts(api="api.talkdeskapp.eu", identity="talkdeskid.eu")
LINK = "https://acme.talkdeskid.eu/oauth/authorize"
CALLBACK = "https://launch.example/_td/callback?x=1&y=ä b"
CODE = SecretStr("the-code")
#: RFC 7636, appendix B.
VERIFIER = SecretStr("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
WHO = {"id": "user-1", "sub": "user-1", "name": "Ada", "email": "ada@example.com"}


def _link(hosts: Hosts = HOSTS, link: str = LINK, **more: Any) -> str:
    asked = {"client_id": "client-1", "redirect_uri": CALLBACK, "state": "s/+ =&t", "nonce": "n"}
    return authorize_url(hosts, link, **({**asked, "scopes": ("openid", "apps:read")} | more))


def _query(url: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(url).query, strict_parsing=True)


def _token(value: str = "user-token") -> UserToken:
    return UserToken(access_token=SecretStr(value))


def test_the_link_asks_for_a_code_with_every_parameter_whole() -> None:
    url = _link()
    assert url.partition("?")[0] == LINK
    assert _query(url) == {
        "response_type": ["code"],
        "client_id": ["client-1"],
        "redirect_uri": [CALLBACK],
        "scope": ["openid apps:read"],
        "state": ["s/+ =&t"],
        "nonce": ["n"],
    }


def test_a_query_of_the_link_stays_but_cannot_stand_in_for_ours() -> None:
    query = _query(_link(link=f"{LINK}?tenant=7&redirect_uri=https://evil.example&state=a&state=b&scope=x"))
    assert query["tenant"] == ["7"]
    assert (query["redirect_uri"], query["state"], query["scope"]) == (
        [CALLBACK], ["s/+ =&t"], ["openid apps:read"],
    )  # fmt: skip


def test_without_scopes_none_is_named_and_without_a_challenge_there_is_no_pkce() -> None:
    assert not {"scope", "code_challenge", "code_challenge_method"} & set(_query(_link(scopes=())))


def test_a_challenge_is_made_as_rfc_7636_says_and_goes_into_the_link() -> None:
    assert pkce_challenge(VERIFIER) == CHALLENGE
    query = _query(_link(code_challenge=CHALLENGE))
    assert (query["code_challenge"], query["code_challenge_method"]) == ([CHALLENGE], ["S256"])


@pytest.mark.parametrize("verifier", ["", "x" * 42, "x" * 129, "x" * 43 + "+", "ä" * 43])
def test_a_verifier_that_is_none_is_refused_and_not_shown(verifier: str) -> None:
    with pytest.raises(UnusableInput) as caught:
        pkce_challenge(SecretStr(verifier))
    assert not verifier or verifier not in str(caught.value)


@pytest.mark.parametrize(
    "link",
    [
        "http://acme.talkdeskid.eu/oauth/authorize",
        "https://acme.talkdeskid.eu:8443/oauth/authorize",
        "https://talkdeskid.eu/oauth/authorize",
        "https://eviltalkdeskid.eu/oauth/authorize",
        "https://acme.talkdeskid.eu.evil.example/oauth/authorize",
        "https://acme.talkdeskid.eu@evil.example/oauth/authorize",
        "https://evil.example%2f.talkdeskid.eu/oauth/authorize",
        "https://evil.example%5c.talkdeskid.eu/oauth/authorize",
        "https://evil.example\\.talkdeskid.eu/oauth/authorize",
        "https://api.talkdeskapp.eu/oauth/authorize",
        "https://acme.talkdeskid.eu/oauth/authorize#x",
        "javascript://acme.talkdeskid.eu/%0aalert(1)",
        "//acme.talkdeskid.eu/oauth/authorize",
        "",
    ],
)
def test_a_browser_is_sent_to_the_identity_domain_over_https_alone(link: str) -> None:
    with pytest.raises(ForeignHost):
        _link(link=link)


def test_plain_http_and_any_port_are_for_tables_under_localhost_alone() -> None:
    local = Hosts(api="api.eu.talkdesk.localhost", identity="id.eu.talkdesk.localhost")
    sandbox = "http://acme.id.eu.talkdesk.localhost:40343/oauth/authorize"
    assert _link(local, sandbox).startswith(f"{sandbox}?")
    assert _link(local, "https://acme.id.eu.talkdesk.localhost/a").startswith("https://acme.id.eu.")
    assert _link(Hosts(api="a", identity="localhost"), "http://acme.localhost:1/a").startswith("http://acme.")
    for link in ("ftp://acme.id.eu.talkdesk.localhost/a", "http://acme.id.us.talkdesk.localhost:1/a", LINK):
        with pytest.raises(ForeignHost):
            _link(local, link)
    for looks_local in ("notlocalhost", "id.localhost.example"):
        with pytest.raises(ForeignHost):
            _link(Hosts(api="a", identity=looks_local), f"http://acme.{looks_local}/a")
    with pytest.raises(ForeignHost):  # the token link has no such exception
        local.identity_url("http://acme.id.eu.talkdesk.localhost:40343/oauth/token")


async def test_a_code_is_exchanged_with_the_clients_own_assertion(
    talkdesk: Any, connect: Any, ref: Any
) -> None:
    talkdesk.token_answers = [
        talkdesk.token("user-token", scope="openid", sid="session-1", id_token="a.b.c", refresh_token="r")
    ]
    async with connect() as client:
        token = await client.exchange_code(ref, code=CODE, redirect_uri=CALLBACK)
    (request,) = talkdesk.token_asked
    assert request.method == "POST"
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    form = talkdesk.form(request)
    assert form.pop("client_assertion").count(".") == 2
    assert form == {
        "grant_type": "authorization_code",
        "code": "the-code",
        "redirect_uri": CALLBACK,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }
    assert token.access_token.get_secret_value() == "user-token"
    assert (token.expires_in, token.scope) == (600, ("openid",))
    secret = [token.sid, token.id_token, token.refresh_token]
    assert [one.get_secret_value() for one in secret if one is not None] == ["session-1", "a.b.c", "r"]
    assert not [word for word in ("user-token", "session-1", "a.b.c") if word in repr(token) + str(token)]


async def test_a_code_is_exchanged_by_basic_where_the_options_say_so(
    talkdesk: Any, connect: Any, ref: Any
) -> None:
    async with connect(auth_method="client_secret_basic") as client:
        await client.exchange_code(ref, code=CODE, redirect_uri=CALLBACK)
    (request,) = talkdesk.token_asked
    assert request.headers["Authorization"].startswith("Basic ")
    assert set(talkdesk.form(request)) == {"grant_type", "code", "redirect_uri"}


@pytest.mark.parametrize(
    ("answer", "error", "unknown"),
    [
        (httpx.Response(400, json={"error": "invalid_grant"}), TokenRefused, False),
        (httpx.Response(401, json={"error": "invalid_client"}), TokenRefused, False),
        (httpx.Response(404), TokenRefused, False),
        (httpx.Response(429, headers={"Retry-After": "1"}), RateLimited, False),
        (httpx.Response(503), ServerError, True),
        (httpx.ReadError("cut"), TransportError, True),
        (httpx.ConnectError("refused"), TransportError, False),
        (httpx.Response(302, headers={"Location": "https://evil.example"}), UnexpectedAnswer, True),
        (httpx.Response(200, json={"token_type": "Bearer"}), UnexpectedAnswer, True),
        (httpx.Response(200, json={"access_token": "a", "token_type": "MAC"}), UnexpectedAnswer, True),
        (httpx.Response(200, content=b"<html>"), UnexpectedAnswer, True),
    ],
)
async def test_a_code_is_sent_once_whatever_comes_back(
    *, talkdesk: Any, connect: Any, ref: Any, answer: Any, error: type[TalkdeskError], unknown: bool
) -> None:
    talkdesk.token_answers = [answer]
    async with connect() as client:
        with pytest.raises(error) as caught:
            await client.exchange_code(ref, code=CODE, redirect_uri=CALLBACK)
    assert type(caught.value) is error
    assert caught.value.outcome_unknown is unknown
    assert len(talkdesk.token_asked) == 1


async def test_a_verifier_goes_with_the_code_where_pkce_is_on_and_nowhere_else(
    talkdesk: Any, connect: Any, ref: Any
) -> None:
    async with connect(pkce=True) as client:
        await client.exchange_code(ref, code=CODE, redirect_uri=CALLBACK, code_verifier=VERIFIER)
        assert talkdesk.form(talkdesk.token_asked[0])["code_verifier"] == VERIFIER.get_secret_value()
        with pytest.raises(UnusableInput):
            await client.exchange_code(ref, code=CODE, redirect_uri=CALLBACK)
    async with connect() as client:
        with pytest.raises(UnusableInput):
            await client.exchange_code(ref, code=CODE, redirect_uri=CALLBACK, code_verifier=VERIFIER)
    assert len(talkdesk.token_asked) == 1


@pytest.mark.parametrize(
    "body",
    [
        WHO,
        {**WHO, "sub": "another name for it"},
        {name: value for name, value in WHO.items() if name != "id"},
        {**WHO, "id": None},
        {**WHO, "id": ""},
    ],
)
async def test_the_user_is_known_by_id_or_else_by_sub(
    talkdesk: Any, connect: Any, ref: Any, body: dict[str, Any]
) -> None:
    talkdesk.answers = [httpx.Response(200, json=body)]
    async with connect() as client:
        who = await client.userinfo(ref, _token())
    assert (who.id, who.name, who.email) == ("user-1", "Ada", "ada@example.com")
    assert str(talkdesk.asked[0].url) == "https://api.talkdesk.example/users/me"
    assert (talkdesk.bearers, talkdesk.token_asked) == (["user-token"], [])


@pytest.mark.parametrize("body", [{}, {"name": "Ada"}, {"id": ["user-1"]}, [], "Ada", {"sub": None}])
async def test_a_userinfo_that_names_nobody_is_unexpected(
    talkdesk: Any, connect: Any, ref: Any, body: Any
) -> None:
    talkdesk.answers = [httpx.Response(200, json=body)]
    async with connect() as client:
        with pytest.raises(UnexpectedAnswer):
            await client.userinfo(ref, _token())


async def test_a_token_without_a_user_has_an_error_of_its_own(talkdesk: Any, connect: Any, ref: Any) -> None:
    talkdesk.answers = [httpx.Response(400, json={"code": "bad_request", "message": "no user"})]
    async with connect() as client:
        with pytest.raises(NoUser, match="no user") as caught:
            await client.userinfo(ref, _token())
    assert (caught.value.status, caught.value.code, caught.value.transient) == (400, "bad_request", False)


async def test_an_expired_user_token_is_not_replaced_by_the_clients_own(
    talkdesk: Any, connect: Any, ref: Any
) -> None:
    talkdesk.answers = [httpx.Response(401, json={"code": "unauthorized", "message": "expired"})]
    async with connect() as client:
        with pytest.raises(Unauthorized):
            await client.userinfo(ref, _token())
    assert (len(talkdesk.asked), talkdesk.token_asked) == (1, [])


async def test_userinfo_is_asked_again_while_talkdesk_stumbles(talkdesk: Any, connect: Any, ref: Any) -> None:
    talkdesk.answers = [httpx.Response(503), httpx.ReadError("cut"), httpx.Response(200, json=WHO)]
    async with connect() as client:
        assert (await client.userinfo(ref, _token())).id == "user-1"


async def test_nothing_is_sent_to_hosts_that_are_not_of_the_table(
    talkdesk: Any, connect: Any, ref_with: Any
) -> None:
    async with connect() as client:
        with pytest.raises(ForeignHost):
            await client.exchange_code(
                ref_with(token_url="https://evil.example/oauth/token"), code=CODE, redirect_uri=CALLBACK
            )
        with pytest.raises(ForeignHost):
            await client.userinfo(ref_with(root="https://evil.example"), _token())
        with pytest.raises(ForeignHost):
            await client.scim_roles(ref_with(root="https://evil.example"))
    assert (talkdesk.asked, talkdesk.token_asked) == ([], [])
