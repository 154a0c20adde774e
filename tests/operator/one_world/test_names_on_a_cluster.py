"""Names and e-mail addresses are decoration: nothing of two customers mixes, whatever they have in common."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from talkdesk_kube import resources

if TYPE_CHECKING:
    from typing import Any

    World = Any

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def account(world: World, name: str, region: str = "eu") -> str:
    made = await world.post("/control/accounts", {"name": name, "region": region})
    return str(made["id"])


async def user(world: World, account_id: str, email: str, name: str = "Ada") -> str:
    made = await world.post(f"/control/accounts/{account_id}/users", {"email": email, "name": name})
    return str(made["id"])


async def served(world: World, account_id: str, people: list[str]) -> Any:
    installed = await world.install(account=account_id, people=people)
    await world.approved(installed)
    await world.condition(installed, "Ready", "True")
    return installed


async def tenant_of(world: World, installed: Any) -> tuple[str, str]:
    """Its namespace and host, as status says."""
    status = (await world.installation(installed))["status"]
    return status["tenant"], status["host"]


async def record(world: World, tenant: str) -> dict[str, Any]:
    found = await world.kube.get(resources.CONFIG_MAPS, "talkdesk-account", namespace=tenant)
    told: dict[str, Any] = json.loads(found["data"]["account.json"])
    return told


async def test_several_apps_in_one_account_have_a_tenant_each(world: World) -> None:
    await world.declare()
    first_app = world.app_id
    account_id = await account(world, f"many-{first_app[:8]}")
    people = [await user(world, account_id, "ada@many.example")]
    first = await served(world, account_id, people)
    first_home = await tenant_of(world, first)
    await world.declare()
    second = await served(world, account_id, people)
    second_home = await tenant_of(world, second)
    assert first_home[0] != second_home[0]
    assert first_home[1] != second_home[1]
    assert (await record(world, first_home[0]))["app"]["id"] == first_app
    assert (await record(world, second_home[0]))["app"]["id"] == world.app_id

    await world.post(f"/control/installations/{second.id}/uninstall", {})
    await world.condition(second, "Ready", "False", "Uninstalled")
    status = (await world.installation(first))["status"]
    assert status["access"]["state"] == "Allowed"
    assert set(await world.licensed(first)) == set(people)
    left = await world.kube.get(resources.DEPLOYMENTS, "demo", namespace=first_home[0])
    assert left["spec"]["replicas"] == 1


async def test_the_same_email_in_two_accounts_is_two_people(world: World, eventually: Any) -> None:
    await world.declare()
    email, customers = "ada@consultants.example", []
    for number in (1, 2):
        account_id = await account(world, f"twice{number}-{world.app_id[:8]}")
        people = [await user(world, account_id, email), await user(world, account_id, f"b{number}@x.example")]
        customers.append(await served(world, account_id, people))
    one, other = customers
    homes = [await tenant_of(world, each) for each in customers]
    assert len(set(homes)) == 2
    licensed = [await world.licensed(each) for each in customers]
    assert not set(licensed[0]) & set(licensed[1])
    assert [entry["email"] for each in licensed for entry in each.values()].count(email) == 2

    # Who loses the app in one account keeps it in the other.
    admin, second = one.users
    await world.post(f"/control/installations/{other.id}/update", {"removing": [other.users[1]]})
    await world.approved(other, 2)

    async def removed() -> bool:
        return set(await world.licensed(other)) == {other.users[0]}

    await eventually(removed)
    assert set(await world.licensed(one)) == {admin, second}
    assert await world.licensed(one) == licensed[0]


async def test_two_accounts_of_one_name_in_two_regions_are_two_customers(world: World) -> None:
    await world.declare()
    name, homes = f"acme-{world.app_id[:8]}", {}
    for region in ("eu", "us"):
        account_id = await account(world, name, region)
        installed = await served(world, account_id, [await user(world, account_id, f"ada@{region}.example")])
        stored = await world.installation(installed)
        assert stored["spec"]["region"] == region
        homes[region] = await tenant_of(world, installed)
        told = await record(world, homes[region][0])
        assert (told["account"]["id"], told["account"]["name"]) == (account_id, name)
        assert told["region"]["name"] == region
    assert homes["eu"][0] != homes["us"][0]
    assert homes["eu"][1] != homes["us"][1]


async def test_an_account_that_is_renamed_keeps_its_tenant_and_its_host(
    world: World, eventually: Any
) -> None:
    await world.declare()
    account_id = await account(world, f"before-{world.app_id[:8]}")
    installed = await served(world, account_id, [await user(world, account_id, "ada@before.example")])
    home = await tenant_of(world, installed)
    uid = (await world.kube.get(resources.NAMESPACES, home[0]))["metadata"]["uid"]
    after = f"after-{world.app_id[:8]}"
    answer = await world.control.patch(f"/control/accounts/{account_id}", json={"name": after})
    answer.raise_for_status()
    await world.annotate(installed, resync="renamed")

    async def told() -> bool:
        return bool((await record(world, home[0]))["account"]["name"] == after)

    await eventually(told)
    assert await tenant_of(world, installed) == home
    assert (await world.kube.get(resources.NAMESPACES, home[0]))["metadata"]["uid"] == uid

    # A newcomer takes the name that was given up.
    newcomer = await account(world, f"before-{world.app_id[:8]}")
    other = await served(world, newcomer, [await user(world, newcomer, "ada@new.example")])
    assert await tenant_of(world, other) != home
    assert (await record(world, home[0]))["account"]["id"] == account_id

    added = await world.person(account_id, 9)
    await world.post(f"/control/installations/{installed.id}/update", {"adding": [added]})
    await world.approved(installed, 2)
    assert await tenant_of(world, installed) == home
