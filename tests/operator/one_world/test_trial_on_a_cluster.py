"""Trials, from Talkdesk's event (or without it) to a tenant that stands still, and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from talkdesk_crds.meta import time
from talkdesk_kube import resources
from talkdesk_sandbox.environment import demo_app

if TYPE_CHECKING:
    from typing import Any

    World = Any

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAID = {"name": "Pro", "type": "paid", "license_type": "individual", "price": 10}
TRIAL = {"name": "Free trial", "type": "trial", "license_type": "individual", "price": 0}
#: What the app writes at runtime.
DATA = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"kept": "yes"}}
CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


async def customer(world: World, **spec: Any) -> Any:
    """A customer on a trial, served."""
    await world.declare(**spec)
    answer = await world.control.patch(f"/control/apps/{world.app_id}", json={"plans": [TRIAL, PAID]})
    answer.raise_for_status()
    installed = await world.install()
    await world.approved(installed)
    await world.condition(installed, "Ready", "True")
    return installed


def with_claim(world: World) -> list[dict[str, Any]]:
    """The demo's template, and a claim beside it."""
    return [*demo_app(app_id="", regions=world.stand_in.regions)["spec"]["template"], CLAIM]


async def kept(world: World, tenant: str) -> list[Any]:
    """What the customer has in the tenant: claim and settings, by identity and content."""
    claim = await world.kube.get(resources.PERSISTENT_VOLUME_CLAIMS, "data", namespace=tenant)
    settings = await world.kube.get(resources.CONFIG_MAPS, "settings", namespace=tenant)
    found = [one["metadata"] for one in (claim, settings)]
    assert not any("deletionTimestamp" in one for one in found)
    return [*(one["uid"] for one in found), claim["spec"], settings["data"]]


async def replicas(world: World, installed: Any) -> int:
    tenant = await world.tenant(installed)
    return int((await world.kube.get(resources.DEPLOYMENTS, "demo", namespace=tenant))["spec"]["replicas"])


async def scaled(world: World, installed: Any, number: int) -> bool:
    return await replicas(world, installed) == number


async def access(world: World, installed: Any) -> dict[str, str]:
    found: dict[str, str] = (await world.installation(installed))["status"]["access"]
    return found


async def accesses_since(world: World, installed: Any, version: str) -> list[str]:
    """Every value that access had in a stored version of the installation since ``version``."""
    watched = world.kube.watch(
        resources.INSTALLATIONS, namespace=world.release.namespace, resource_version=version, timeout=1
    )
    return [
        event.object["status"]["access"]["state"]
        async for event in watched
        if event.object["metadata"]["name"] == installed.name
    ]


async def trial_stored(world: World, installed: Any, eventually: Any, state: str) -> None:
    async def stored() -> bool:
        said = (await world.installation(installed))["spec"]["talkdesk"]
        return bool(said.get("trial", {}).get("state") == state)

    await eventually(stored)


async def until_shown(world: World, installed: Any, eventually: Any, until: str) -> None:
    """Status says that the trial lasts ``until``."""

    async def shown() -> bool:
        status = (await world.installation(installed))["status"]
        return bool(status.get("deadlines", {}).get("trial") == until)

    await eventually(shown)


async def deaf(world: World) -> str:
    """From now on Talkdesk's events of this app go to where nobody listens; the URL they went to."""
    assert world.webhook is not None
    dead = {"events_url": "http://127.0.0.1:9/nobody"}
    (await world.control.patch(f"/control/apps/{world.app_id}", json=dead)).raise_for_status()
    return f"{world.webhook.url}/events"


