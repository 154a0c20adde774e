"""Signing on, and roles, against the Talkdesk stand-in: from the icon's link to who the user is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from talkdesk_client import (
    Credentials,
    Forbidden,
    ForeignHost,
    NoUser,
    ServerError,
    TokenRefused,
    TransportError,
    Unauthorized,
    UnexpectedAnswer,
    UserToken,
    authorize_url,
    pkce_challenge,
)

if TYPE_CHECKING:
    from talkdesk_client import InstallationRef, TalkdeskClient

    Market = Any

pytestmark = pytest.mark.processes
VERIFIER = SecretStr("v" * 64)


@pytest.fixture(autouse=True)
def _fresh_browser(market: Market) -> None:
    market.browser.cookies.clear()


async def _exchange(client: TalkdeskClient, market: Market, ref: InstallationRef, **more: Any) -> UserToken:
    code = SecretStr(market.authorized(ref, **more)["code"])
    return await client.exchange_code(ref, code=code, redirect_uri=market.callback)


@pytest.mark.parametrize("auth_method", ["private_key_jwt", "client_secret_basic"])
@pytest.mark.parametrize("userinfo_id", ["both", "sub"])
@pytest.mark.parametrize("token_form", ["jwt", "opaque"])
async def test_a_code_becomes_a_token_and_the_token_a_user(
    market: Market, auth_method: str, userinfo_id: str, token_form: str
) -> None:
    market.switch(userinfo_id=userinfo_id, token_form=token_form)
    ref = market.install()
    market.sign_in(market.users[1])
    brought = market.authorized(ref)
    assert brought["state"] == "the state"
    async with market.client(auth_method=auth_method) as client:
        token = await client.exchange_code(ref, code=SecretStr(brought["code"]), redirect_uri=market.callback)
        who = await client.userinfo(ref, token)
    assert (who.id, who.email, who.name) == (market.users[1], "u1@example.com", "U 1")
    assert (token.expires_in, token.scope) == (600, ("openid",))
    assert token.sid is not None
    assert token.id_token is not None
    assert token.refresh_token is None


@pytest.mark.parametrize("region", ["us", "eu", "ca"])
async def test_every_region_signs_its_own_users_on(market: Market, region: str) -> None:
    ref = market.install(region=region)
    assert market.authorization.startswith(f"http://acme{market.count}.id.{region}.talkdesk.localhost:")
    market.sign_in(market.users[0])
    async with market.client() as client:
        assert (await client.userinfo(ref, await _exchange(client, market, ref))).id == market.users[0]


async def test_who_is_not_licensed_is_told_apart_by_the_app_alone(market: Market) -> None:
    ref = market.install()
    market.sign_in(market.spare)
    async with market.client() as client:
        who = await client.userinfo(ref, await _exchange(client, market, ref))
        assert who.id == market.spare
        assert who.id not in {user.id for user in await client.users(ref)}


async def test_a_code_works_once(market: Market) -> None:
    ref = market.install()
    market.sign_in(market.users[0])
    code = SecretStr(market.authorized(ref)["code"])
    async with market.client() as client:
        await client.exchange_code(ref, code=code, redirect_uri=market.callback)
        with pytest.raises(TokenRefused, match="used before") as caught:
            await client.exchange_code(ref, code=code, redirect_uri=market.callback)
    assert (caught.value.status, caught.value.code) == (400, "invalid_grant")
    assert code.get_secret_value() not in str(caught.value)


async def test_a_code_that_is_late_foreign_or_for_another_callback_is_refused(market: Market) -> None:
    other = market.install()
    ref = market.install()
    market.sign_in(market.users[0])

    async def refused(ref: InstallationRef, match: str, **more: Any) -> None:
        code = SecretStr(market.authorized(ref)["code"])
        if seconds := more.pop("late", 0):
            market.stand_in.post("/control/clock", {"advance_seconds": seconds})
        used = {"redirect_uri": market.callback, "code": code} | more
        with pytest.raises(TokenRefused, match=match) as caught:
            await client.exchange_code(used.pop("by", ref), **used)
        assert caught.value.code == "invalid_grant"

    async with market.client() as client:
        await refused(ref, "expired", late=61)
        await refused(ref, "another client", by=replace(other, app_id=ref.app_id))
        await refused(ref, "redirect_uri", redirect_uri=f"{market.callback}/")
        await refused(ref, "unknown", code=SecretStr("made up"))


async def test_pkce_binds_the_code_to_the_verifier(market: Market) -> None:
    ref = market.install()
    market.sign_in(market.users[0])
    challenge = pkce_challenge(VERIFIER)
    async with market.client(pkce=True) as client:
        for verifier, works in ((VERIFIER, True), (SecretStr("w" * 64), False)):
            code = SecretStr(market.authorized(ref, code_challenge=challenge)["code"])
            asked = client.exchange_code(ref, code=code, redirect_uri=market.callback, code_verifier=verifier)
            if works:
                assert (await client.userinfo(ref, await asked)).id == market.users[0]
            else:
                with pytest.raises(TokenRefused, match="code_verifier"):
                    await asked
    async with market.client() as client:
        code = SecretStr(market.authorized(ref, code_challenge=challenge)["code"])
        with pytest.raises(TokenRefused, match="code_verifier"):
            await client.exchange_code(ref, code=code, redirect_uri=market.callback)


async def test_a_clients_own_token_speaks_for_nobody(market: Market) -> None:
    ref = market.install()
    async with market.client() as client:
        answer = await client._session.exchanged(
            ref, fields={"grant_type": "client_credentials", "scope": "openid"}, hidden={}
        )
        with pytest.raises(NoUser, match="no user"):
            await client.userinfo(ref, UserToken.model_validate_json(answer.body))


async def test_a_users_token_ends_and_without_openid_says_nothing(market: Market) -> None:
    ref = market.install()
    market.sign_in(market.users[0])
    async with market.client() as client:
        token = await _exchange(client, market, ref)
        narrow = await _exchange(client, market, ref, scopes=("apps:read",))
        assert narrow.id_token is None
        with pytest.raises(Forbidden, match="openid"):
            await client.userinfo(ref, narrow)
        market.stand_in.post("/control/clock", {"advance_seconds": 601})
        with pytest.raises(Unauthorized, match="expired"):
            await client.userinfo(ref, token)


async def test_a_user_who_was_switched_off_is_not_signed_on(market: Market) -> None:
    ref = market.install()
    market.sign_in(market.users[1])
    async with market.client() as client:
        token = await _exchange(client, market, ref)
        code = SecretStr(market.authorized(ref)["code"])
        market.stand_in.patch(f"/control/users/{market.users[1]}", {"active": False})
        with pytest.raises(TokenRefused, match="not active"):
            await client.exchange_code(ref, code=code, redirect_uri=market.callback)
        with pytest.raises(Unauthorized):
            await client.userinfo(ref, token)


async def test_new_credentials_sign_on_and_old_codes_do_not_pass_to_them(market: Market) -> None:
    ref = market.install()
    market.sign_in(market.users[0])
    async with market.client() as client:
        await client.answer(ref, "approve")
        code = SecretStr(market.authorized(ref)["code"])
        market.control(ref, "rotate")
        event = market.receiver.next("app.credentials_rotated")
        new = replace(ref, credentials=Credentials(**event["data"]))
        with pytest.raises(TokenRefused, match="another client"):
            await client.exchange_code(new, code=code, redirect_uri=market.callback)
        for one in (ref, new):
            assert (await client.userinfo(one, await _exchange(client, market, one))).id == market.users[0]


async def test_a_talkdesk_that_stumbles_costs_the_code_but_not_the_userinfo(market: Market) -> None:
    ref = market.install()
    market.sign_in(market.users[0])
    async with market.client() as client:
        token = await _exchange(client, market, ref)
        market.fault(path="/users/me", times=2, status=503)
        assert (await client.userinfo(ref, token)).id == market.users[0]
        market.fault(path="/users/me", status=200, body={"name": "nobody"})
        with pytest.raises(UnexpectedAnswer):
            await client.userinfo(ref, token)
        for fault, error in (
            ({"status": 503}, ServerError),
            ({"cut": True, "when": "after"}, TransportError),
            ({"status": 200, "body": {"token": "?"}, "when": "after"}, UnexpectedAnswer),
        ):
            market.fault(path="/oauth/token", method="POST", **fault)
            with pytest.raises(error) as caught:
                await _exchange(client, market, ref)
            assert caught.value.outcome_unknown


async def test_without_a_token_link_the_authorization_link_is_plain_https(market: Market) -> None:
    market.switch(token_link="absent")
    ref = market.install()
    assert market.authorization == f"https://acme{market.count}.id.eu.talkdesk.localhost/oauth/authorize"
    market.sign_in(market.users[0])
    async with market.client() as client:
        assert (await client.userinfo(ref, await _exchange(client, market, ref))).id == market.users[0]


async def test_the_link_of_another_regions_account_is_foreign(market: Market) -> None:
    eu, _ = market.install(region="eu"), market.install(region="us")
    with pytest.raises(ForeignHost):
        authorize_url(
            eu.hosts,
            market.authorization,
            client_id=eu.credentials.client_id,
            redirect_uri=market.callback,
            scopes=(),
            state="s",
            nonce="n",
        )


@pytest.mark.parametrize("page_size", [0, 1, 2, 100])
async def test_the_roles_of_all_users_are_read(market: Market, page_size: int) -> None:
    ref = market.install(users=4)
    for user, roles in zip(market.users, (["Administrator", "Team Lead"], ["Agent"], []), strict=False):
        market.stand_in.patch(f"/control/users/{user}", {"roles": roles})
    async with market.client(scim_page_size=page_size) as client:
        found = {user.id: user for user in await client.scim_roles(ref)}
    assert set(found) == {*market.users, market.spare}
    first, second, *others = [found[user] for user in market.users]
    assert (first.roles, first.email) == (("Administrator", "Team Lead"), "u0@example.com")
    assert (second.roles, {user.roles for user in others}) == (("Agent",), {()})
    pages = [entry for entry in market.seen(ref) if "/scim/" in entry["url"]]
    assert len(pages) == (-(-5 // page_size) if page_size else 1)


async def test_scim_needs_its_own_scope(market: Market) -> None:
    ref = market.install()
    async with market.client(scim_scope="users:read") as client:
        with pytest.raises(Forbidden, match="scim"):
            await client.scim_roles(ref)
    async with market.client(scim_scope="scim:read") as client:
        with pytest.raises(TokenRefused, match="scim:read") as caught:
            await client.scim_roles(ref)
    assert caught.value.code == "invalid_scope"
