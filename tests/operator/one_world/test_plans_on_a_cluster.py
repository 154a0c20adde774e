"""Plans, changes of plan and app versions, as Talkdesk asks for them and the API server holds them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from talkdesk_crds.names import PAUSED_ANNOTATION
from talkdesk_kube import resources

if TYPE_CHECKING:
    from typing import Any

    World = Any

pytestmark = pytest.mark.asyncio(loop_scope="session")

FREE, PAID = "Free", "Paid"
AT_TALKDESK = [
    {"name": FREE, "type": "paid", "license_type": "individual", "price": 0},
    {"name": PAID, "type": "paid", "license_type": "individual", "price": 20},
]
#: Nothing runs here: what is not ready stays so.
NEVER_READY = {"gate": "WorkloadReady", "patienceSeconds": 1}


def settings(text: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"is": text}}


def worker(replicas: Any) -> dict[str, Any]:
    pod = {
        "metadata": {"labels": {"app": "worker"}},
        "spec": {"containers": [{"name": "worker", "image": "talkdesk-demo:1"}]},
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "worker"}}, "template": pod}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "worker"}, "spec": spec}


def claim(size: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}},
    }


def plans(free: dict[str, Any], paid: dict[str, Any]) -> dict[str, Any]:
    return {FREE: {"quota": {"pods": "4"}, **free}, PAID: {"quota": {"pods": "9"}, **paid}}


async def declared(world: World, **spec: Any) -> None:
    await world.declare(**spec)
    answer = await world.control.patch(f"/control/apps/{world.app_id}", json={"plans": AT_TALKDESK})
    answer.raise_for_status()


async def change(world: World, **spec: Any) -> None:
    """Change the TalkdeskApp."""
    await world.kube.merge_patch(resources.APPS, world.app, {"spec": spec}, namespace=world.release.namespace)


async def subscribed(world: World, installed: Any, plan: str) -> None:
    """The customer asks for another plan."""
    await world.post(f"/control/installations/{installed.id}/update", {"plan": plan})


async def quota(world: World, installed: Any) -> str:
    found = await world.kube.get(resources.RESOURCE_QUOTAS, "tenant", namespace=await world.tenant(installed))
    return str(found["spec"]["hard"]["pods"])


async def uids(world: World, installed: Any, *kinds: Any) -> dict[str, str]:
    tenant = await world.tenant(installed)
    found = {"Namespace": (await world.kube.get(resources.NAMESPACES, tenant))["metadata"]["uid"]}
    for kind in kinds:
        for one in (await world.kube.list(kind, namespace=tenant)).items:
            found[f"{one['kind']} {one['metadata']['name']}"] = one["metadata"]["uid"]
    return found


async def read_again(world: World, installed: Any, eventually: Any) -> None:
    """Wait until everything has been read from Talkdesk once more, and acted on."""
    token = f"{world.plane.audit_position()}"
    await world.annotate(installed, resync=token)

    async def seen() -> bool:
        return bool((await world.installation(installed))["status"]["observedResync"] == token)

    await eventually(seen)


def sent(world: World, tenant: str, since: int) -> list[tuple[str, bool]]:
    """What the operator changed in the tenant since that place of the audit log: (what, dry run)."""
    user = world.release.user("operator")
    return [
        (f"{entry['verb']} {entry['objectRef']['resource']}", "dryRun=All" in entry["requestURI"])
        for entry in world.plane.audit(since=since)
        if entry["user"]["username"] == user
        and entry["verb"] in {"create", "update", "patch", "delete"}
        and (entry.get("objectRef") or {}).get("namespace") == tenant
    ]


async def test_a_plan_that_the_app_does_not_declare_gets_the_default_and_says_so(
    world: World, eventually: Any
) -> None:
    default = {"quota": {"pods": "5"}}
    await declared(world, defaultPlan=default, plans={PAID: {"quota": {"pods": "9"}}})
    installed = await world.install(plan=FREE)
    await world.approved(installed)
    await world.condition(installed, "Ready", "True")
    found = await world.condition(installed, "PlanKnown", "False", "PlanUnknown")
    assert "'Free'" in found["message"]
    assert f"TalkdeskApp {world.app}" in found["message"]
    assert await quota(world, installed) == "5"
    assert (await world.installation(installed))["status"]["plan"] == FREE

    await change(world, plans={FREE: {"quota": {"pods": "6"}}})
    await world.condition(installed, "PlanKnown", "True", "PlanFound")

    async def given() -> bool:
        return await quota(world, installed) == "6"

    await eventually(given)


async def test_an_app_without_plans_has_one_for_all(world: World) -> None:
    await declared(world)
    installed = await world.install(plan=FREE)
    await world.condition(installed, "PlanKnown", "True", "OnePlanForAll")


async def test_an_installation_without_a_subscription_gets_the_default_and_says_so(world: World) -> None:
    await declared(world, plans=plans({}, {}))
    fault = {"path": ".*/subscription", "status": 404, "body": {"error": "no subscription"}, "times": 100}
    await world.post("/control/faults", fault)
    try:
        installed = await world.install(plan=FREE)
        await world.condition(installed, "PlanKnown", "False", "NoSubscription")
        await world.condition(installed, "Ready", "True")
        assert (await world.installation(installed))["status"]["plan"] == "default"
    finally:
        (await world.control.delete("/control/faults")).raise_for_status()


@pytest.mark.parametrize("shows", ["new", "old"])
async def test_an_approved_update_gives_the_new_plan_whatever_talkdesk_shows_meanwhile(
    world: World, eventually: Any, shows: str
) -> None:
    async with world.switched(update_shows=shows):
        await declared(world, plans=plans({}, {}), template=[settings("plan ${plan.name}")])
        installed = await world.install(plan=FREE)
        await world.approved(installed)
        await world.condition(installed, "Ready", "True")
        before = await uids(world, installed, resources.CONFIG_MAPS)
        since = world.plane.audit_position()
        await subscribed(world, installed, PAID)
        await world.approved(installed, 2)
        # At the very moment of the approval, not some time later.
        assert await quota(world, installed) == "9"
        await read_again(world, installed, eventually)
        stored = await world.installation(installed)
        assert stored["spec"]["talkdesk"]["subscription"]["name"] == PAID
        assert stored["status"]["plan"] == PAID
        assert await uids(world, installed, resources.CONFIG_MAPS) == before
        tenant = await world.tenant(installed)
        record = await world.kube.get(resources.CONFIG_MAPS, "talkdesk-account", namespace=tenant)
        assert json.loads(record["data"]["account.json"])["plan"]["name"] == PAID
        # To the new plan, and not back and there again in between.
        written = [what for what, dry in sent(world, tenant, since) if not dry]
        assert written.count("patch resourcequotas") == 1


async def test_an_approved_update_gives_the_new_plan_although_talkdesk_does_not_tell_the_account(
    world: World, eventually: Any
) -> None:
    free, paid = ({"numbers": {"replicas": number}} for number in (1, 3))
    template = [worker("${plan.numbers.replicas}")]
    await declared(world, plans=plans(free, paid), defaultPlan=free, template=template)
    await world.post("/control/faults", {"path": "/account", "status": 403, "times": 100})
    try:
        installed = await world.install(plan=FREE)
        await world.approved(installed)
        await world.condition(installed, "Ready", "True")
        tenant = await world.tenant(installed)
        await subscribed(world, installed, PAID)
        await world.approved(installed, 2)
        assert await quota(world, installed) == "9"
        deployed = await world.kube.get(resources.DEPLOYMENTS, "worker", namespace=tenant)
        assert deployed["spec"]["replicas"] == 3
        await read_again(world, installed, eventually)
        assert (await world.installation(installed))["status"]["plan"] == PAID
        assert await quota(world, installed) == "9"
    finally:
        (await world.control.delete("/control/faults")).raise_for_status()


@pytest.mark.parametrize("shows", ["new", "old"])
async def test_after_a_rejected_update_the_old_plan_comes_back(
    world: World, eventually: Any, shows: str
) -> None:
    async with world.switched(update_shows=shows):
        await declared(world, plans=plans({}, {}), template=[worker(1)])
        installed = await world.install(plan=FREE)
        await world.approved(installed)
        await world.condition(installed, "Ready", "True")
        await change(world, approval={"gate": "WorkloadReady", "patienceSeconds": 3600})
        await subscribed(world, installed, PAID)

        async def raised() -> bool:
            return await quota(world, installed) == "9"

        await eventually(raised)
        await change(world, approval=NEVER_READY)

        async def back() -> bool:
            assert len(await world.approvals(installed, "reject")) == 1
            return await quota(world, installed) == "4"

        await eventually(back)
        await read_again(world, installed, eventually)
        assert (await world.installation(installed))["status"]["plan"] == FREE
        assert len(await world.approvals(installed)) == 1


async def test_a_downgrade_that_does_not_fit_is_shown_and_rejected_and_nothing_of_it_is_applied(
    world: World, eventually: Any
) -> None:
    few, many = {"numbers": {"replicas": 1}}, {"numbers": {"replicas": 6}}
    template = [worker("${plan.numbers.replicas}"), settings("plan ${plan.name}")]
    small = {**few, "quota": {"pods": "0"}}
    await declared(world, plans=plans(small, many), defaultPlan=few, template=template)
    installed = await world.install(plan=PAID)
    await world.approved(installed)
    await world.condition(installed, "Ready", "True")
    tenant = await world.tenant(installed)
    app = await world.kube.get(resources.APPS, world.app, namespace=world.release.namespace)
    (accepted,) = [one for one in app["status"]["conditions"] if one["type"] == "Accepted"]
    assert accepted["status"] == "True"
    assert "spec.plans['Free'].quota" in accepted["message"]

    since = world.plane.audit_position()
    await subscribed(world, installed, FREE)
    found = await world.condition(installed, "TenantReady", "False", "PlanDoesNotFit")
    assert found["message"] == "plan Free does not fit: pods: 1 needed, 0 allowed"
    # What is there goes on, and is kept as it was.
    assert (await world.installation(installed))["status"]["access"]["state"] == "Allowed"
    await world.kube.merge_patch(resources.DEPLOYMENTS, "worker", {"spec": {"replicas": 2}}, namespace=tenant)

    async def kept() -> bool:
        deployment = await world.kube.get(resources.DEPLOYMENTS, "worker", namespace=tenant)
        return bool(deployment["spec"]["replicas"] == 6)

    async def recorded() -> bool:  # an entry of the audit log is written a little after the answer
        return bool(sent(world, tenant, since))

    await eventually(kept)
    await eventually(recorded)
    assert set(sent(world, tenant, since)) == {("patch deployments", False)}
    assert len(await world.approvals(installed)) == 1

    await change(world, approval={"gate": "NamespaceReady", "patienceSeconds": 1})
    await world.condition(installed, "Ready", "True")
    stored = await world.installation(installed)
    assert stored["status"]["answers"][-1]["answer"] == "reject"
    assert "the plan does not have room" in stored["status"]["answers"][-1]["reason"]
    assert stored["status"]["plan"] == PAID
    assert await quota(world, installed) == "9"


async def test_a_change_that_the_api_server_would_refuse_is_shown_and_nothing_of_it_is_applied(
    world: World, eventually: Any
) -> None:
    small, large = {"values": {"size": "1Gi"}}, {"values": {"size": "5Gi"}}
    template = [claim("${plan.values.size}"), settings("plan ${plan.name}"), worker(1)]
    await declared(world, plans=plans(small, large), defaultPlan=small, template=template)
    installed = await world.install(plan=PAID)
    await world.approved(installed)
    await world.condition(installed, "Ready", "True")
    tenant = await world.tenant(installed)
    before = await uids(world, installed, resources.PERSISTENT_VOLUME_CLAIMS, resources.DEPLOYMENTS)
    since = world.plane.audit_position()
    await subscribed(world, installed, FREE)
    found = await world.condition(installed, "TenantReady", "False", "ChangeRefused")
    assert found["message"].startswith("PersistentVolumeClaim data cannot be changed: spec")
    assert all(dry for _, dry in sent(world, tenant, since))

    await world.kube.delete(resources.CONFIG_MAPS, "settings", namespace=tenant)

    async def kept() -> bool:
        stored = await world.kube.get(resources.CONFIG_MAPS, "settings", namespace=tenant)
        return bool(stored["data"] == {"is": "plan Paid"})

    await eventually(kept)
    assert await quota(world, installed) == "9"
    assert len(await world.approvals(installed)) == 1

    await change(world, approval={"gate": "NamespaceReady", "patienceSeconds": 1})
    await world.condition(installed, "Ready", "True")
    stored = await world.installation(installed)
    assert stored["status"]["answers"][-1]["answer"] == "reject"
    assert "cannot be changed over" in stored["status"]["answers"][-1]["reason"]
    after = await uids(world, installed, resources.PERSISTENT_VOLUME_CLAIMS, resources.DEPLOYMENTS)
    assert after == before


async def test_an_egress_range_that_is_none_is_told_and_keeps_no_tenant_from_changing(
    world: World, eventually: Any
) -> None:
    await declared(world, plans=plans({}, {}))
    installed = await world.install(plan=FREE)
    await world.approved(installed)
    tenant = await world.tenant(installed)
    await change(world, egress=[{"cidr": "10.0.0.0/33"}, {"cidr": "192.168.1/24"}, {"cidr": "192.0.2.7/24"}])

    async def told() -> bool:
        app = await world.kube.get(resources.APPS, world.app, namespace=world.release.namespace)
        (accepted,) = [one for one in app["status"]["conditions"] if one["type"] == "Accepted"]
        assert (accepted["status"], accepted["reason"]) == ("False", "TemplateInvalid")
        assert "spec.egress[0].cidr" in accepted["message"]
        return "spec.egress[1].cidr" in accepted["message"] and "[2]" not in accepted["message"]

    await eventually(told)

    async def applied() -> bool:
        policy = await world.kube.get(resources.NETWORK_POLICIES, "tenant", namespace=tenant)
        return bool(policy["spec"]["egress"][2:] == [{"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}])

    await eventually(applied)
    await subscribed(world, installed, PAID)
    await world.approved(installed, 2)
    assert await quota(world, installed) == "9"


async def test_nothing_is_rehearsed_for_a_new_tenant_or_where_nothing_changes(
    world: World, eventually: Any
) -> None:
    since = world.plane.audit_position()
    await declared(world, plans=plans({}, {}), template=[settings("plan ${plan.name}")])
    installed = await world.install(plan=FREE)
    await world.approved(installed)
    await world.condition(installed, "Ready", "True")
    tenant = await world.tenant(installed)
    # A drift is repaired without asking first: the API server took the same before.
    await world.kube.delete(resources.CONFIG_MAPS, "settings", namespace=tenant)

    async def back() -> bool:
        await world.kube.get(resources.CONFIG_MAPS, "settings", namespace=tenant)
        return True

    await eventually(back)
    added = await world.person(installed.account, 9)
    await world.post(f"/control/installations/{installed.id}/update", {"adding": [added]})
    await world.approved(installed, 2)
    assert not any(dry for _, dry in sent(world, tenant, since))

    await subscribed(world, installed, PAID)
    await world.approved(installed, 3)
    assert await quota(world, installed) == "9"
    rehearsed = sorted(what for what, dry in sent(world, tenant, since) if dry)
    assert rehearsed == ["patch configmaps", "patch resourcequotas"]


async def test_a_quota_that_grows_with_what_it_counts_is_no_obstacle(world: World, eventually: Any) -> None:
    def at_most(number: int) -> dict[str, Any]:
        return {FREE: {"quota": {"count/configmaps": str(number)}}}

    template = [settings("plan ${plan.name}")]
    await declared(world, plans=at_most(9), template=template)
    installed = await world.install(plan=FREE)
    await world.approved(installed)
    await world.condition(installed, "Ready", "True")
    tenant = await world.tenant(installed)
    # With talkdesk-account and kube-root-ca.crt there is no room for one more.
    await change(world, plans=at_most(3))

    async def full() -> bool:
        found = (await world.kube.get(resources.RESOURCE_QUOTAS, "tenant", namespace=tenant))["status"]
        return all(found[name]["count/configmaps"] == "3" for name in ("hard", "used"))

    await eventually(full)
    second = {**settings("more"), "metadata": {"name": "more"}}
    await change(world, plans=at_most(4), template=[*template, second])

    async def there() -> bool:
        await world.kube.get(resources.CONFIG_MAPS, "more", namespace=tenant)
        return True

    await eventually(there)
    await world.condition(installed, "TenantReady", "True")


async def told(world: World, installed: Any, version: str) -> None:
    """An event that carries an app version, newer than all before it."""
    stored = await world.installation(installed)
    newest = max(one["at"] for one in stored["spec"]["talkdesk"]["recent"])
    event = {
        "id": f"told-{version}-{installed.id}"[:64],
        "created_at": f"{newest[:-1]}9Z" if "." in newest else newest,
        "api_version": "1",
        "type": "app.invented",
        "app_id": world.app_id,
        "app_version_id": version,
        "data": {"installation_id": installed.id, "account_id": installed.account},
        "_links": {},
    }
    await world.post("/control/events", {"app_id": world.app_id, "event": event})


async def test_two_app_versions_live_at_once_and_each_keeps_its_own_until_an_event_says_otherwise(
    world: World, eventually: Any
) -> None:
    old = {"redirectUri": "https://launch.demo.localhost/v1", "scopes": ["openid"]}
    new = {"redirectUri": "https://launch.demo.localhost/v2", "scopes": ["openid", "account:read"]}
    await declared(world, template=[settings("version two")], signIn=new)
    state = (await world.control.get("/control/state")).json()
    (app,) = [one for one in state["apps"] if one["id"] == world.app_id]
    v1 = app["version"]["id"]
    await change(world, variants=[{"appVersion": v1, "template": [settings("version one")], "signIn": old}])
    first = await world.install(plan=FREE)
    await world.approved(first)
    answer = await world.control.patch(f"/control/apps/{world.app_id}", json={"version": "2.0.0"})
    answer.raise_for_status()
    v2 = answer.json()["version"]["id"]
    assert v2 != v1
    second = await world.install(plan=FREE)
    await world.approved(second)

    async def living(installed: Any) -> tuple[str, str, Any]:
        await world.condition(installed, "Ready", "True")
        stored = (await world.installation(installed))["status"]
        tenant = await world.tenant(installed)
        shown = await world.kube.get(resources.CONFIG_MAPS, "settings", namespace=tenant)
        return shown["data"]["is"], stored["appVersion"], stored["signIn"]

    assert await living(first) == ("version one", v1, old)
    assert await living(second) == ("version two", v2, new)

    await told(world, first, v2)

    async def moved() -> bool:
        return await living(first) == ("version two", v2, new)

    await eventually(moved)
    assert await living(second) == ("version two", v2, new)


async def test_what_a_paused_tenant_has_not_become_is_not_said_of_it_and_its_service_stays_in_use(
    world: World, eventually: Any
) -> None:
    def service(name: str) -> dict[str, Any]:
        spec = {"selector": {"app": "demo"}, "ports": [{"port": 80}]}
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}

    await declared(world, template=[service("web")], service={"name": "web", "port": 80})
    state = (await world.control.get("/control/state")).json()
    (v1,) = [one["version"]["id"] for one in state["apps"] if one["id"] == world.app_id]
    old = {"template": [service("old")], "service": {"name": "old", "port": 80}}
    await change(world, variants=[{"appVersion": v1, **old}])
    installed = await world.install(plan=FREE)
    await world.approved(installed)
    await world.condition(installed, "Ready", "True")
    tenant = await world.tenant(installed)

    async def says() -> tuple[str, str]:
        """App version and Service, by status; that Service is there."""
        status = (await world.installation(installed))["status"]
        await world.kube.get(resources.SERVICES, status["service"]["name"], namespace=tenant)
        return status["appVersion"], status["service"]["name"]

    assert await says() == (v1, "old")

    async def paused(why: str | None) -> None:
        patch = {"metadata": {"annotations": {PAUSED_ANNOTATION: why}}}
        where = {"namespace": world.release.namespace}
        await world.kube.merge_patch(resources.INSTALLATIONS, installed.name, patch, **where)

    await paused("moving the database")
    await told(world, installed, "v2")
    found = await world.condition(installed, "TenantReady", "False", "Paused")
    assert "Service web" in found["message"]
    assert await says() == (v1, "old")
    await paused(None)

    async def moved() -> bool:
        return await says() == ("v2", "web")

    await eventually(moved)
    await world.condition(installed, "TenantReady", "True")


async def test_a_suspended_tenant_keeps_running_where_its_plan_says_so(world: World, eventually: Any) -> None:
    await declared(
        world, plans=plans({"onSuspend": "KeepRunning"}, {"onSuspend": "ScaleToZero"}), template=[worker(2)]
    )
    kept, stopped = await world.install(plan=FREE), await world.install(plan=PAID)

    async def replicas(installed: Any) -> int:
        tenant = await world.tenant(installed)
        found = await world.kube.get(resources.DEPLOYMENTS, "worker", namespace=tenant)
        return int(found["spec"]["replicas"])

    for installed, number in ((kept, 2), (stopped, 0)):
        await world.approved(installed)
        await world.kube.merge_patch(
            resources.INSTALLATIONS,
            installed.name,
            {"spec": {"suspend": True}},
            namespace=world.release.namespace,
        )
        await world.condition(installed, "Ready", "False", "Suspended")
        assert (await world.installation(installed))["status"]["access"]["state"] == "Refused"
        assert await replicas(installed) == number
    await world.post(f"/control/installations/{kept.id}/uninstall", {})

    async def stands_still() -> bool:
        return await replicas(kept) == 0

    await eventually(stands_still)
