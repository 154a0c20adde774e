"""What tenants are made from while their app changes, breaks, or loses a revision. No pod runs here."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from talkdesk_crds import names
from talkdesk_kube import NotFound, resources

if TYPE_CHECKING:
    World = Any

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def change(world: World, **spec: Any) -> None:
    await world.kube.merge_patch(resources.APPS, world.app, {"spec": spec}, namespace=world.release.namespace)


async def template(world: World, **data: str) -> list[dict[str, Any]]:
    """The app's template with a ConfigMap ``extra`` of these data."""
    app = await world.kube.get(resources.APPS, world.app, namespace=world.release.namespace)
    others = [one for one in app["spec"]["template"] if one["metadata"]["name"] != "extra"]
    extra = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "extra"}, "data": data}
    return [*copy.deepcopy(others), extra]


async def refused(world: World) -> list[dict[str, Any]]:
    """The app's template with an object that the API server takes from nobody."""
    made = await template(world)
    return [*made[:-1], {**made[-1], "data": {"not a key!": "x"}}]


async def extra(world: World, tenant: str) -> dict[str, str]:
    found = await world.kube.get(resources.CONFIG_MAPS, "extra", namespace=tenant)
    return dict(found.get("data") or {})


async def status(world: World, installed: Any) -> dict[str, Any]:
    return dict((await world.installation(installed))["status"])


async def rolled(world: World, eventually: Any, reason: str) -> dict[str, Any]:
    """The app's status once RolledOut says ``reason`` about its present generation."""

    async def look() -> dict[str, Any] | None:
        app = await world.kube.get(resources.APPS, world.app, namespace=world.release.namespace)
        found: dict[str, Any] = app["status"]
        (one,) = [one for one in found["conditions"] if one["type"] == "RolledOut"]
        current = found["observedGeneration"] == app["metadata"]["generation"]
        return {**found, "said": one["message"]} if current and one["reason"] == reason else None

    result: dict[str, Any] = await eventually(look)
    return result


async def tenants(world: World, number: int) -> list[Any]:
    made = [await world.install(users=1) for _ in range(number)]
    for one in made:
        await world.condition(one, "Ready", "True")
    return made


async def touch(world: World, tenant: str) -> None:
    """Somebody spoils an object of the tenant."""
    await world.kube.merge_patch(
        resources.CONFIG_MAPS, "extra", {"data": {"by": "hand"}}, namespace=tenant, field_manager="someone"
    )


async def test_a_broken_app_leaves_tenants_their_revision_and_new_ones_get_the_last_good(
    world: World, eventually: Any
) -> None:
    await world.declare()
    await change(world, template=await template(world, by="the app"))
    (first,) = await tenants(world, 1)
    good = (await rolled(world, eventually, "RolledOut"))["revision"]
    await change(world, template=await template(world, by="${no.such.thing}"))
    broken = await rolled(world, eventually, "NotChecked")
    assert broken["revision"] == good

    tenant = (await status(world, first))["tenant"]
    await touch(world, tenant)

    async def repaired() -> bool:
        return await extra(world, tenant) == {"by": "the app"}

    await eventually(repaired)
    (second,) = await tenants(world, 1)
    found = await status(world, second)
    assert found["revision"] == good
    assert await extra(world, found["tenant"]) == {"by": "the app"}


async def test_what_the_api_server_refuses_stops_at_the_first_tenant_and_one_at_rest_keeps_the_old(
    world: World, eventually: Any
) -> None:
    await world.declare(rollout={"maxUnavailable": 1, "progressSeconds": 1})
    await change(world, template=await template(world, by="the app"))
    everyone = await tenants(world, 3)
    resting = everyone.pop()
    await world.kube.merge_patch(
        resources.INSTALLATIONS, resting.name, {"spec": {"suspend": True}}, namespace=world.release.namespace
    )
    await world.condition(resting, "Ready", "False", "Suspended")
    good = (await rolled(world, eventually, "RolledOut"))["revision"]

    await change(world, template=await refused(world))
    stalled = await rolled(world, eventually, "RolloutStalled")
    bad = stalled["rollout"]["revision"]
    told = {
        one.name: (await world.kube.get(resources.NAMESPACES, (await status(world, one))["tenant"]))[
            "metadata"
        ]["annotations"].get(names.REVISION_ANNOTATION)
        for one in (*everyone, resting)
    }
    (broken,) = [name for name, revision in told.items() if revision == bad]
    assert broken != resting.name

    async def said() -> bool:
        return (
            f"waiting for {broken} (ChangeRefused"
            in (await rolled(world, eventually, "RolloutStalled"))["said"]
        )

    await eventually(said)
    assert {(await status(world, one))["revision"] for one in everyone} == {good}

    await change(world, template=await template(world, by="the app, mended"))
    mended = (await rolled(world, eventually, "RolledOut"))["revision"]
    for one in everyone:
        found = await status(world, one)
        assert found["revision"] == mended
        assert await extra(world, found["tenant"]) == {"by": "the app, mended"}

    async def resting_too() -> bool:
        return bool((await status(world, resting))["revision"] == mended)

    await eventually(resting_too)


