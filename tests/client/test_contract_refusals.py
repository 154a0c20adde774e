"""What the stand-in refuses, and what becomes of it: error shapes, scopes, expired tokens, lost answers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from talkdesk_client import (
    Conflict,
    Forbidden,
    NotFound,
    RateLimited,
    ServerError,
    TokenRefused,
    TransportError,
    UnexpectedAnswer,
)

if TYPE_CHECKING:
    Market = Any

pytestmark = pytest.mark.processes


@pytest.mark.parametrize("shape", ["error", "common"])
async def test_the_refusals_of_the_installation_have_either_shape(market: Market, shape: str) -> None:
    market.switch(installation_errors=shape)
    own, foreign = market.install(users=1), market.install(users=1)
    async with market.client() as client:
        with pytest.raises(Forbidden, match="another installation"):
            await client.installation(replace(foreign, credentials=own.credentials, token_url=own.token_url))
        with pytest.raises(NotFound, match="no such installation"):
            await client.users(replace(own, installation_id="0" * 32))


async def test_each_of_the_documented_shapes_is_told_apart_by_its_status(market: Market) -> None:
    ref = market.install(users=1)
    wrong = replace(ref, app_id="f" * 32)
    async with market.client() as client:
        for call in (client.subscription, client.users, client.installation):
            with pytest.raises(NotFound):
                await call(wrong)
        with pytest.raises(NotFound, match="no such installation"):
            await client.answer(wrong, "approve")
        with pytest.raises(Conflict) as caught:  # these are the first credentials, not rotated ones
            await client.acknowledge(ref)
    assert caught.value.code


async def test_a_token_for_the_wrong_scope_opens_nothing(market: Market) -> None:
    ref = market.install(users=1)
    async with market.client(apps_write_scope="apps:read", account_read_scope="apps:read") as client:
        with pytest.raises(Forbidden, match="apps:write"):
            await client.answer(ref, "approve")
        with pytest.raises(Forbidden, match="account:read"):
            await client.account(ref)
    async with market.client(apps_read_scope="recordings:read") as client:
        with pytest.raises(TokenRefused) as caught:
            await client.installation(ref)
    assert caught.value.code == "invalid_scope"


async def test_without_a_named_scope_one_token_opens_everything(market: Market) -> None:
    ref = market.install(users=1)
    async with market.client(apps_read_scope="", apps_write_scope="", account_read_scope="") as client:
        await client.account(ref)
        await client.answer(ref, "approve")
        await client.installation(ref)
    assert len(market.seen(ref, "token")) == 1


async def test_a_scope_that_has_not_spread_yet_is_refused_and_later_granted(market: Market) -> None:
    market.switch(scope_delay_seconds=120)
    ref = market.install(users=1)
    async with market.client() as client:
        with pytest.raises(TokenRefused) as caught:
            await client.installation(ref)
        assert caught.value.status == 401
        market.stand_in.post("/control/clock", {"advance_seconds": 121})
        assert (await client.installation(ref)).id == ref.installation_id


async def test_an_expired_token_is_renewed_unseen(market: Market) -> None:
    ref = market.install(users=1)
    async with market.client() as client:
        await client.installation(ref)
        await client.installation(ref)
        assert len(market.seen(ref, "token")) == 1
        market.stand_in.post("/control/clock", {"advance_seconds": 601})
        await client.answer(ref, "approve")
        await client.installation(ref)
    assert [entry["detail"]["scope"] for entry in market.seen(ref, "token")] == [
        "apps:read",
        "apps:write",
        "apps:read",
    ]


async def test_a_busy_or_broken_talkdesk_is_asked_again_for_what_is_read(market: Market) -> None:
    ref = market.install(users=1)
    path = f".*/installations/{ref.installation_id}"
    async with market.client() as client:
        await client.trial(ref)
        for fault in ({"status": 503}, {"status": 429, "headers": {"Retry-After": "0"}}, {"cut": True}):
            market.fault(path=path, times=2, **fault)
            assert (await client.installation(ref)).id == ref.installation_id
        market.fault(path=path, times=4, status=502)
        with pytest.raises(ServerError):
            await client.installation(ref)
        market.fault(path=path, status=429, headers={"Retry-After": "3600"})
        with pytest.raises(RateLimited) as caught:
            await client.installation(ref)
        assert caught.value.retry_after == 3600
        market.fault(path=path, status=200, body=["odd"])
        with pytest.raises(UnexpectedAnswer):
            await client.installation(ref)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_change_whose_answer_was_lost_is_found_out_by_reading(market: Market, when: str) -> None:
    ref = market.install(users=1)
    async with market.client() as client:
        market.fault(path=".*/state", method="POST", when=when, cut=True)
        with pytest.raises(TransportError) as caught:
            await client.answer(ref, "approve")
        assert caught.value.outcome_unknown
        found = await client.installation(ref)
    assert found.state is not None
    assert found.state.state == ("installing" if when == "before" else "completed")
    state = f"/installations/{ref.installation_id}/state"
    assert sum((entry["url"] or "").endswith(state) for entry in market.stand_in.ledger()) == 1


@pytest.mark.parametrize("encoding", ["spki", "point", "pem"])
@pytest.mark.parametrize("expiry", ["present", "absent"])
async def test_a_signature_key_is_had_from_the_gateway_without_a_token(
    market: Market, encoding: str, expiry: str
) -> None:
    market.switch(key_encoding=encoding, key_expiry=expiry)
    made = market.stand_in.post("/control/signing-keys", {})
    gateway = f"https://{market.stand_in.regions['us']['api']}"
    async with market.client() as client:
        key = await client.signature_key(gateway, made["id"])
        assert key.key_id == made["id"]
        assert (key.expires_at is not None) is (expiry == "present")
        with pytest.raises(NotFound):
            await client.signature_key(gateway, "unknown")
