"""From an event to a tenant and back, under the chart's rights."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from talkdesk_kube import NotFound, resources

if TYPE_CHECKING:
    from typing import Any

    World = Any


async def test_an_install_makes_a_tenant_and_is_approved_once(world: World) -> None:
    await world.start()
    await world.declare()
    installed = await world.install(users=3)
    await world.approved(installed)
    await world.condition(installed, "Ready", "True")

    tenant = await world.tenant(installed)
    record = await world.kube.get(resources.CONFIG_MAPS, "talkdesk-account", namespace=tenant)
    told = json.loads(record["data"]["account.json"])
    assert told["account"]["id"] == installed.account
    assert told["installation"]["id"] == installed.id
    for kind in (resources.RESOURCE_QUOTAS, resources.LIMIT_RANGES, resources.NETWORK_POLICIES):
        assert (await world.kube.list(kind, namespace=tenant)).items
    await world.kube.get(resources.DEPLOYMENTS, "demo", namespace=tenant)

    licensed = await world.licensed(installed)
    assert set(licensed) == set(installed.users)
    assert [user for user, entry in licensed.items() if entry["admin"]] == [installed.users[0]]

    stored = await world.installation(installed)
    assert stored["status"]["access"]["state"] == "Allowed"
    assert stored["status"]["tenant"] == tenant
    assert [one["answer"] for one in stored["status"]["answers"]] == ["approve"]
    assert not stored["metadata"].get("finalizers")
    assert set(stored["metadata"].get("annotations", {})) == {"talkdesk-operator.io/answers"}
