"""What goes wrong: Talkdesk, our processes, the API server, and people with kubectl."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from talkdesk_kube import NotFound, resources
from talkdesk_sandbox.controlplane import CommandError
from turmoil.actions import customers
from turmoil.actions.table import action
from turmoil.lines import HICCUPS
from turmoil.round import Round, is_live
from turmoil.waiting import until

if TYPE_CHECKING:
    from talkdesk_kube import Obj, Resource

#: How long a fault of Talkdesk's may wait to be met.
_MET_SECONDS = 15.0
#: How long a hiccup waits for a request of a process that has nothing to do but to renew its Lease.
_HICCUP_SECONDS = 5.0
#: Paths of calls that may go wrong: tokens, readings and answers alike.
_ANYWHERE = ".*"


async def _talkdesk(made: Round, a: int, fault: dict[str, Any]) -> str | None:
    """The next calls go wrong; effective once one did."""
    said = await made.settled(a)
    if said is None:
        return None
    since = made.arena.ledger.position
    await made.arena.post("/control/faults", {"path": _ANYWHERE, **fault})
    await made.poke(said["id"])
    met = await made.arena.ledger.until(
        lambda entry: "fault" in entry["detail"], since=since, within=_MET_SECONDS
    )
    return str(said["id"]) if met else None


@action
async def talkdesk_fails(made: Round, a: int, b: int) -> str | None:
    """5xx, before or after Talkdesk acted."""
    return await _talkdesk(made, a, {"status": (500, 503)[b % 2], "when": _when(b), "times": 1 + b % 3})


@action
async def talkdesk_throttles(made: Round, a: int, b: int) -> str | None:
    """429 with a Retry-After."""
    return await _talkdesk(made, a, {"status": 429, "headers": {"Retry-After": "1"}, "times": 1 + b % 2})


@action
async def talkdesk_is_slow(made: Round, a: int, b: int) -> str | None:
    """The answer takes a while."""
    return await _talkdesk(made, a, {"delay_seconds": 0.5, "times": 1 + b % 3})


@action
async def talkdesk_is_cut(made: Round, a: int, b: int) -> str | None:
    """No answer, before or after Talkdesk acted."""
    return await _talkdesk(made, a, {"cut": True, "when": _when(b), "times": 1 + b % 3})


@action
async def answers_fail(made: Round, a: int, b: int) -> str | None:
    """An update cannot be answered for a while, and is looked at again meanwhile."""
    fault = {"path": ".*/state", "method": "POST", "status": 503, "times": 2 + b % 2}
    since = made.arena.ledger.position
    told = await (customers.remove_user, customers.exchange_users)[b % 2](made, a, b)
    if told is None:
        return None
    await made.arena.post("/control/faults", fault)
    await made.poke(told.split()[0])
    met = await made.arena.ledger.until(
        lambda entry: "fault" in entry["detail"], since=since, within=_MET_SECONDS
    )
    return told if met else None


def _when(b: int) -> str:
    return ("before", "after")[b // 3 % 2]


@action
async def kill_operator(made: Round, _a: int, _b: int) -> str | None:
    """kill -9; the kubelet's part starts it again."""
    return await _kill(made, "operator")


@action
async def kill_webhook(made: Round, _a: int, _b: int) -> str | None:
    """kill -9; the kubelet's part starts it again."""
    return await _kill(made, "webhook")


async def _kill(made: Round, component: str) -> str | None:
    process = made.arena.process(component)
    before = process.starts
    process.kill()

    async def again() -> bool:
        return process.starts > before

    return component if await until(again, within=10) else None


