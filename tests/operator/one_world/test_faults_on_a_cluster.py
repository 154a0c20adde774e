"""Talkdesk slow, broken, or cut off at the worst moment; and users by the hundred."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from talkdesk_kube import resources

if TYPE_CHECKING:
    from typing import Any

    World = Any

pytestmark = pytest.mark.asyncio(loop_scope="session")

STATE = r"/apps/[^/]+/installations/[^/]+/state"
USERS = r"/apps/[^/]+/installations/[^/]+/users"
INSTALLATION = r"/apps/[^/]+/installations/[^/]+"


async def answers_sent(world: World, installed: Any) -> list[dict[str, Any]]:
    """Every POST of a state that reached Talkdesk."""
    return [
        entry
        for entry in await world.ledger()
        if entry["kind"] == "api"
        and entry["method"] == "POST"
        and entry.get("installation_id") == installed.id
        and entry["url"].endswith("/state")
    ]


async def test_an_answer_that_was_taken_but_never_confirmed_is_not_given_twice(world: World) -> None:
    await world.declare()
    await world.post("/control/faults", {"path": STATE, "method": "POST", "when": "after", "cut": True})
    installed = await world.install()
    await world.approved(installed)
    await world.condition(installed, "Ready", "True")
    assert len(await answers_sent(world, installed)) == 1


async def test_an_answer_that_was_lost_on_its_way_is_given_again(world: World) -> None:
    await world.declare()
    await world.post("/control/faults", {"path": STATE, "method": "POST", "when": "before", "cut": True})
    installed = await world.install()
    await world.approved(installed)
    await world.condition(installed, "Ready", "True")


@pytest.mark.parametrize("status", [409, 422])
async def test_a_conflict_is_answered_by_reading_before_anything_else(world: World, status: int) -> None:
    await world.declare()
    fault = {"path": STATE, "method": "POST", "when": "after", "status": status, "body": {"error": "no"}}
    await world.post("/control/faults", fault)
    installed = await world.install()
    await world.approved(installed)
    await world.condition(installed, "Ready", "True")
    assert len(await answers_sent(world, installed)) == 1


async def test_nothing_is_approved_while_the_users_cannot_be_listed(world: World) -> None:
    await world.declare()
    await world.post("/control/faults", {"path": USERS, "method": "GET", "status": 403, "times": 500})
    try:
        installed = await world.install()
        await world.condition(installed, "UsersSynced", "False", "ListFailed")
        await world.condition(installed, "TenantReady", "True")
        await world.condition(installed, "Confirmed", "False", "WaitingForUsers")
        assert not await answers_sent(world, installed)
    finally:
        (await world.control.delete("/control/faults")).raise_for_status()
    await world.approved(installed)
    await world.condition(installed, "Ready", "True")
    assert set(await world.licensed(installed)) == set(installed.users)


async def test_a_refused_token_is_shown_and_heals(world: World) -> None:
    await world.declare()
    refusal = {"path": r"/oauth/token", "status": 401, "times": 500, "body": {"error": "invalid_client"}}
    await world.post("/control/faults", refusal)
    try:
        installed = await world.install()
        # They are new: Talkdesk may need a while to know them.
        await world.condition(installed, "CredentialsValid", "Unknown", "CredentialsSpreading")
    finally:
        (await world.control.delete("/control/faults")).raise_for_status()
    await world.approved(installed, within=60)
    await world.condition(installed, "CredentialsValid", "True")


async def test_an_outage_of_talkdesk_takes_no_access_away(world: World, eventually: Any) -> None:
    await world.declare()
    installed = await world.install()
    await world.approved(installed)
    await world.condition(installed, "Ready", "True")
    await world.post("/control/faults", {"path": INSTALLATION, "status": 500, "times": 5000})
    try:
        await world.kube.merge_patch(
            resources.INSTALLATIONS,
            installed.name,
            {"metadata": {"annotations": {"talkdesk-operator.io/resync": "again"}}},
            namespace=world.release.namespace,
        )

        async def tried_again() -> bool:
            lines = world.logs().splitlines()
            return sum("could not be read" in line and installed.id in line for line in lines) >= 2

        await eventually(tried_again)
        stored = await world.installation(installed)
        assert stored["status"]["access"]["state"] == "Allowed"
        assert set(await world.licensed(installed)) == set(installed.users)
    finally:
        (await world.control.delete("/control/faults")).raise_for_status()

    async def observed() -> bool:
        stored = await world.installation(installed)
        return bool(stored["status"].get("observedResync") == "again")

    await eventually(observed, within=60)


async def test_users_who_outgrow_their_slices_get_a_new_generation(world: World, eventually: Any) -> None:
    await world.declare()
    installed = await world.install(users=1)
    await world.approved(installed)
    await world.condition(installed, "Ready", "True")
    before = await world.licensed(installed)
    added = await asyncio.gather(*(world.person(installed.account, number) for number in range(1, 231)))
    await world.post(f"/control/installations/{installed.id}/update", {"adding": added, "removing": []})
    await world.approved(installed, 2)

    async def grown() -> bool:
        stored = await world.installation(installed)
        found = await world.kube.list(resources.USER_SLICES, namespace=world.release.namespace)
        mine = [one["spec"] for one in found.items if one["spec"]["installation"] == installed.name]
        return stored["status"]["users"]["count"] == 231 and [one["buckets"] for one in mine] == [2, 2]

    await eventually(grown)
    after = await world.licensed(installed)
    assert set(after) == {*installed.users, *added}
    assert after[installed.users[0]]["epoch"] == before[installed.users[0]]["epoch"]
