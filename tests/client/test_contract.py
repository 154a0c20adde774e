"""The client against the Talkdesk stand-in: over its proxy and TLS, each call, each switch either way."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from talkdesk_client import (
    Conflict,
    Credentials,
    NotFound,
    TokenRefused,
    Unauthorized,
)

if TYPE_CHECKING:
    Market = Any

pytestmark = pytest.mark.processes


async def test_the_life_of_an_installation_as_the_client_sees_it(market: Market) -> None:
    ref = market.install(users=3)
    async with market.client() as client:
        before = await client.installation(ref)
        assert before.state is not None
        assert before.state.state == "installing"
        assert before.state.updated_at
        assert before.created_by is not None
        assert (before.created_by.id, before.created_by.email) == (market.users[0], "u0@example.com")
        assert (before.app_id, before.account_id) == (ref.app_id, ref.account_id)
        account = await client.account(ref)
        assert (account.id, account.name) == (ref.account_id, f"acme{market.count}")
        assert {user.id for user in await client.users(ref)} == set(market.users)
        subscription = await client.subscription(ref)
        assert (subscription.name, subscription.type, subscription.total_licenses) == ("Standard", "paid", 3)
        assert await client.trial(ref) is None
        assert (await client.answer(ref, "approve")).state == "completed"
        after = await client.installation(ref)
        assert after.state is not None
        assert after.state.state == "completed"
        assert after.state.updated_at != before.state.updated_at
    scopes = [entry["detail"]["scope"] for entry in market.seen(ref, "token")]
    assert scopes == ["apps:read", "account:read", "apps:write"]


async def test_an_update_is_rejected_with_a_reason_talkdesk_receives(market: Market) -> None:
    ref = market.install()
    async with market.client() as client:
        await client.answer(ref, "approve")
        market.control(ref, "update", adding=[market.spare], removing=[])
        await client.answer(ref, "reject", "no room, sorry")
    sent = [entry["detail"]["sent"] for entry in market.seen(ref) if entry["method"] == "POST"]
    assert sent[-1] == {"state": "reject", "reason": "no room, sorry"}


async def test_a_trial_runs_and_ends(market: Market) -> None:
    ref = market.install(plan="Trial")
    async with market.client() as client:
        await client.answer(ref, "approve")
        market.receiver.next("app.trial_started")
        trial = await client.trial(ref)
        assert trial is not None
        assert trial.expires_at is not None
        assert trial.started_at is not None
        assert 29 <= (trial.expires_at - trial.started_at).days <= 31
        market.control(ref, "trial/end")
        ended = await client.trial(ref)
    assert ended is not None
    assert ended.ended_reason == "trial_expired"
    assert ended.state != trial.state


@pytest.mark.parametrize("region", ["us", "eu", "ca"])
async def test_every_region_is_reached_by_its_own_hosts(market: Market, region: str) -> None:
    ref = market.install(region=region)
    assert f".{region}." in ref.root
    async with market.client() as client:
        assert (await client.installation(ref)).id == ref.installation_id


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512", "PS256", "PS384", "PS512"])
@pytest.mark.parametrize("form", ["base64", "wrapped", "pem"])
async def test_keys_of_every_algorithm_and_form_are_accepted(
    market: Market, algorithm: str, form: str
) -> None:
    market.switch(key_algorithm=algorithm, credential_key=form)
    ref = market.install(users=1)
    assert ref.credentials.key_algorithm == algorithm
    async with market.client() as client:
        assert (await client.installation(ref)).id == ref.installation_id


@pytest.mark.parametrize("name", ["tokens", "token", "token_url", "absent"])
async def test_the_token_link_is_found_whatever_its_name(market: Market, name: str) -> None:
    market.switch(token_link=name)
    ref = market.install(users=1)
    assert ref.token_url.endswith("/oauth/token")
    async with market.client() as client:
        await client.installation(ref)


@pytest.mark.parametrize(
    ("accepted", "sent", "works"),
    [
        ("full-url", "token_url", True),
        ("host", "origin", True),
        ("either", "token_url", True),
        ("either", "origin", True),
        ("full-url", "origin", False),
        ("host", "token_url", False),
    ],
)
async def test_the_audience_is_a_setting_that_must_fit(
    market: Market, accepted: str, sent: str, works: bool
) -> None:
    market.switch(audience=accepted)
    ref = market.install(users=1)
    async with market.client(assertion_audience=sent) as client:
        if works:
            await client.installation(ref)
        else:
            with pytest.raises(TokenRefused) as caught:
                await client.installation(ref)
            assert caught.value.code == "invalid_client"


@pytest.mark.parametrize("skew", [-5.0, 5.0])
async def test_five_seconds_between_our_clock_and_talkdesks_change_nothing(
    market: Market, skew: float
) -> None:
    market.switch(assertion_leeway_seconds=0)
    ref = market.install(users=1)
    async with market.client(skew=skew) as client:
        assert (await client.installation(ref)).id == ref.installation_id


async def test_basic_works_where_talkdesk_allows_it(market: Market) -> None:
    ref = market.install(users=1)
    async with market.client(auth_method="client_secret_basic") as client:
        await client.installation(ref)
    market.switch(basic="refused")
    async with market.client(auth_method="client_secret_basic") as client:
        with pytest.raises(TokenRefused):
            await client.installation(ref)


@pytest.mark.parametrize("form", ["jwt", "opaque"])
async def test_the_form_of_a_token_does_not_matter(market: Market, form: str) -> None:
    market.switch(token_form=form)
    ref = market.install(users=1)
    async with market.client() as client:
        await client.installation(ref)


@pytest.mark.parametrize(("server", "asked"), [(1, 0), (2, 0), (20, 100), (20, 2)])
async def test_all_pages_are_read_whatever_their_size(market: Market, server: int, asked: int) -> None:
    market.switch(page_size=server)
    ref = market.install(users=5)
    async with market.client(page_size=asked) as client:
        assert sorted(user.id for user in await client.users(ref)) == sorted(market.users)
    pages = sum("/users" in entry["url"] for entry in market.seen(ref))
    assert pages == -(-5 // (asked or server))


@pytest.mark.parametrize("shown", ["new", "old"])
async def test_users_are_those_talkdesk_lists_during_an_update(market: Market, shown: str) -> None:
    market.switch(update_shows=shown)
    ref = market.install(users=3)
    old, new = set(market.users), {*market.users[:2], market.spare}
    async with market.client() as client:
        await client.answer(ref, "approve")
        market.control(ref, "update", adding=[market.spare], removing=[market.users[2]])
        assert {user.id for user in await client.users(ref)} == (new if shown == "new" else old)
        await client.answer(ref, "approve")
        assert {user.id for user in await client.users(ref)} == new


@pytest.mark.parametrize("no_trial", ["not-found", "empty"])
async def test_no_trial_is_none_in_both_forms(market: Market, no_trial: str) -> None:
    market.switch(no_trial=no_trial)
    ref = market.install(users=1)
    async with market.client() as client:
        assert await client.trial(ref) is None


@pytest.mark.parametrize(("answer", "state"), [("resource", "completed"), ("answer", "approve")])
async def test_the_state_after_an_answer_is_what_talkdesk_says(
    market: Market, answer: str, state: str
) -> None:
    market.switch(state_answer=answer)
    ref = market.install(users=1)
    async with market.client() as client:
        assert (await client.answer(ref, "approve")).state == state


@pytest.mark.parametrize("repeated", [200, 409])
@pytest.mark.parametrize("contrary", [409, 422])
async def test_a_late_or_contrary_answer_is_a_conflict_and_a_repeated_one_may_be(
    market: Market, repeated: int, contrary: int
) -> None:
    market.switch(repeated_answer=repeated, contrary_answer=contrary)
    ref = market.install(users=1)
    async with market.client() as client:
        await client.answer(ref, "approve")
        if repeated == 200:
            assert (await client.answer(ref, "approve")).state == "completed"
        else:
            with pytest.raises(Conflict):
                await client.answer(ref, "approve")
        with pytest.raises(Conflict) as caught:
            await client.answer(ref, "reject")
    assert caught.value.status == contrary
    assert not caught.value.outcome_unknown


@pytest.mark.parametrize("after", ["uninstalled", "revoked", "gone"])
async def test_after_an_uninstall_nothing_opens_any_more(market: Market, after: str) -> None:
    market.switch(after_uninstall=after)
    ref = market.install(users=1)
    async with market.client() as client:
        await client.answer(ref, "approve")
        market.control(ref, "uninstall")
        await client.answer(ref, "approve")
        with pytest.raises((TokenRefused, NotFound, Unauthorized)):
            await client.installation(ref)


@pytest.mark.parametrize("rotate_answer", [200, 202])
@pytest.mark.parametrize("ack_state", ["string", "object"])
async def test_new_credentials_are_asked_for_and_acknowledged_with_themselves(
    market: Market, rotate_answer: int, ack_state: str
) -> None:
    market.switch(rotate_answer=rotate_answer, ack_state=ack_state)
    ref = market.install(users=1)
    async with market.client() as client:
        await client.answer(ref, "approve")
        await client.rotate(ref)
        event = market.receiver.next("app.credentials_rotated")
        new = replace(ref, credentials=Credentials(**event["data"]))
        assert new.credentials.client_id != ref.credentials.client_id
        await client.installation(ref)
        assert (await client.acknowledge(new)).state == "acknowledged"
        with pytest.raises((TokenRefused, Unauthorized)):
            await client.installation(ref)
        assert (await client.installation(new)).id == ref.installation_id
