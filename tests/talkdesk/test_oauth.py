"""The token endpoint is as strict as Talkdesk would be: raw requests, each wrong in one way."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec


def _claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512", "PS256", "PS384", "PS512"])
async def test_a_signed_assertion_gets_a_bearer_token_for_ten_minutes(desk: Any, algorithm: str) -> None:
    await desk.switch(key_algorithm=algorithm)
    partner = await desk.install()
    response = await partner.ask()
    assert response.status_code == 200
    body = response.json()
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 600)
    assert body["scope"].split() == desk.app["scopes"]
    assert (await partner.call(token=body["access_token"])).status_code == 200


async def test_basic_credentials_get_a_token_too_unless_switched_off(desk: Any) -> None:
    partner = await desk.install()
    auth = (partner.data["client_id"], partner.data["client_secret"])
    form = {"grant_type": "client_credentials", "scope": "apps:read"}
    response = await desk.http.post(partner.token_url, data=form, auth=auth)
    assert (response.status_code, response.json()["scope"]) == (200, "apps:read")
    wrong = await desk.http.post(partner.token_url, data=form, auth=(auth[0], "guess"))
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")
    await desk.switch(basic="refused")
    refused = await desk.http.post(partner.token_url, data=form, auth=auth)
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")


def _now() -> int:
    return int(time.time())


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        pytest.param(
            lambda _: {"aud": "https://acme.id.eu.talkdesk.localhost"}, "aud", id="aud-without-path"
        ),
        pytest.param(
            lambda _: {"aud": "https://acme.id.us.talkdesk.localhost/oauth/token"}, "aud", id="aud-us"
        ),
        pytest.param(lambda _: {"aud": None}, "aud", id="no-aud"),
        pytest.param(lambda _: {"exp": _now() + 400}, "exp", id="exp-too-late"),
        pytest.param(lambda _: {"iat": _now() - 400, "exp": _now() - 100}, "expired", id="expired"),
        pytest.param(lambda _: {"exp": None}, "exp", id="no-exp"),
        pytest.param(lambda _: {"exp": "tomorrow"}, "exp", id="exp-as-text"),
        pytest.param(lambda _: {"iat": None}, "iat", id="no-iat"),
        pytest.param(lambda _: {"iat": _now() + 120}, "iat", id="iat-in-the-future"),
        pytest.param(lambda _: {"nbf": _now() + 120}, "nbf", id="nbf-in-the-future"),
        pytest.param(lambda _: {"jti": None}, "jti", id="no-jti"),
        pytest.param(lambda _: {"sub": "somebody"}, "sub", id="sub-is-another"),
        pytest.param(lambda _: {"iss": "somebody"}, "iss", id="unknown-client"),
        pytest.param(lambda _: {"iss": None}, "iss", id="no-iss"),
        pytest.param(lambda _: {"header": {"kid": "another"}}, "kid", id="wrong-kid"),
        pytest.param(lambda _: {"header": {"alg": "ES384"}}, "alg", id="another-alg"),
        pytest.param(lambda _: {"header": {"alg": "none"}}, "alg", id="alg-none"),
        pytest.param(lambda _: {"header": {"crit": ["x"], "x": 1}}, "signature", id="unknown-crit"),
        pytest.param(
            lambda _: {"key": ec.generate_private_key(ec.SECP256R1())}, "signature", id="foreign-key"
        ),
    ],
)
async def test_an_assertion_that_is_wrong_in_one_way_is_refused(desk: Any, claims: Any, told: str) -> None:
    partner = await desk.install()
    response = await partner.ask(partner.assertion(**claims(None)))
    assert response.status_code == 401
    body = response.json()
    assert set(body) == {"error", "error_description"}
    assert body["error"] == "invalid_client"
    assert told in body["error_description"]


async def test_a_jti_is_good_once_and_only_for_its_own_client(desk: Any) -> None:
    partner = await desk.install()
    assertion = partner.assertion(jti="one")
    assert (await partner.ask(assertion)).status_code == 200
    again = await partner.ask(assertion)
    assert (again.status_code, again.json()["error"]) == (401, "invalid_client")
    assert "jti" in again.json()["error_description"]
    account, users = desk.new_account("umbrella", "eu")
    other = await desk.install(account=account, users=users)
    assert (await other.ask(other.assertion(jti="one"))).status_code == 200


async def test_a_little_clock_skew_is_forgiven(desk: Any) -> None:
    partner = await desk.install()
    ahead = _now() + 20
    assert (await partner.ask(partner.assertion(iat=ahead, exp=ahead + 300))).status_code == 200


@pytest.mark.parametrize(
    "text", ["", "abc", "a.b.c", "e30.e30.AAAA", "eyJhbGciOiJFUzI1NiJ9.W10.AAAA", "ä.b.c"]
)
async def test_what_is_no_jwt_is_refused_politely(desk: Any, text: str) -> None:
    partner = await desk.install()
    response = await desk.http.post(
        partner.token_url,
        data={
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": text,
        },
    )
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("fields", "status", "error"),
    [
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"client_assertion_type": "jwt"}, 400, "invalid_request"),
        ({"scope": "apps:read recordings:read"}, 400, "invalid_scope"),
        ({"scope": "apps:read,apps:write"}, 400, "invalid_scope"),
        ({"client_id": "another"}, 401, "invalid_client"),
    ],
)
async def test_a_request_that_is_wrong_beside_its_assertion_is_refused(
    desk: Any, fields: dict[str, str], status: int, error: str
) -> None:
    partner = await desk.install()
    response = await partner.ask(**fields)
    assert (response.status_code, response.json()["error"]) == (status, error)


async def test_a_body_that_is_no_form_and_a_client_that_proves_nothing_are_refused(desk: Any) -> None:
    partner = await desk.install()
    as_json = await desk.http.post(partner.token_url, json={"grant_type": "client_credentials"})
    assert (as_json.status_code, as_json.json()["error"]) == (400, "invalid_request")
    bare = await desk.http.post(partner.token_url, data={"grant_type": "client_credentials"})
    assert (bare.status_code, bare.json()["error"]) == (401, "invalid_client")
    twice = await desk.http.post(
        partner.token_url,
        content="grant_type=client_credentials&grant_type=client_credentials",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert (twice.status_code, twice.json()["error"]) == (400, "invalid_request")
    both = await desk.http.post(
        partner.token_url,
        data={"grant_type": "client_credentials", "client_assertion": partner.assertion()},
        auth=("a", "b"),
    )
    assert (both.status_code, both.json()["error"]) == (400, "invalid_request")


async def test_a_client_is_unknown_on_another_accounts_host(desk: Any) -> None:
    partner = await desk.install()
    desk.new_account("umbrella", "eu")
    elsewhere = "https://umbrella.id.eu.talkdesk.localhost/oauth/token"
    response = await desk.http.post(
        elsewhere,
        data={
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": partner.assertion(aud=elsewhere),
        },
    )
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
    nobody = await desk.http.post("https://nobody.id.eu.talkdesk.localhost/oauth/token", data={"a": "b"})
    assert nobody.status_code == 404


async def test_a_token_ends_after_its_ten_minutes(desk: Any) -> None:
    partner = await desk.install()
    token = await partner.token()
    await desk.advance(seconds=590)
    assert (await partner.call(token=token)).status_code == 200
    await desk.advance(seconds=20)
    expired = await partner.call(token=token)
    assert expired.status_code == 401
    assert set(expired.json()) == {"code", "message"}


async def test_scopes_spread_slowly_when_switched_so(desk: Any) -> None:
    await desk.switch(scope_delay_seconds=120)
    partner = await desk.install()
    early = await partner.ask()
    assert early.status_code == 401
    assert set(early.json()) == {"error", "error_description"}
    await desk.advance(seconds=121)
    assert (await partner.ask()).status_code == 200


async def test_the_key_set_verifies_the_access_token(desk: Any) -> None:
    partner = await desk.install()
    for path in ("/oauth/certs", "/oauth/2023-10/certs"):
        response = await desk.http.get(partner.token_url.replace("/oauth/token", path))
        (key,) = response.json()["keys"]
        assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("EC", "P-256", "ES256", "sig")
        assert "d" not in key
    claims = _claims(await partner.token())
    assert (claims["cid"], claims["aid"]) == (partner.data["client_id"], desk.account["id"])


async def test_two_uses_of_one_assertion_at_once_give_one_token(desk: Any) -> None:
    partner = await desk.install()
    assertion = partner.assertion()
    answers = await asyncio.gather(*(partner.ask(assertion) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401, 401]
