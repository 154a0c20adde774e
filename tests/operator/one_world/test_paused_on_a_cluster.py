"""A person's hands-off, and drift that is repaired in time."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from talkdesk_kube import resources

if TYPE_CHECKING:
    from typing import Any

    World = Any

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def pause(world: World, installed: Any, why: str, eventually: Any) -> None:
    """Annotate, and wait until the operator says so."""
    await world.annotate(installed, paused=why)

    async def shown() -> bool:
        stored = await world.installation(installed)
        found = {one["type"]: one for one in stored["status"]["conditions"]}
        return found["Ready"]["status"] == "True" and "paused" in found["Ready"]["message"]

    await eventually(shown)


async def repaired(world: World, tenant: str, resource: str, name: str, since: int) -> float | None:
    """Seconds from somebody's write of the object to the operator's, both by the API server's clock."""
    spoilt: datetime | None = None
    for entry in world.plane.audit(since=since):
        what = entry.get("objectRef") or {}
        mine = [what.get(part) for part in ("namespace", "resource", "name")] == [tenant, resource, name]
        if not mine or entry["verb"] in ("get", "list", "watch"):
            continue
        if entry["user"]["username"] != world.release.user("operator"):
            spoilt = datetime.fromisoformat(entry["stageTimestamp"])
        elif spoilt is not None:
            return (datetime.fromisoformat(entry["stageTimestamp"]) - spoilt).total_seconds()
    return None


async def test_a_paused_tenant_is_not_written_to_says_so_and_users_still_lose_their_access(
    world: World, eventually: Any
) -> None:
    installed = await world.settled()
    tenant = await world.tenant(installed)
    await pause(world, installed, "maintenance until Monday", eventually)
    since = world.plane.audit_position()
    await world.spoil(tenant, "wrong")
    await world.kube.delete(resources.NETWORK_POLICIES, "tenant", namespace=tenant)
    found = await world.condition(installed, "TenantReady", "False", "Paused")

    async def both() -> bool:
        found = await world.condition(installed, "TenantReady", "False", "Paused")
        return "Service demo" in found["message"] and "NetworkPolicy tenant" in found["message"]

    await eventually(both)
    # A removal is a matter of security: it does not wait.
    change = {"adding": [], "removing": [installed.users[1]]}
    await world.post(f"/control/installations/{installed.id}/update", change)

    async def removed() -> bool:
        return set(await world.licensed(installed)) == {installed.users[0]}

    await eventually(removed)
    found = await world.condition(installed, "Confirmed", "False", "WaitingForTenant")
    assert "paused" in found["message"]
    assert world.writes(since, tenant=tenant) == []
    assert len(await world.approvals(installed)) == 1
    await world.annotate(installed, paused=None)
    await eventually(lambda: world.mended(tenant))
    await world.approved(installed, 2)
    await world.condition(installed, "Ready", "True")
    await world.kube.get(resources.NETWORK_POLICIES, "tenant", namespace=tenant)


async def test_who_is_suspended_and_leaves_while_paused_loses_access_and_nothing_else(
    world: World, eventually: Any
) -> None:
    installed = await world.settled(retention={"seconds": 1})
    tenant = await world.tenant(installed)
    await pause(world, installed, "moving the database", eventually)
    since = world.plane.audit_position()
    switch = {"spec": {"suspend": True}}
    namespace = world.release.namespace
    await world.kube.merge_patch(resources.INSTALLATIONS, installed.name, switch, namespace=namespace)

    async def refused(reason: str) -> bool:
        status = (await world.installation(installed))["status"]
        return bool(status["access"] == {"state": "Refused", "reason": reason})

    await eventually(lambda: refused("Suspended"))

    async def told() -> bool:
        found = await world.condition(installed, "TenantReady", "False", "Suspended")
        return found["message"] == "paused by annotation; not written: Deployment demo"

    await eventually(told)
    await world.post(f"/control/installations/{installed.id}/uninstall", {})
    await world.approved(installed, 2)
    await eventually(lambda: refused("Uninstalled"))
    await world.condition(installed, "Confirmed", "True", "UninstallApproved")
    # Somebody else's whole installation lies well beyond the second of retention, and beyond a pass.
    await world.approved(await world.install())
    await world.annotate(installed, resync="now")
    await world.approved(await world.install())
    assert world.writes(since, tenant=tenant) == []
    assert not (await world.kube.get(resources.NAMESPACES, tenant))["metadata"].get("deletionTimestamp")
    await world.annotate(installed, paused=None)

    async def gone() -> bool:
        return f"delete namespaces {tenant}" in world.writes(since, tenant=tenant)

    await eventually(gone)
    steps = world.writes(since, tenant=tenant)
    assert steps.index("patch deployments demo") < steps.index(f"delete namespaces {tenant}")


async def test_nobody_is_rejected_because_a_tenant_is_paused(world: World, eventually: Any) -> None:
    installed = await world.settled(approval={"gate": "NamespaceReady", "patienceSeconds": 1})
    tenant = await world.tenant(installed)
    await pause(world, installed, "true", eventually)
    await world.spoil(tenant, "wrong")
    await world.condition(installed, "TenantReady", "False", "Paused")
    added = await world.person(installed.account, 9)
    await world.post(f"/control/installations/{installed.id}/update", {"adding": [added], "removing": []})
    await world.condition(installed, "Confirmed", "False", "WaitingForTenant")
    # Somebody else's whole installation lies well beyond the second of patience.
    another = await world.install()
    await world.approved(another)
    assert not await world.approvals(installed, "reject")
    await world.annotate(installed, paused="false")
    await world.approved(installed, 2)


async def test_drift_is_repaired_within_two_seconds_and_what_is_foreign_stays(
    world: World, eventually: Any
) -> None:
    installed = await world.settled()
    tenant = await world.tenant(installed)
    taken = []
    for number in range(4):
        since = world.plane.audit_position()
        await world.spoil(tenant, f"wrong-{number}")
        taken.append(await eventually(lambda since=since: repaired(world, tenant, "services", "demo", since)))
        assert await world.mended(tenant)
    since = world.plane.audit_position()
    await world.kube.delete(resources.NETWORK_POLICIES, "tenant", namespace=tenant)
    taken.append(await eventually(lambda: repaired(world, tenant, "networkpolicies", "tenant", since)))
    await world.kube.get(resources.NETWORK_POLICIES, "tenant", namespace=tenant)
    assert max(taken) < 2, taken
    service = await world.kube.get(resources.SERVICES, "demo", namespace=tenant)
    assert service["metadata"]["annotations"]["someone"] == "wrong-3"
    managers = {one["manager"] for one in service["metadata"]["managedFields"]}
    assert {"someone", "talkdesk-operator"} <= managers