async def test_a_paused_tenant_is_not_told_and_follows_when_it_is_let_go(
    world: World, eventually: Any
) -> None:
    await world.declare()
    paused, other = await tenants(world, 2)
    before = (await rolled(world, eventually, "RolledOut"))["revision"]

    async def pause(value: str | None) -> None:
        annotations = {"metadata": {"annotations": {names.PAUSED_ANNOTATION: value}}}
        await world.kube.merge_patch(
            resources.INSTALLATIONS, paused.name, annotations, namespace=world.release.namespace
        )

    await pause("being looked at")
    await change(world, template=await template(world, by="the app"))
    said = await rolled(world, eventually, "RolledOut")
    assert paused.name in said["said"]
    assert (await status(world, paused))["revision"] == before
    assert (await status(world, other))["revision"] == said["revision"] != before
    await pause(None)

    async def followed() -> bool:
        return bool((await status(world, paused))["revision"] == said["revision"])

    await eventually(followed)


async def test_the_wanted_revision_is_made_again_where_somebody_deletes_or_forges_it(
    world: World, eventually: Any
) -> None:
    await world.declare()
    await change(world, template=await template(world, by="the app"))
    (one,) = await tenants(world, 1)
    name = (await rolled(world, eventually, "RolledOut"))["revision"]
    where = {"namespace": world.release.namespace}
    stored = await world.kube.get(resources.CONTROLLER_REVISIONS, name, **where)
    await world.kube.delete(resources.CONTROLLER_REVISIONS, name, **where)

    async def again() -> Any:
        found = await world.kube.get(resources.CONTROLLER_REVISIONS, name, **where)
        return found if found["metadata"]["uid"] != stored["metadata"]["uid"] else None

    found = await eventually(again)
    assert found["data"] == stored["data"]
    assert not found["metadata"].get("ownerReferences")
    assert (await status(world, one))["revision"] == name
    await world.condition(one, "Ready", "True")


async def test_a_tenant_whose_revision_is_gone_stays_as_it_is_says_so_and_gets_another(
    world: World, eventually: Any
) -> None:
    await world.declare(rollout={"maxUnavailable": 1, "progressSeconds": 1})
    await change(world, template=await template(world, by="the app"))
    everyone = await tenants(world, 2)
    good = (await rolled(world, eventually, "RolledOut"))["revision"]
    await change(world, template=await refused(world))
    stalled = await rolled(world, eventually, "RolloutStalled")
    (calm,) = [one for one in everyone if one.name not in stalled["said"]]
    await world.kube.delete(resources.CONTROLLER_REVISIONS, good, namespace=world.release.namespace)
    shown = await world.condition(calm, "TenantReady", "True", "RevisionMissing")
    assert good in shown["message"]
    tenant = (await status(world, calm))["tenant"]
    assert await extra(world, tenant) == {"by": "the app"}

    await change(world, template=await template(world, by="the app, mended"))
    mended = (await rolled(world, eventually, "RolledOut"))["revision"]
    await world.condition(calm, "TenantReady", "True", "NamespaceReady")
    assert (await status(world, calm))["revision"] == mended
    assert await extra(world, tenant) == {"by": "the app, mended"}


async def test_the_order_survives_the_applies_of_the_tenant_and_is_no_drift(
    world: World, eventually: Any
) -> None:
    await world.declare()
    await change(world, template=await template(world, by="the app"))
    (one,) = await tenants(world, 1)
    await change(world, template=await template(world, by="the app, changed"))
    name = (await rolled(world, eventually, "RolledOut"))["revision"]
    tenant = (await status(world, one))["tenant"]
    wrong = {"metadata": {"labels": {names.ACCOUNT_LABEL: "wrong"}}}
    await world.kube.merge_patch(resources.NAMESPACES, tenant, wrong, field_manager="someone")

    async def repaired() -> Any:
        found = await world.kube.get(resources.NAMESPACES, tenant)
        return found if found["metadata"]["labels"][names.ACCOUNT_LABEL] != "wrong" else None

    found = await eventually(repaired)
    assert found["metadata"]["annotations"][names.REVISION_ANNOTATION] == name
    managers = {
        one["manager"]
        for one in found["metadata"]["managedFields"]
        if f"f:{names.REVISION_ANNOTATION}" in str(one["fieldsV1"])
    }
    assert managers == {"talkdesk-operator-rollout"}


async def test_revisions_that_nobody_names_go_and_those_of_a_deleted_app_stay_while_they_are_named(
    world: World, eventually: Any
) -> None:
    await world.declare()
    (one,) = await tenants(world, 1)
    for number in range(3):
        await change(world, template=await template(world, number=str(number)))
    last = (await rolled(world, eventually, "RolledOut"))["revision"]
    label = f"{names.APP_LABEL}={names.label_value(world.app_id)}"

    async def only_the_last() -> bool:
        found = await world.kube.list(
            resources.CONTROLLER_REVISIONS, namespace=world.release.namespace, labels=label
        )
        return {item["metadata"]["name"] for item in found.items} == {last}

    await eventually(only_the_last)
    await world.kube.delete(resources.APPS, world.app, namespace=world.release.namespace)
    await world.condition(one, "AppKnown", "False", "AppUnknown")
    assert await only_the_last()
    await world.kube.delete(resources.INSTALLATIONS, one.name, namespace=world.release.namespace)


async def test_an_app_that_goes_before_it_has_tenants_leaves_no_revision(
    world: World, eventually: Any
) -> None:
    await world.declare()
    name = (await rolled(world, eventually, "RolledOut"))["revision"]
    await world.kube.delete(resources.APPS, world.app, namespace=world.release.namespace)

    async def gone() -> bool:
        try:
            await world.kube.get(resources.CONTROLLER_REVISIONS, name, namespace=world.release.namespace)
        except NotFound:
            return True
        return False

    await eventually(gone)
