"""What becomes of a customer who left: kept, found again, deleted; or of whom only the object was deleted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from talkdesk_crds import names
from talkdesk_kube import NotFound, resources

if TYPE_CHECKING:
    from typing import Any

    World = Any

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOON = {"seconds": 3}
OWN_KINDS = (
    resources.INSTALLATIONS,
    resources.USER_SLICES,
    resources.REVOCATIONS,
    resources.CONFIG_MAPS,
)


async def customer(world: World, **retention: Any) -> Any:
    """A customer who is served."""
    await world.declare(retention=retention)
    installed = await world.install()
    await world.approved(installed)
    await world.condition(installed, "Ready", "True")
    return installed


async def gone(world: World, resource: Any, name: str, *, namespace: str | None = None) -> bool:
    try:
        await world.kube.get(resource, name, namespace=namespace)
    except NotFound:
        return True
    return False


async def delete_object(world: World, installed: Any) -> None:
    """``kubectl delete tdi``: returns once it is gone."""
    where = ("--namespace", world.release.namespace)
    world.plane.kubectl("delete", "tdi", installed.name, "--timeout=20s", *where)


async def since(world: World, tenant: str) -> str | None:
    namespace = await world.kube.get(resources.NAMESPACES, tenant)
    found: str | None = namespace["metadata"]["annotations"].get(names.UNCLAIMED_ANNOTATION)
    return found


async def left_of(world: World, installed: Any, tenant: str) -> list[str]:
    """Everything that is left of the customer, anywhere."""
    if await _is_there(world, tenant):  # which takes longest
        return [f"Namespace {tenant}"]
    found = []
    marks = {installed.id, installed.account, installed.name, tenant, f"inventory-{tenant}"}
    for kind in OWN_KINDS:
        for item in (await world.kube.list(kind, namespace=world.release.namespace)).items:
            text = {item["metadata"]["name"], *(item["metadata"].get("labels") or {}).values()}
            text |= {str(value) for value in (item.get("spec") or {}).values()}
            if marks & text:
                found.append(f"{item['kind']} {item['metadata']['name']}")
    secrets = await world.kube.list(resources.SECRETS, namespace=world.release.credentials_namespace)
    found += [
        f"Secret {item['metadata']['name']}"
        for item in secrets.items
        if marks & set((item["metadata"].get("labels") or {}).values())
    ]
    return found


async def _is_there(world: World, tenant: str) -> bool:
    try:
        await world.kube.get(resources.NAMESPACES, tenant)
    except NotFound:
        return False
    return True


async def nothing_left(world: World, installed: Any, tenant: str, eventually: Any) -> None:
    left: list[str] = []

    async def clean() -> bool:
        nonlocal left
        left = await left_of(world, installed, tenant)
        return not left

    try:
        await eventually(clean)
    except AssertionError:
        raise AssertionError(f"left: {left}") from None


async def test_an_uninstalled_customer_is_kept_for_the_retention_and_then_nothing_is_left(
    world: World, eventually: Any
) -> None:
    installed = await customer(world, seconds=6)
    tenant = await world.tenant(installed)
    gone_user = installed.users[1]
    await world.post(f"/control/installations/{installed.id}/update", {"removing": [gone_user]})
    await world.approved(installed, 2)
    assert await left_of(world, installed, tenant)
    await world.post(f"/control/installations/{installed.id}/uninstall", {})
    await world.approved(installed, 3)
    await world.condition(installed, "Confirmed", "True", "UninstallApproved")

    async def shown() -> str | None:
        marked = await since(world, tenant)
        until = (await world.installation(installed))["status"].get("deadlines", {}).get("retention")
        if not (marked and until):
            return None
        # Until the approval is stored, Talkdesk's own seven days count.
        assert datetime.fromisoformat(until) - datetime.fromisoformat(marked) == timedelta(seconds=6)
        return until

    kept_until = datetime.fromisoformat(await eventually(shown))
    namespace = await world.kube.get(resources.NAMESPACES, tenant)
    if datetime.now(UTC) < kept_until:
        assert not namespace["metadata"].get("deletionTimestamp")
    position = world.plane.audit_position()
    await nothing_left(world, installed, tenant, eventually)
    deleted = [
        datetime.fromisoformat(entry["requestReceivedTimestamp"])
        for entry in world.plane.audit(since=position)
        if entry["verb"] == "delete"
        and entry["user"]["username"] == world.release.user("operator")
        and (entry.get("objectRef") or {}).get("name") == tenant
    ]
    assert len(deleted) == 1
    assert deleted[0] >= kept_until


async def test_a_reinstall_stops_the_clock_and_outlives_the_old_installations_retention(
    world: World, eventually: Any
) -> None:
    first = await customer(world, seconds=4)
    tenant = await world.tenant(first)
    uid = (await world.kube.get(resources.NAMESPACES, tenant))["metadata"]["uid"]
    await world.kube.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "written-by-the-app", "namespace": tenant},
            "data": {"settings": "dark"},
        },
        field_manager="the-app",
    )
    await world.post(f"/control/installations/{first.id}/uninstall", {})
    await world.approved(first, 2)
    second = await world.install(account=first.account, people=first.users)
    await world.approved(second)
    await world.condition(second, "Ready", "True")

    async def old_one_gone() -> bool:
        return await gone(
            world, resources.INSTALLATIONS, first.name, namespace=world.release.namespace
        ) and not await secrets_of(world, first)

    await eventually(old_one_gone)
    assert await secrets_of(world, second)
    namespace = await world.kube.get(resources.NAMESPACES, tenant)
    assert namespace["metadata"]["uid"] == uid
    assert not namespace["metadata"].get("deletionTimestamp")
    assert await since(world, tenant) is None
    kept = await world.kube.get(resources.CONFIG_MAPS, "written-by-the-app", namespace=tenant)
    assert kept["data"] == {"settings": "dark"}
    status = (await world.installation(second))["status"]
    assert status["access"]["state"] == "Allowed"
    assert "retention" not in status.get("deadlines", {})


async def test_a_reinstall_takes_the_record_away_although_the_old_installation_is_paused(
    world: World, eventually: Any
) -> None:
    first = await customer(world, seconds=3600)
    tenant = await world.tenant(first)
    await world.post(f"/control/installations/{first.id}/uninstall", {})
    await world.approved(first, 2)

    async def marked() -> bool:
        return await since(world, tenant) is not None

    await eventually(marked)
    pause = {"metadata": {"annotations": {names.PAUSED_ANNOTATION: "its data is still needed"}}}
    where = {"namespace": world.release.namespace}
    await world.kube.merge_patch(resources.INSTALLATIONS, first.name, pause, **where)
    second = await world.install(account=first.account, people=first.users)
    await world.approved(second)
    await world.condition(second, "Ready", "True")

    async def taken_away() -> bool:
        return not await marked()

    await eventually(taken_away)


async def test_news_of_an_older_installation_touches_nothing_that_the_newer_one_holds(
    world: World, eventually: Any
) -> None:
    first = await customer(world, seconds=3600)
    tenant = await world.tenant(first)
    left = (await world.post(f"/control/installations/{first.id}/uninstall", {}))["event_id"]
    await world.approved(first, 2)
    second = await world.install(account=first.account, people=first.users)
    await world.approved(second)
    await world.condition(second, "Ready", "True")
    await world.condition(first, "Ready", "False", "Superseded")
    await world.quiet()
    position = world.plane.audit_position()
    where = {"namespace": world.release.namespace}
    news = {
        "metadata": {"annotations": {names.RESYNC_ANNOTATION: "now"}},
        "spec": {"suspend": True},
    }
    changed = await world.kube.merge_patch(resources.INSTALLATIONS, first.name, news, **where)
    await world.post(f"/control/events/{left}/redeliver")

    async def seen() -> bool:
        status = (await world.installation(first))["status"]
        return bool(status["observedGeneration"] == changed["metadata"]["generation"])

    await eventually(seen)
    passes = await world.passes()
    await world.annotate(first, resync="again")

    async def looked() -> bool:
        return bool(await world.passes() > passes)

    await eventually(looked)
    assert world.writes(position, tenant=tenant) == []
    assert (await world.installation(second))["status"]["access"]["state"] == "Allowed"
    deployment = await world.kube.get(resources.DEPLOYMENTS, "demo", namespace=tenant)
    assert deployment["spec"]["replicas"] == 1
    assert len(await world.approvals(first)) == 2


async def secrets_of(world: World, installed: Any) -> list[str]:
    found = await world.kube.list(
        resources.SECRETS,
        namespace=world.release.credentials_namespace,
        labels=f"{names.INSTALLATION_LABEL}={names.label_value(installed.id)}",
    )
    return [item["metadata"]["name"] for item in found.items]


async def test_a_deleted_object_is_no_uninstallation_and_the_next_event_brings_the_customer_back(
    world: World, eventually: Any
) -> None:
    installed = await customer(world, seconds=3600)
    tenant = await world.tenant(installed)
    (secret,) = await secrets_of(world, installed)
    await delete_object(world, installed)

    async def stopped() -> bool:
        deployment = await world.kube.get(resources.DEPLOYMENTS, "demo", namespace=tenant)
        return deployment["spec"]["replicas"] == 0 and await since(world, tenant) is not None

    await eventually(stopped)
    lost = await world.told(installed, "Deleted")
    assert lost == lost | {"event": "access changed", "to": "None", "tenant": tenant}
    assert lost["cause"] == {"kind": "deletion"}
    assert [lost["app"], lost["account"], lost["at"]] == [
        world.app_id, installed.account, await since(world, tenant),
    ]  # fmt: skip
    added = await world.person(installed.account, 9)
    await world.post(f"/control/installations/{installed.id}/update", {"adding": [added]})
    await world.approved(installed, 2)
    await world.condition(installed, "Ready", "True")
    stored = await world.installation(installed)
    assert "installed" not in stored["spec"]["talkdesk"]
    assert "credentials" not in stored["spec"]["talkdesk"]
    assert stored["spec"]["region"] == "eu"
    assert stored["status"]["credentials"] == secret
    assert stored["status"]["access"]["state"] == "Allowed"
    assert stored["status"]["tenant"] == tenant
    assert set(await world.licensed(installed)) == {*installed.users, added}
    deployment = await world.kube.get(resources.DEPLOYMENTS, "demo", namespace=tenant)
    assert deployment["spec"]["replicas"] == 1
    assert await since(world, tenant) is None

    event = (await world.post(f"/control/installations/{installed.id}/uninstall", {}))["event_id"]
    await world.approved(installed, 3)
    await world.condition(installed, "Ready", "False", "Uninstalled")
    assert (await world.told(installed, "Uninstalled"))["cause"] == {"kind": "event", "event": event}
    assert await world.told(installed, "Deleted") == lost, "once, whoever leaves later"


async def test_an_uninstallation_after_the_object_was_deleted_is_answered_too(world: World) -> None:
    installed = await customer(world, seconds=3600)
    await delete_object(world, installed)
    await world.post(f"/control/installations/{installed.id}/uninstall", {})
    await world.approved(installed, 2)
    await world.condition(installed, "Confirmed", "True", "UninstallApproved")
    stored = await world.installation(installed)
    assert stored["status"]["access"] == {"state": "Refused", "reason": "Uninstalled"}


async def test_a_deleted_object_takes_its_tenant_along_where_the_app_says_so_but_not_its_credentials(
    world: World, eventually: Any
) -> None:
    installed = await customer(world, onDelete="Delete", seconds=3600)
    tenant = await world.tenant(installed)
    before = (await world.kube.get(resources.NAMESPACES, tenant))["metadata"]["uid"]
    await delete_object(world, installed)

    async def deleted() -> bool:
        return await gone(world, resources.NAMESPACES, tenant)

    await eventually(deleted)
    assert await secrets_of(world, installed)
    inventory = await world.kube.get(
        resources.CONFIG_MAPS, f"inventory-{tenant}", namespace=world.release.namespace
    )
    assert names.UNCLAIMED_ANNOTATION in inventory["metadata"]["annotations"]

    added = await world.person(installed.account, 9)
    await world.post(f"/control/installations/{installed.id}/update", {"adding": [added]})
    await world.approved(installed, 2)
    await world.condition(installed, "Ready", "True")
    assert (await world.kube.get(resources.NAMESPACES, tenant))["metadata"]["uid"] != before


async def test_what_a_deleted_object_left_is_deleted_after_the_retention(
    world: World, eventually: Any
) -> None:
    installed = await customer(world, seconds=3)
    tenant = await world.tenant(installed)
    await delete_object(world, installed)
    await nothing_left(world, installed, tenant, eventually)


async def test_nothing_is_deleted_while_no_app_can_be_read(world: World, eventually: Any) -> None:
    installed = await customer(world, seconds=3600)
    tenant = await world.tenant(installed)
    await world.post(f"/control/installations/{installed.id}/uninstall", {})
    await world.approved(installed, 2)

    async def marked() -> str | None:
        return await since(world, tenant)

    await eventually(marked)
    long_ago = {"metadata": {"annotations": {names.UNCLAIMED_ANNOTATION: "2020-01-01T00:00:00Z"}}}
    app = await world.kube.get(resources.APPS, world.app, namespace=world.release.namespace)
    await world.kube.delete(resources.APPS, world.app, namespace=world.release.namespace)
    await world.condition(installed, "AppKnown", "False", "AppUnknown")
    await world.kube.merge_patch(resources.NAMESPACES, tenant, long_ago)
    passes = await world.passes()
    await world.annotate(installed, resync="now")

    async def looked() -> bool:
        return bool(await world.passes() > passes)

    await eventually(looked)
    assert not (await world.kube.get(resources.NAMESPACES, tenant))["metadata"].get("deletionTimestamp")
    assert await world.installation(installed)

    metadata = {"name": world.app, "namespace": world.release.namespace}
    again = {"apiVersion": app["apiVersion"], "kind": app["kind"], "metadata": metadata, "spec": app["spec"]}
    await world.kube.apply(again, field_manager="test")
    await nothing_left(world, installed, tenant, eventually)


async def test_the_record_survives_the_operator(world: World, eventually: Any) -> None:
    installed = await customer(world, seconds=12)
    tenant = await world.tenant(installed)
    await delete_object(world, installed)

    async def marked() -> str | None:
        return await since(world, tenant)

    began = await eventually(marked)
    inventory = f"inventory-{tenant}"
    await world.kube.delete(resources.CONFIG_MAPS, inventory, namespace=world.release.namespace)
    starts = world.operators[0].starts
    world.operators[0].kill()

    async def restarted() -> bool:
        return bool(world.operators[0].starts > starts)

    await eventually(restarted)
    await world.operators[0].ready()
    if not await gone(world, resources.NAMESPACES, tenant):
        assert await since(world, tenant) == began
    await nothing_left(world, installed, tenant, eventually)