@pytest.mark.parametrize("after_trial", ["suspended", "completed"])
async def test_an_expired_trial_suspends_the_tenant_and_an_upgrade_resumes_it(
    world: World, after_trial: str
) -> None:
    async with world.switched(after_trial=after_trial):
        installed = await customer(world, template=with_claim(world))
        tenant = await world.tenant(installed)
        written = {**DATA, "metadata": {"name": "settings", "namespace": tenant}}
        await world.kube.apply(written, field_manager="the-app")
        data = await kept(world, tenant)
        await world.post(f"/control/installations/{installed.id}/trial/end", {"reason": "trial_expired"})
        found = await world.condition(installed, "Ready", "False", "TrialEnded")
        assert "the trial ended at" in found["message"]
        assert await access(world, installed) == {"state": "Refused", "reason": "TrialEnded"}
        assert await replicas(world, installed) == 0
        assert not (await world.kube.get(resources.NAMESPACES, tenant))["metadata"].get("deletionTimestamp")
        assert await kept(world, tenant) == data

        await world.post(f"/control/installations/{installed.id}/update", {"plan": "Pro"})
        await world.approved(installed, 2)
        await world.condition(installed, "Ready", "True")
        assert (await access(world, installed))["state"] == "Allowed"
        assert await replicas(world, installed) == 1
        assert await kept(world, tenant) == data
        assert "trial" not in (await world.installation(installed))["status"].get("deadlines", {})


async def test_other_users_are_approved_while_the_trial_is_over_and_nothing_runs_or_opens(
    world: World,
) -> None:
    installed = await customer(world)
    await world.post(f"/control/installations/{installed.id}/trial/end", {"reason": "trial_expired"})
    await world.condition(installed, "Ready", "False", "TrialEnded")
    added = await world.person(installed.account, 9)
    await world.post(f"/control/installations/{installed.id}/update", {"adding": [added]})
    await world.approved(installed, 2)
    await world.condition(installed, "Confirmed", "True")
    assert set(await world.licensed(installed)) == {*installed.users, added}
    assert await access(world, installed) == {"state": "Refused", "reason": "TrialEnded"}
    assert await replicas(world, installed) == 0


async def test_a_plan_may_keep_a_suspended_tenant_running_but_not_one_whose_customer_left(
    world: World, eventually: Any
) -> None:
    installed = await customer(world, defaultPlan={"onSuspend": "KeepRunning"})
    await world.post(f"/control/installations/{installed.id}/trial/end", {"reason": "trial_expired"})
    await world.condition(installed, "Ready", "False", "TrialEnded")
    assert (await access(world, installed))["state"] == "Refused"
    assert await replicas(world, installed) == 1
    await world.post(f"/control/installations/{installed.id}/uninstall", {})

    async def stopped() -> bool:
        return await replicas(world, installed) == 0

    await eventually(stopped)


async def test_a_trial_that_starts_again_resumes_the_tenant(world: World, eventually: Any) -> None:
    installed = await customer(world)
    await world.post(f"/control/installations/{installed.id}/trial/end", {"reason": "trial_expired"})
    await world.condition(installed, "Ready", "False", "TrialEnded")
    until = time(datetime.now(UTC) + timedelta(days=5))
    await world.post(f"/control/installations/{installed.id}/trial/start", {"expires_at": until})
    await world.condition(installed, "Ready", "True")
    await until_shown(world, installed, eventually, until)
    assert (await access(world, installed))["state"] == "Allowed"
    assert await replicas(world, installed) == 1


@pytest.mark.parametrize("when", ["at-approval", "at-update"])
async def test_a_trial_that_ends_by_an_upgrade_suspends_nobody(
    world: World, eventually: Any, when: str
) -> None:
    async with world.switched(upgrade_ends_trial=when):
        installed = await customer(world)
        await trial_stored(world, installed, eventually, "started")
        before_update = await world.kube.list(resources.INSTALLATIONS, namespace=world.release.namespace)
        await world.post(f"/control/installations/{installed.id}/update", {"plan": "Pro"})
        await world.approved(installed, 2)
        await trial_stored(world, installed, eventually, "ended")
        await world.condition(installed, "Ready", "True")
        seen = await accesses_since(world, installed, before_update.resource_version)
        assert seen
        assert set(seen) == {"Allowed"}


async def test_the_clock_ends_a_trial_whose_end_nobody_told(world: World, eventually: Any) -> None:
    installed = await customer(world)
    await trial_stored(world, installed, eventually, "started")
    ends = datetime.now(UTC) + timedelta(seconds=4)
    await world.post(f"/control/installations/{installed.id}/trial/extend", {"expires_at": time(ends)})
    await trial_stored(world, installed, eventually, "extended")
    await deaf(world)
    await until_shown(world, installed, eventually, time(ends))
    assert (await access(world, installed))["state"] == "Allowed"
    await world.condition(installed, "Ready", "False", "TrialEnded")
    assert datetime.now(UTC) >= ends.replace(microsecond=0)
    assert (await world.installation(installed))["spec"]["talkdesk"]["trial"]["state"] == "extended"
    assert await replicas(world, installed) == 0
    line = await world.told(installed, "TrialEnded")
    assert (line["from"], line["to"]) == ("Allowed", "Refused")
    assert line["cause"] == {"kind": "clock", "ends": time(ends)}


