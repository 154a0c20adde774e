"""What a person sees of an installation, and what is written down when access changes."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import pytest

from talkdesk_crds.meta import ObjectMeta
from talkdesk_kube import Invalid, resources
from talkdesk_operator.same_object import is_another, same_object

if TYPE_CHECKING:
    from typing import Any

    World = Any

pytestmark = pytest.mark.asyncio(loop_scope="module")

FIELDS = {"installation", "account", "app", "tenant", "from", "to", "reason", "cause", "at"}


async def ready(world: World, **spec: Any) -> Any:
    await world.declare(**spec)
    installed = await world.install()
    await world.approved(installed)
    await world.condition(installed, "Ready", "True")
    return installed


async def suspend(world: World, installed: Any, *, on: bool) -> None:
    await world.kube.merge_patch(
        resources.INSTALLATIONS,
        installed.name,
        {"spec": {"suspend": on}},
        namespace=world.release.namespace,
        field_manager="alice-with-kubectl",
    )


async def access(world: World, installed: Any) -> dict[str, Any]:
    return dict((await world.installation(installed))["status"]["access"])


async def test_each_change_of_access_is_one_line_that_says_who_when_and_why(
    world: World, eventually: Any
) -> None:
    installed = await ready(world)
    event = (await world.installation(installed))["spec"]["talkdesk"]["installed"]["event"]
    await suspend(world, installed, on=True)

    async def is_so(state: str, reason: str) -> bool:
        return await access(world, installed) == {"state": state, "reason": reason}

    await eventually(lambda: is_so("Refused", "Suspended"))
    await suspend(world, installed, on=False)
    await eventually(lambda: is_so("Allowed", "InstallationReady"))
    uninstalled = (await world.post(f"/control/installations/{installed.id}/uninstall", {}))["event_id"]
    await eventually(lambda: is_so("Refused", "Uninstalled"))
    await world.condition(installed, "Confirmed", "True", "UninstallApproved")

    lines = world.audit(installed)
    assert all(set(line) >= FIELDS for line in lines)
    told = [(one["from"], one["to"], one["reason"]) for one in lines if one["from"] != "None"]
    assert told[-4:] == [
        ("Refused", "Allowed", "InstallationReady"),
        ("Allowed", "Refused", "Suspended"),
        ("Refused", "Allowed", "InstallationReady"),
        ("Allowed", "Refused", "Uninstalled"),
    ] or told[-3:] == [
        ("Allowed", "Refused", "Suspended"),
        ("Refused", "Allowed", "InstallationReady"),
        ("Allowed", "Refused", "Uninstalled"),
    ]
    granted = next(one for one in lines if one["to"] == "Allowed")
    assert granted["cause"]["kind"] == "answer"
    assert granted["cause"]["event"] == event
    by_person = [one["cause"] for one in lines if one["cause"]["kind"] == "person"]
    assert [one["manager"] for one in by_person] == ["alice-with-kubectl"] * 2
    assert lines[-1]["cause"] == {"kind": "event", "event": uninstalled}
    tenant = await world.tenant(installed)
    assert {one["tenant"] for one in lines if one["from"] != "None"} == {tenant}
    assert {one["account"] for one in lines} == {installed.account}


async def test_each_users_access_is_told_with_the_event_that_took_it_and_nothing_but_ids(
    world: World, eventually: Any
) -> None:
    installed = await ready(world)
    assert {one["user"] for one in world.audit(installed, users=True)} == set(installed.users)
    out, stays = installed.users[1], installed.users[0]
    await world.post(f"/control/installations/{installed.id}/logout", {"user_id": stays})
    await world.quiet()  # a list that is being read meanwhile would show the removal before its event does
    change = {"adding": [], "removing": [out]}
    event = (await world.post(f"/control/installations/{installed.id}/update", change))["event_id"]
    await world.approved(installed, 2)

    async def told() -> bool:
        lines = [(one["user"], one["reason"]) for one in world.audit(installed, users=True)]
        return (out, "Removed") in lines and (stays, "SignedOut") in lines

    await eventually(told)
    (removed,) = [one for one in world.audit(installed, users=True) if one["reason"] == "Removed"]
    assert removed["cause"] == {"kind": "event", "event": event}
    assert (removed["from"], removed["to"]) == ("Licensed", "None")
    assert "@" not in json.dumps(world.audit(installed, users=True))


async def test_a_restart_writes_no_line(world: World, eventually: Any) -> None:
    installed = await ready(world)
    before = world.audit(installed), world.audit(installed, users=True)
    starts = world.operators[0].starts
    world.operators[0].kill()

    async def restarted() -> bool:
        return bool(world.operators[0].starts > starts)

    await eventually(restarted)
    await world.operators[0].ready()
    await world.annotate(installed, resync="after the restart")

    async def looked() -> bool:
        status = (await world.installation(installed))["status"]
        return bool(status.get("observedResync") == "after the restart")

    await eventually(looked)
    assert (world.audit(installed), world.audit(installed, users=True)) == before


async def test_a_status_deleted_by_hand_is_rebuilt_and_nothing_is_answered_again(
    world: World, eventually: Any
) -> None:
    installed = await ready(world)

    async def told() -> Any:
        """The trial begins with the approval: its event comes a little later."""
        stored = await world.installation(installed)
        status = stored["status"]
        settled = status["observedGeneration"] == stored["metadata"]["generation"]
        return status if settled and "trial" in status["deadlines"] else None

    before = await eventually(told)
    await world.condition(installed, "Ready", "True")
    world.plane.kubectl(
        *("-n", world.release.namespace, "patch", "tdi", installed.name, "--subresource=status"),
        *("--type=json", "-p", '[{"op": "remove", "path": "/status"}]'),
        *("--as=restorer", "--as-group=talkdesk-operator:restore", "--as-group=system:masters"),
    )

    def facts(status: dict[str, Any]) -> dict[str, Any]:
        kept = {
            name: value
            for name, value in status.items()
            if name not in ("users", "conditions", "observedGeneration")
        }
        conditions = {(one["type"], one["status"]) for one in status["conditions"]}
        return {**kept, "count": status["users"]["count"], "conditions": conditions}

    async def rebuilt() -> bool:
        return facts((await world.installation(installed))["status"]) == facts(before)

    try:
        await eventually(rebuilt)
    except AssertionError:
        raise AssertionError(
            (facts((await world.installation(installed))["status"]), facts(before))
        ) from None
    answers = [
        one
        for one in await world.ledger()
        if one["kind"] == "api" and one["method"] == "POST" and one.get("installation_id") == installed.id
    ]
    assert len(answers) == 1


@pytest.mark.parametrize("lost", ["credentials", "talkdesk"])
async def test_a_part_of_the_status_that_only_talkdesk_can_tell_is_read_again(
    world: World, eventually: Any, lost: str
) -> None:
    installed = await ready(world)
    before = (await world.installation(installed))["status"][lost]
    world.plane.kubectl(
        *("-n", world.release.namespace, "patch", "tdi", installed.name, "--subresource=status"),
        *("--type=json", "-p", json.dumps([{"op": "remove", "path": f"/status/{lost}"}])),
        *("--as=restorer", "--as-group=talkdesk-operator:restore", "--as-group=system:masters"),
    )

    async def back() -> bool:
        return bool((await world.installation(installed))["status"].get(lost) == before)

    await eventually(back)


async def test_what_is_written_about_an_object_does_not_reach_another_of_its_name(world: World) -> None:
    installed = await ready(world)
    own = ObjectMeta(name=installed.name, uid=(await world.installation(installed))["metadata"]["uid"])
    former = own.model_copy(update={"uid": str(uuid.uuid4())})
    patch = {"metadata": {"annotations": {"another": "one"}}}

    async def write(metadata: ObjectMeta) -> Any:
        namespace, changes = world.release.namespace, same_object(metadata, patch)
        return await world.kube.merge_patch(
            resources.INSTALLATIONS, installed.name, changes, namespace=namespace
        )

    with pytest.raises(Invalid) as refused:
        await write(former)
    assert is_another(refused.value)
    assert "another" not in (await world.installation(installed))["metadata"].get("annotations", {})
    assert (await write(own))["metadata"]["annotations"]["another"] == "one"


async def test_kubectl_get_tells_account_plan_users_ready_and_reason(world: World) -> None:
    installed = await ready(world)
    header, row = world.plane.kubectl(
        "-n", world.release.namespace, "get", "tdi", installed.name
    ).splitlines()
    assert header.split()[:7] == ["NAME", "ACCOUNT", "PLAN", "USERS", "ACCESS", "READY", "REASON"]
    name = (await world.installation(installed))["spec"]["talkdesk"]["accountName"]["name"]
    columns = [cell for cell in row.split("   ") if cell.strip()]
    told = [cell.strip() for cell in columns][1:7]
    assert told == [name, "Free trial", "2", "Allowed", "True", "InstallationReady"]
    stored = await world.installation(installed)
    recent = [one["type"] for one in stored["spec"]["talkdesk"]["recent"]]
    assert set(recent) <= {"app.installed", "app.trial_started"}
    assert recent[-1] == "app.installed", "the newest first"
    assert [one["answer"] for one in stored["status"]["answers"]] == ["approve"]
