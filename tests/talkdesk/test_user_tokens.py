"""Codes and what they are exchanged for: each wrong request is refused, and a right one works once."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

#: RFC 7636, appendix B.
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


async def _signed_in(desk: Any, user: int = 0) -> Any:
    partner = await desk.install()
    await desk.sign_in(desk.users[user])
    return partner


def _invalid_grant(response: Any, told: str) -> None:
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
    assert told in response.json()["error_description"]


async def test_a_code_gets_a_users_token_and_what_belongs_to_it(desk: Any) -> None:
    partner = await _signed_in(desk)
    response = await partner.redeem(await partner.code(scope="openid refresh_token", nonce="the nonce"))
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    body = response.json()
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 600, "openid refresh_token")
    assert {"access_token", "sid", "id_token", "refresh_token"} <= set(body)
    who = await partner.call("/users/me", token=body["access_token"], root=partner.root)
    user = desk.talkdesk.users[desk.users[0]]
    assert who.json() == {
        "id": user.id,
        "sub": user.id,
        "name": user.name,
        "email": user.email,
        "_links": {"self": {"href": f"{partner.root}/users/me"}},
    }


async def test_the_id_token_is_signed_by_a_published_key_and_made_for_this_client(desk: Any) -> None:
    partner = await _signed_in(desk)
    body = (await partner.redeem(await partner.code(nonce="the nonce"))).json()
    head, payload, signature = body["id_token"].split(".")
    (key,) = (await desk.http.get(f"{partner.identity}/oauth/certs")).json()["keys"]
    header, claims = json.loads(_bytes(head)), json.loads(_bytes(payload))
    assert (header["alg"], header["kid"]) == ("ES256", key["kid"])
    numbers = ec.EllipticCurvePublicNumbers(
        int.from_bytes(_bytes(key["x"])), int.from_bytes(_bytes(key["y"])), ec.SECP256R1()
    )
    raw = _bytes(signature)
    der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    numbers.public_key().verify(der, f"{head}.{payload}".encode(), ec.ECDSA(hashes.SHA256()))
    assert (claims["iss"], claims["aud"], claims["sub"]) == (
        partner.identity, partner.data["client_id"], desk.users[0],
    )  # fmt: skip
    assert (claims["nonce"], claims["sid"]) == ("the nonce", body["sid"])
    assert claims["exp"] - claims["iat"] == 600


async def test_only_what_was_asked_for_comes(desk: Any) -> None:
    partner = await _signed_in(desk)
    body = (await partner.redeem(await partner.code(scope="apps:read"))).json()
    assert set(body) == {"access_token", "token_type", "expires_in", "scope", "sid"}
    refused = await partner.call("/users/me", token=body["access_token"], root=partner.root)
    assert refused.status_code == 403
    everything = (await partner.redeem(await partner.code(scope=None))).json()
    assert everything["scope"].split() == desk.app["scopes"]


async def test_the_session_at_talkdesk_is_the_same_for_all_codes_until_the_user_changes(desk: Any) -> None:
    partner = await _signed_in(desk)
    first, second = [(await partner.redeem(await partner.code())).json()["sid"] for _ in range(2)]
    await desk.sign_in(desk.users[0])
    third = (await partner.redeem(await partner.code())).json()["sid"]
    assert first == second
    assert third != first


async def test_a_code_is_good_once(desk: Any) -> None:
    partner = await _signed_in(desk)
    code = await partner.code()
    assert (await partner.redeem(code)).status_code == 200
    _invalid_grant(await partner.redeem(code), "used before")


async def test_of_many_uses_at_once_one_succeeds(desk: Any) -> None:
    partner = await _signed_in(desk)
    code = await partner.code()
    answers = await asyncio.gather(*(partner.redeem(code) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400, 400]


async def test_a_code_lives_for_a_minute(desk: Any) -> None:
    partner = await _signed_in(desk)
    young, old = await partner.code(), await partner.code()
    await desk.advance(seconds=55)
    assert (await partner.redeem(young)).status_code == 200
    await desk.advance(seconds=10)
    _invalid_grant(await partner.redeem(old), "expired")


async def test_another_client_cannot_use_a_code_and_does_not_spoil_it(desk: Any) -> None:
    partner = await _signed_in(desk)
    other_app = (await desk.post("/control/apps", {"name": "O", "events_url": desk.receiver.url}))["id"]
    await desk.post(
        "/control/install",
        {"app_id": other_app, "account_id": desk.account["id"], "users": desk.users[:1]},
    )
    await desk.settle()
    other = type(partner)(desk, desk.receiver.events("app.installed")[-1])
    assert other.data["client_id"] != partner.data["client_id"]
    code = await partner.code()
    _invalid_grant(await other.redeem(code), "another client")
    assert (await partner.redeem(code)).status_code == 200


async def test_a_code_is_bound_to_its_redirect_uri_and_spent_by_a_wrong_one(desk: Any) -> None:
    partner = await _signed_in(desk)
    code = await partner.code()
    other = "https://app.example/callback?tenant=1"  # registered, but not the one
    _invalid_grant(await partner.redeem(code, redirect_uri=other), "redirect_uri")
    _invalid_grant(await partner.redeem(code), "used before")


@pytest.mark.parametrize("field", ["code", "redirect_uri"])
async def test_a_request_without_a_code_or_its_redirect_uri_is_no_request(desk: Any, field: str) -> None:
    partner = await _signed_in(desk)
    asked = {"code": await partner.code(), "redirect_uri": "https://app.example/callback"} | {field: ""}
    response = await partner.ask(grant_type="authorization_code", **asked)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")
    assert field in response.json()["error_description"]


async def test_a_client_that_proves_nothing_gets_nothing_for_a_code(desk: Any) -> None:
    partner = await _signed_in(desk)
    form = {"grant_type": "authorization_code", "code": await partner.code(), "redirect_uri": "x"}
    response = await desk.http.post(partner.token_url, data=form)
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("challenge", "verifier", "works"),
    [
        ({"code_challenge": CHALLENGE, "code_challenge_method": "S256"}, VERIFIER, True),
        ({"code_challenge": VERIFIER}, VERIFIER, True),
        ({"code_challenge": VERIFIER, "code_challenge_method": "plain"}, VERIFIER, True),
        ({"code_challenge": CHALLENGE, "code_challenge_method": "S256"}, VERIFIER[::-1], False),
        ({"code_challenge": CHALLENGE, "code_challenge_method": "S256"}, CHALLENGE, False),
        ({"code_challenge": CHALLENGE, "code_challenge_method": "S256"}, None, False),
        ({"code_challenge": CHALLENGE, "code_challenge_method": "S256"}, "ä" * 43, False),
        ({}, VERIFIER, False),
    ],
)
async def test_pkce_is_checked_where_it_was_begun(
    desk: Any, challenge: dict[str, str], verifier: str | None, works: bool
) -> None:
    partner = await _signed_in(desk)
    code = await partner.code(**challenge)
    response = await partner.redeem(code, **({} if verifier is None else {"code_verifier": verifier}))
    if works:
        assert response.status_code == 200
    else:
        _invalid_grant(response, "code_")


async def test_a_users_token_ends_with_its_ten_minutes_and_with_the_user(desk: Any) -> None:
    partner = await _signed_in(desk)
    token = (await partner.redeem(await partner.code())).json()["access_token"]
    code = await partner.code()
    await desk.control.patch(f"/control/users/{desk.users[0]}", json={"active": False})
    assert (await partner.call("/users/me", token=token, root=partner.root)).status_code == 401
    _invalid_grant(await partner.redeem(code), "not active")
    await desk.control.patch(f"/control/users/{desk.users[0]}", json={"active": True})
    assert (await partner.call("/users/me", token=token, root=partner.root)).status_code == 200
    await desk.advance(seconds=601)
    assert (await partner.call("/users/me", token=token, root=partner.root)).status_code == 401


async def test_a_clients_own_token_has_no_user(desk: Any) -> None:
    partner = await _signed_in(desk)
    response = await partner.call("/users/me", root=partner.root)
    assert (response.status_code, response.json()) == (
        400, {"code": "bad_request", "message": "the token has no user"},
    )  # fmt: skip


async def test_a_refresh_token_is_good_once_and_brings_the_next(desk: Any) -> None:
    partner = await _signed_in(desk)
    first = (await partner.redeem(await partner.code(scope="openid refresh_token"))).json()

    async def refresh(token: str) -> Any:
        return await partner.ask(grant_type="refresh_token", refresh_token=token)

    second = await refresh(first["refresh_token"])
    assert second.status_code == 200
    assert second.json()["sid"] == first["sid"]
    assert "id_token" not in second.json()
    who = await partner.call("/users/me", token=second.json()["access_token"], root=partner.root)
    assert who.json()["sub"] == desk.users[0]
    _invalid_grant(await refresh(first["refresh_token"]), "used before")
    assert (await refresh(second.json()["refresh_token"])).status_code == 200
    _invalid_grant(await refresh("made up"), "unknown")
    nothing = await refresh("")
    assert (nothing.status_code, nothing.json()["error"]) == (400, "invalid_request")
