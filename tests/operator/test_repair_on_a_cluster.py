"""What the operator keeps as it should be, and what it leaves alone."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from talkdesk_kube import resources

if TYPE_CHECKING:
    from typing import Any

    World = Any

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def ready(world: World) -> Any:
    await world.declare()
    installed = await world.install()
    await world.approved(installed)
    await world.condition(installed, "Ready", "True")
    return installed


async def test_drift_comes_back_and_foreign_fields_stay(world: World, ready: Any, eventually: Any) -> None:
    tenant = await world.tenant(ready)
    await world.kube.merge_patch(
        resources.SERVICES,
        "demo",
        {"metadata": {"annotations": {"someone": "else"}}, "spec": {"selector": {"app": "wrong"}}},
        namespace=tenant,
        field_manager="someone",
    )

    async def repaired() -> bool:
        service = await world.kube.get(resources.SERVICES, "demo", namespace=tenant)
        assert service["metadata"]["annotations"]["someone"] == "else"
        return bool(service["spec"]["selector"] == {"app": "demo"})

    await eventually(repaired)
    await world.kube.delete(resources.NETWORK_POLICIES, "tenant", namespace=tenant)
    await world.kube.delete(resources.DEPLOYMENTS, "demo", namespace=tenant)

    async def back() -> bool:
        await world.kube.get(resources.NETWORK_POLICIES, "tenant", namespace=tenant)
        await world.kube.get(resources.DEPLOYMENTS, "demo", namespace=tenant)
        return True

    await eventually(back)


async def test_a_deleted_namespace_is_made_again(world: World, ready: Any, eventually: Any) -> None:
    tenant = await world.tenant(ready)
    uid = (await world.kube.get(resources.NAMESPACES, tenant))["metadata"]["uid"]
    await world.kube.delete(resources.NAMESPACES, tenant)

    async def again() -> bool:
        assert (await world.kube.get(resources.NAMESPACES, tenant))["metadata"]["uid"] != uid
        await world.kube.get(resources.DEPLOYMENTS, "demo", namespace=tenant)
        return True

    await eventually(again, within=60)


async def test_what_leaves_the_template_is_deleted_but_never_a_claim_or_a_stranger(
    world: World, ready: Any, eventually: Any
) -> None:
    tenant = await world.tenant(ready)
    app = await world.kube.get(resources.APPS, world.app, namespace=world.release.namespace)
    template = app["spec"]["template"]
    extra = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "extra"}, "data": {"a": "b"}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "extra"}, "stringData": {"a": "b"}},
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "extra"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
        },
    ]

    async def declare(items: list[Any]) -> None:
        await world.kube.merge_patch(
            resources.APPS, world.app, {"spec": {"template": items}}, namespace=world.release.namespace
        )

    await declare([*template, *extra])

    async def there() -> bool:
        await world.kube.get(resources.CONFIG_MAPS, "extra", namespace=tenant)
        await world.kube.get(resources.SECRETS, "extra", namespace=tenant)
        await world.kube.get(resources.PERSISTENT_VOLUME_CLAIMS, "extra", namespace=tenant)
        return True

    await eventually(there)
    stranger = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "stranger",
            "namespace": tenant,
            "labels": {"talkdesk-operator.io/managed": f"{world.release.namespace}.td"},
        },
    }
    await world.kube.create(resources.CONFIG_MAPS, stranger)
    await declare(template)

    async def gone() -> bool:
        left = [
            *(await world.kube.list(resources.CONFIG_MAPS, namespace=tenant)).items,
            *(await world.kube.list(resources.SECRETS, namespace=tenant)).items,
        ]
        return not [one for one in left if one["metadata"]["name"] == "extra"]

    await eventually(gone)
    await world.quiet()
    await world.kube.get(resources.PERSISTENT_VOLUME_CLAIMS, "extra", namespace=tenant)
    await world.kube.get(resources.CONFIG_MAPS, "stranger", namespace=tenant)

    await declare([])  # a mistake, as likely as not: nothing goes for it
    await world.quiet()
    await world.condition(ready, "Ready", "True")
    for kind in (resources.DEPLOYMENTS, resources.SERVICES):
        assert "deletionTimestamp" not in (await world.kube.get(kind, "demo", namespace=tenant))["metadata"]


async def test_a_pass_over_an_unchanged_installation_writes_nothing(
    world: World, ready: Any, eventually: Any
) -> None:
    await world.quiet()
    since = world.plane.audit_position()
    stored = await world.installation(ready)
    passes = await world.passes()
    await world.kube.merge_patch(
        resources.INSTALLATIONS,
        ready.name,
        {"metadata": {"labels": {"touched": "once"}}},
        namespace=world.release.namespace,
    )

    async def looked() -> bool:
        return bool(await world.passes() > passes)

    await eventually(looked)
    await world.quiet()
    assert world.writes(since) == []
    after = await world.installation(ready)
    assert after["status"] == stored["status"]


async def test_a_restart_writes_nothing_and_asks_talkdesk_nothing(
    world: World, ready: Any, eventually: Any
) -> None:
    await world.quiet()
    before = len(await world.ledger())
    since = world.plane.audit_position()
    world.operators[0].kill()
    await eventually(world.restarted)
    tenant = await world.tenant(ready)

    async def looked() -> bool:
        return bool(await world.passes() > 0)

    await eventually(looked)
    await world.quiet()
    assert world.writes(since) == []
    assert [one for one in (await world.ledger())[before:] if one["kind"] in ("token", "api")] == []
    await world.kube.delete(resources.SERVICES, "demo", namespace=tenant)

    async def back() -> bool:
        await world.kube.get(resources.SERVICES, "demo", namespace=tenant)
        return True

    await eventually(back)


async def test_an_inventory_that_was_lost_is_made_again(world: World, ready: Any, eventually: Any) -> None:
    tenant = await world.tenant(ready)
    name = f"inventory-{tenant}"
    await world.kube.delete(resources.CONFIG_MAPS, name, namespace=world.release.namespace)

    async def back() -> bool:
        found = await world.kube.get(resources.CONFIG_MAPS, name, namespace=world.release.namespace)
        return all("uid" in one for one in json.loads(found["data"]["objects.json"]))

    await eventually(back)
    await world.condition(ready, "Ready", "True")


async def test_a_slice_that_was_lost_is_listed_again(world: World, ready: Any, eventually: Any) -> None:
    found = await world.kube.list(resources.USER_SLICES, namespace=world.release.namespace)
    for one in found.items:
        await world.kube.delete(
            resources.USER_SLICES, one["metadata"]["name"], namespace=world.release.namespace
        )

    async def back() -> bool:
        return set(await world.licensed(ready)) == set(ready.users)

    await eventually(back)


async def test_an_installation_that_is_deleted_leaves_a_suspended_tenant(
    world: World, ready: Any, eventually: Any
) -> None:
    tenant = await world.tenant(ready)
    await world.quiet()  # the event of the trial's beginning would make the object anew
    await world.kube.delete(resources.INSTALLATIONS, ready.name, namespace=world.release.namespace)

    async def suspended() -> bool:
        deployment = await world.kube.get(resources.DEPLOYMENTS, "demo", namespace=tenant)
        return bool(deployment["spec"]["replicas"] == 0)

    await eventually(suspended)


async def test_sigterm_gives_the_lease_back_at_once(world: World, ready: Any) -> None:
    await world.operators[0].terminate(signal.SIGTERM)
    name = f"{world.release.name}-operator"
    lease = await world.kube.get(resources.LEASES, name, namespace=world.release.namespace)
    assert not lease["spec"].get("holderIdentity")
    assert "Traceback" not in world.logs()
    await world.operators[0].ready()
    await world.condition(ready, "Ready", "True")
