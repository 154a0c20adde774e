"""How an example ends: faults off, the clock on, everything read again; then what must be so, and silence."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from talkdesk_crds import names
from talkdesk_kube import KubeError, NotFound, resources
from talkdesk_sandbox.story.observe import Looks
from turmoil.actions.platform import ATTEMPTS_SECONDS
from turmoil.eyes import is_usable, plan_of
from turmoil.round import is_live
from turmoil.violation import Invariant, Violation
from turmoil.waiting import until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from talkdesk_kube import Obj
    from turmoil.round import Round, Slot, Talkdesk

#: Longer than anything that the settings repeat by themselves while something is pending.
QUIET_SECONDS = 1.5
_WRITES = {"create", "update", "patch", "delete", "deletecollection"}


async def judge_ending(made: Round) -> None:
    """Raises Violation."""
    await calm(made)
    await _becomes(made, Invariant.ANSWERED, _unanswered)
    await _becomes(made, Invariant.AS_TALKDESK_SAYS, _otherwise)
    await _becomes(made, Invariant.REPAIRED, _damaged)
    made.judge.check()
    await _quiet(made)
    await _everybody_leaves(made)
    await _becomes(made, Invariant.NO_ORPHAN, orphans)


async def calm(made: Round) -> None:
    """No fault is left, every delivery has had its attempts, and a resync is asked for."""
    arena = made.arena
    (await arena.control.delete("/control/faults")).raise_for_status()
    for line in arena.requests.values():
        line.heal()
    arena.deliveries.disarm()
    for component in ("webhook", "operator"):
        await arena.process(component).ready(within=60)
    await made.advance(ATTEMPTS_SECONDS)
    for installation in made.installed:
        await made.poke(installation)


async def _becomes(made: Round, invariant: Invariant, wrong: Callable[[Round], Awaitable[list[str]]]) -> None:
    looks = Looks(within=made.calm_within, least=0.1)
    while found := await wrong(made):
        made.judge.check()
        if not await looks.again():
            raise Violation(invariant, "; ".join(found))


async def _unanswered(made: Round) -> list[str]:
    """Requests that Talkdesk still waits for."""
    return [
        f"{one['pending']['kind']} of {id_}"
        for id_, one in (await made.truth()).items()
        if one["pending"] is not None
    ]


async def _otherwise(made: Round) -> list[str]:
    """Where access or users are not what Talkdesk says."""
    eyes, found = made.arena.eyes, []
    for id_, said in (await made.truth()).items():
        name = names.installation_name(id_)
        stored = eyes.installation(name)
        if stored is None:
            if is_live(said):
                found.append(f"{id_}: no object")
            continue
        access = ((stored.get("status") or {}).get("access") or {}).get("state")
        if access != expected_access(said):
            found.append(f"{id_} is {said['state']}, access {access}")
        licensed = eyes.licensed(name)
        if is_live(said) and set(licensed or ()) != set(said["users"]):
            found.append(f"{id_}: users {sorted(licensed or ())}, not {sorted(said['users'])}")
    return found


def expected_access(said: Talkdesk) -> str:
    """What ``status.access.state`` has to end as."""
    return "Allowed" if said["state"] == "completed" else "Refused"


async def _damaged(made: Round) -> list[str]:
    """Tenants that are not what they should be."""
    found = []
    truth = await made.truth()
    for slot in made.slots:
        mine = [
            one
            for one in truth.values()
            if (one["app_id"], one["account_id"]) == (slot.app_id, slot.account_id)
        ]
        if mine:
            found += await _tenant_damaged(made, slot, next((one for one in mine if is_live(one)), None))
    gone = []
    for resource, namespace, name, uid in made.deleted:
        try:
            again = await made.arena.kube.get(resource, name, namespace=namespace)
        except NotFound:
            gone.append((resource, namespace, name))
            continue
        if again["metadata"]["uid"] == uid:
            found.append(f"{resource.kind} {name} in {namespace} is still there")
    for resource, namespace, name in gone:
        if resource is not resources.USER_SLICES or _is_needed(truth, name):
            found.append(f"{resource.kind} {name} in {namespace} did not come back")
    return found


def _is_needed(truth: dict[str, Talkdesk], slice_name: str) -> bool:
    """Whether the installation of a slice is live, and the slice is of the generation that counts."""
    for id_, said in truth.items():
        if slice_name.startswith(names.installation_name(id_)):
            return is_live(said)
    return False


async def _tenant_damaged(made: Round, slot: Slot, live: Talkdesk | None) -> list[str]:
    kube = made.arena.kube
    tenants = made.arena.eyes.tenants(slot.app_id, slot.account_id)
    if len(tenants) != 1:
        return [f"{slot} has the tenants {tenants}"] if live else []
    (tenant,) = tenants
    try:
        deployment = await kube.get(resources.DEPLOYMENTS, "demo", namespace=tenant)
        service = await kube.get(resources.SERVICES, "demo", namespace=tenant)
        record = await kube.get(resources.CONFIG_MAPS, "talkdesk-account", namespace=tenant)
    except KubeError as missing:
        return [f"{tenant}: {missing}"]
    if live is None or expected_access(live) == "Refused":
        replicas = deployment["spec"]["replicas"]
        return [f"{tenant} is nobody's and has {replicas} replicas"] if replicas else []
    found = []
    if not is_usable(deployment) or plan_of(deployment) != live["subscription"]["plan"]["name"]:
        found.append(f"{tenant} is not usable: {deployment.get('status')}, plan {plan_of(deployment)}")
    if service["spec"]["selector"] != {"app": "demo"}:
        found.append(f"{tenant}: the Service selects {service['spec']['selector']}")
    if record["data"].get("installation.id") != live["id"] or '"id"' not in record["data"]["account.json"]:
        found.append(f"{tenant} is told {record['data'].get('installation.id')}, not {live['id']}")
    return found


async def _everybody_leaves(made: Round) -> None:
    """Uninstall what is live, and keep nothing any longer."""
    for id_, said in (await made.truth()).items():
        if is_live(said):
            made.judge.asked(id_, "uninstall")
            await made.post(f"/control/installations/{id_}/uninstall", {}, kind="app.uninstalled")
    await _becomes(made, Invariant.ANSWERED, _unanswered)
    for name in made.apps.values():
        await made.arena.kube.merge_patch(
            resources.APPS,
            name,
            {"spec": {"retention": {"seconds": 1}}},
            namespace=made.arena.release.namespace,
        )


async def orphans(made: Round) -> list[str]:
    """What is left of customers who are gone."""
    kube, release = made.arena.kube, made.arena.release
    found = []
    for resource, namespace in (
        (resources.NAMESPACES, None),
        (resources.INSTALLATIONS, release.namespace),
        (resources.USER_SLICES, release.namespace),
        (resources.REVOCATIONS, release.namespace),
        (resources.SECRETS, release.credentials_namespace),
    ):
        left = (await kube.list(resource, namespace=namespace)).items
        found += [f"{resource.kind} {one['metadata']['name']}" for one in left if _is_of(made, one)]
    inventories = (await kube.list(resources.CONFIG_MAPS, namespace=release.namespace)).items
    found += [
        one["metadata"]["name"]
        for one in inventories
        if any(app_id in str(one.get("data")) for app_id in made.apps)
    ]
    return sorted(set(found))


def _is_of(made: Round, one: dict[str, Any]) -> bool:
    labels = one["metadata"].get("labels") or {}
    app = (one.get("spec") or {}).get("appId") or labels.get(names.APP_LABEL)
    return app in {*made.apps, *(names.label_value(app_id) for app_id in made.apps)}


def writes(made: Round, since: int) -> list[str]:
    """What the product wrote since that position of the audit log, but for its Lease."""
    release = made.arena.release
    users = {release.user("operator"), release.user("webhook")}
    found = []
    for entry in made.arena.plane.audit(since=since):
        target: dict[str, Any] = entry.get("objectRef") or {}
        if entry["user"]["username"] not in users or entry["verb"] not in _WRITES:
            continue
        if target.get("resource") in {"leases", "selfsubjectreviews", "selfsubjectaccessreviews"}:
            continue
        kind = "/".join(part for part in (target.get("resource"), target.get("subresource")) if part)
        found.append(f"{entry['verb']} {kind} {target.get('name')}")
    return found


async def _quiet(made: Round) -> None:
    """Nothing is written any more; also not when every installation is looked at again."""
    arena = made.arena
    await silence(made, arena.plane.audit_position())
    position = arena.plane.audit_position()
    passes = await passes_of(made)
    objects = await made.objects()
    for one in objects:
        await arena.kube.merge_patch(
            resources.INSTALLATIONS,
            one["metadata"]["name"],
            {"metadata": {"labels": {"looked-at": f"t{arena.rounds}"}}},
            namespace=arena.release.namespace,
        )
    wanted = passes + len(made.slots_used(objects))

    async def looked() -> bool:
        return await passes_of(made) >= wanted

    if not await until(looked, within=made.calm_within):
        raise Violation(
            Invariant.QUIET,
            f"nobody looked: {await passes_of(made) - passes:g} of {wanted - passes:g} passes",
        )
    await silence(made, position)
    if found := writes(made, position):
        changed = _differences(objects, await made.objects())
        raise Violation(Invariant.QUIET, f"{', '.join(found)}; {changed or 'nothing was changed by it'}")


async def silence(made: Round, position: int) -> None:
    """Wait until nothing has been written for a while. Raises Violation where that does not end."""
    seen, since, deadline = 0, time.monotonic(), time.monotonic() + made.calm_within
    while time.monotonic() - since < QUIET_SECONDS:
        if len(now := writes(made, position)) != seen:
            seen, since = len(now), time.monotonic()
        if time.monotonic() > deadline:
            raise Violation(Invariant.QUIET, f"it goes on: {', '.join(now[-5:])}")
        await asyncio.sleep(0.1)


def _differences(before: list[Obj], after: list[Obj]) -> str:
    """Which fields of status changed."""
    known = {one["metadata"]["uid"]: one.get("status") or {} for one in before}
    found = []
    for one in after:
        old, new = known.get(one["metadata"]["uid"], {}), one.get("status") or {}
        found += [
            f"{name}: {old.get(name)} → {new.get(name)}"
            for name in {*old, *new}
            if old.get(name) != new.get(name)
        ]
    return "; ".join(found)


async def passes_of(made: Round) -> float:
    """How many passes over tenants the operator has ended."""
    text = (await made.arena.outside.get(f"{made.arena.process('operator').url}/metrics")).text
    return sum(
        float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if line.startswith("talkdesk_reconcile_seconds_count") and 'kind="tenant"' in line
    )