@action
async def api_server_hiccups(made: Round, _a: int, b: int) -> str | None:
    """For a moment one of the two gets nothing from the API server (its watches are cut), or 429, 500 or 503,
    or everything late."""
    component = ("operator", "operator", "webhook")[b % 3]
    process, line = made.arena.process(component), made.arena.requests[component]
    await process.ready(within=60)
    before = line.cut
    line.fail(HICCUPS[b // 3 % len(HICCUPS)])
    try:
        if component == "webhook" and (said := await _any_live(made)) is not None:
            path = f"/control/installations/{said['id']}/logout"
            await made.post(path, {"user_id": said["created_by"]}, kind="user.logout")

        async def met() -> bool:
            return line.cut > before

        await until(met, within=_HICCUP_SECONDS)
        await asyncio.sleep(0.3 + b % 5 * 0.1)
    finally:
        line.heal()
    return component if line.cut > before else None


async def _any_live(made: Round) -> dict[str, Any] | None:
    return next((one for one in (await made.truth()).values() if is_live(one)), None)


#: What of a tenant somebody may delete or change: (resource, name).
_CHILDREN: tuple[tuple[Resource, str], ...] = (
    (resources.DEPLOYMENTS, "demo"),
    (resources.SERVICES, "demo"),
    (resources.CONFIG_MAPS, "talkdesk-account"),
    (resources.NETWORK_POLICIES, "tenant"),
)


async def _tenant(made: Round, a: int) -> str | None:
    """A tenant whose installation waits for nothing."""
    said = await made.settled(a)
    if said is None:
        return None
    return next(iter(made.arena.eyes.tenants(said["app_id"], said["account_id"])), None)


@action
async def delete_child(made: Round, a: int, b: int) -> str | None:
    """Somebody deletes an object of a tenant."""
    tenant = await _tenant(made, a)
    resource, name = _CHILDREN[b % len(_CHILDREN)]
    if tenant is None:
        return None
    try:
        found = await made.arena.kube.get(resource, name, namespace=tenant)
        await made.arena.kube.delete(resource, name, namespace=tenant)
    except NotFound:
        return None
    made.deleted.append((resource, tenant, name, found["metadata"]["uid"]))
    return f"{resource.kind} {name} in {tenant}"


#: What somebody may set otherwise: (resource, name, patch).
_DRIFTS: tuple[tuple[Resource, str, Obj], ...] = (
    (resources.SERVICES, "demo", {"spec": {"selector": {"app": "wrong"}}}),
    (resources.CONFIG_MAPS, "talkdesk-account", {"data": {"account.json": "{}", "installation.id": "wrong"}}),
    (resources.DEPLOYMENTS, "demo", {"spec": {"replicas": 0}}),
    (resources.DEPLOYMENTS, "demo", {"spec": {"template": {"metadata": {"annotations": {"by": "hand"}}}}}),
)


@action
async def drift(made: Round, a: int, b: int) -> str | None:
    """Somebody edits an object of a tenant."""
    tenant = await _tenant(made, a)
    resource, name, patch = _DRIFTS[b % len(_DRIFTS)]
    if tenant is None:
        return None
    try:
        before = await made.arena.kube.get(resource, name, namespace=tenant)
        after = await made.arena.kube.merge_patch(
            resource, name, patch, namespace=tenant, field_manager="somebody"
        )
    except NotFound:
        return None
    versions = [one["metadata"]["resourceVersion"] for one in (before, after)]
    return f"{resource.kind} {name} in {tenant}" if len(set(versions)) > 1 else None


@action
async def delete_slice(made: Round, a: int, _b: int) -> str | None:
    """Somebody deletes the licensed users of an installation."""
    said = await made.settled(a)
    eyes = made.arena.eyes
    mine = [] if said is None else [
        one for one in eyes.slices.store.values() if one["spec"]["installation"] == said["id"]
    ]  # fmt: skip
    if not mine:
        return None
    metadata = mine[0]["metadata"]
    try:
        await made.arena.kube.delete(resources.USER_SLICES, metadata["name"], namespace=metadata["namespace"])
    except NotFound:
        return None
    made.deleted.append((resources.USER_SLICES, metadata["namespace"], metadata["name"], metadata["uid"]))
    return str(metadata["name"])


@action
async def delete_status(made: Round, a: int, _b: int) -> str | None:
    """A backup without status is played back."""
    said = await made.settled(a)
    if said is None:
        return None
    arena = made.arena
    try:
        await asyncio.to_thread(
            arena.plane.kubectl,
            "patch", "tdi", said["id"], "--namespace", arena.release.namespace, "--subresource=status",
            "--type=merge", "--patch", json.dumps({"status": None}),
            "--as=restorer", "--as-group=talkdesk-operator:restore", "--as-group=system:masters",
        )  # fmt: skip
    except CommandError as error:
        if "not found" not in str(error).lower():
            raise
        return None
    return str(said["id"])