async def test_an_extension_that_nobody_told_locks_nobody_out(world: World, eventually: Any) -> None:
    installed = await customer(world)
    await trial_stored(world, installed, eventually, "started")
    ends = datetime.now(UTC) + timedelta(seconds=4)
    await world.post(f"/control/installations/{installed.id}/trial/extend", {"expires_at": time(ends)})
    await trial_stored(world, installed, eventually, "extended")
    await deaf(world)
    until = time(datetime.now(UTC) + timedelta(days=30))
    await world.post(f"/control/installations/{installed.id}/trial/extend", {"expires_at": until})
    position = world.plane.audit_position()
    await until_shown(world, installed, eventually, until)
    assert (await access(world, installed))["state"] == "Allowed"
    assert await replicas(world, installed) == 1
    tenant = await world.tenant(installed)
    scaled = [
        entry
        for entry in world.plane.audit(since=position)
        if (entry.get("objectRef") or {}).get("namespace") == tenant
        and (entry.get("objectRef") or {}).get("resource") == "deployments"
        and entry["verb"] == "patch"
        and entry["user"]["username"] == world.release.user("operator")
    ]
    assert not scaled


async def test_while_talkdesk_cannot_be_read_access_stays_for_the_grace_and_an_extension_brings_it_back(
    world: World, eventually: Any
) -> None:
    installed = await customer(world, trial={"graceSeconds": 4})
    await trial_stored(world, installed, eventually, "started")
    ends = datetime.now(UTC) + timedelta(seconds=4)
    await world.post(f"/control/installations/{installed.id}/trial/extend", {"expires_at": time(ends)})
    await trial_stored(world, installed, eventually, "extended")
    await deaf(world)
    # While the API shows the trial from before, the later of the two ends counts.
    await until_shown(world, installed, eventually, time(ends))
    fault = {"path": f".*/installations/{installed.id}.*", "times": 100_000, "status": 503}
    await world.post("/control/faults", fault)
    until = time(datetime.now(UTC) + timedelta(days=30))
    await world.post(f"/control/installations/{installed.id}/trial/extend", {"expires_at": until})
    try:
        seen_after_the_end = False

        async def refused() -> bool:
            nonlocal seen_after_the_end
            now, shown = datetime.now(UTC), await access(world, installed)
            if shown["state"] == "Allowed" and now > ends + timedelta(seconds=1):
                seen_after_the_end = True
            return shown == {"state": "Refused", "reason": "TrialEnded"}

        await eventually(refused)
        assert seen_after_the_end, "access ended with the trial, although Talkdesk could not be asked"
        await eventually(lambda: scaled(world, installed, 0))
    finally:
        (await world.control.delete("/control/faults")).raise_for_status()
    # The extension that nobody heard of comes to light, and brings back who was suspended.
    await until_shown(world, installed, eventually, until)
    await world.condition(installed, "Ready", "True")
    assert (await access(world, installed))["state"] == "Allowed"
    await eventually(lambda: scaled(world, installed, 1))


async def test_what_an_event_ended_is_over_while_talkdesk_does_not_answer(
    world: World, eventually: Any
) -> None:
    installed = await customer(world)
    silence = {"path": f".*/installations/{installed.id}.*", "times": 100_000, "delay_seconds": 30}
    await world.post("/control/faults", silence)
    try:
        await world.post(f"/control/installations/{installed.id}/trial/end", {"reason": "trial_expired"})

        async def over() -> bool:
            return await access(world, installed) == {"state": "Refused", "reason": "TrialEnded"}

        await eventually(over, within=5)
    finally:
        (await world.control.delete("/control/faults")).raise_for_status()
    await world.condition(installed, "Ready", "False", "TrialEnded")
    assert await replicas(world, installed) == 0
