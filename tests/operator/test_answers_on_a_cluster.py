"""Whatever Talkdesk waits for is answered in the end, once, by the operator or by a person."""

from __future__ import annotations

import json
import secrets
import shlex
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from talkdesk_kube.resources import APPS, CONFIG_MAPS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import Any

    World = Any

pytestmark = pytest.mark.asyncio(loop_scope="module")

STATE = r"/apps/[^/]+/installations/[^/]+/state"
WEEK = 7 * 86400
TRIAL = {"name": "Free trial", "type": "trial", "license_type": "individual", "price": 0}
PAID = {"name": "Pro", "type": "paid", "license_type": "individual", "price": 10}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(open_world: Callable[..., Any]) -> AsyncIterator[World]:
    """Credentials of an uninstalled app that are refused count as revoked after two seconds."""
    async with open_world() as made:
        await made.start(TALKDESK_REVOKED_SECONDS="2")
        yield made


async def served(world: World, **install: Any) -> Any:
    """An approved installation."""
    installed = await world.install(**install)
    await world.approved(installed)
    await world.condition(installed, "Ready", "True")
    return installed


async def set_spec(world: World, installed: Any, **spec: Any) -> None:
    world.plane.kubectl(
        "patch", "tdi", installed.name, "--namespace", world.release.namespace,
        "--type", "merge", "--patch", json.dumps({"spec": spec}),
    )  # fmt: skip


async def asked(world: World, installed: Any, eventually: Any, *, other_than: str = "") -> dict[str, Any]:
    """The status, once a person is asked about another moment than ``other_than``."""

    async def look() -> dict[str, Any] | None:
        await world.condition(installed, "Confirmed", "False", "WaitingForPerson")
        status: dict[str, Any] = (await world.installation(installed))["status"]
        return status if status["talkdesk"]["updatedAt"] != other_than else None

    found: dict[str, Any] = await eventually(look)
    return found


async def decide(world: World, installed: Any, status: dict[str, Any], answer: str, **more: Any) -> None:
    decision = {"answer": answer, "updatedAt": status["talkdesk"]["updatedAt"], **more}
    await set_spec(world, installed, decision=decision)


async def test_the_command_that_a_person_is_shown_decides(world: World, eventually: Any) -> None:
    await world.declare()
    installed = await served(world)
    await set_spec(world, installed, approval="Manual")
    added = await world.person(installed.account, 9)
    await world.post(f"/control/installations/{installed.id}/update", {"adding": [added]})
    status = await asked(world, installed, eventually)
    question = (await world.condition(installed, "Confirmed", "False", "WaitingForPerson"))["message"]
    assert "Talkdesk says updating and gives up at" in question
    assert status["deadlines"]["answer"] in question
    assert "patience" not in status["deadlines"]
    assert status["access"]["state"] == "Allowed"
    command = shlex.split(question[question.index("kubectl ") :])
    assert command[0] == "kubectl"
    world.plane.kubectl(*command[1:])
    await world.approved(installed, 2)
    await world.condition(installed, "Ready", "True")

    async def over() -> bool:
        return "answer" not in (await world.installation(installed))["status"].get("deadlines", {})

    await eventually(over)


async def test_one_answer_settles_two_updates_of_which_the_second_took_the_firsts_place(
    world: World, eventually: Any
) -> None:
    await world.declare()
    installed = await served(world)
    await set_spec(world, installed, approval="Manual")
    first, second = [await world.person(installed.account, number) for number in (8, 9)]
    async with world.switched(overlap="replace"):
        await world.post(f"/control/installations/{installed.id}/update", {"adding": [first]})
        one = await asked(world, installed, eventually)
        await world.post(f"/control/installations/{installed.id}/update", {"adding": [second]})
        two = await asked(world, installed, eventually, other_than=one["talkdesk"]["updatedAt"])
    # The decision about the first says nothing about the second.
    await decide(world, installed, one, "reject")
    await asked(world, installed, eventually)
    await decide(world, installed, two, "approve")
    await world.approved(installed, 2)
    await world.condition(installed, "Ready", "True")
    assert not await world.approvals(installed, "reject")

    async def listed() -> bool:
        return set(await world.licensed(installed)) == {*installed.users, second}

    await eventually(listed)


async def test_an_update_event_that_arrives_while_the_install_waits_leaves_nothing_hanging(
    world: World, eventually: Any
) -> None:
    await world.declare(approval={"gate": "WorkloadReady"})
    installed = await world.install()
    stored = await eventually(lambda: world.installation(installed))
    said = stored["spec"]["talkdesk"]
    event = {
        "id": secrets.token_hex(16),
        "created_at": said["installed"]["at"],
        "type": "app.updated",
        "app_id": world.app_id,
        "data": {
            "installation_id": installed.id,
            "account_id": installed.account,
            "users": {"adding": [installed.users[0]], "removing": []},
        },
        "_links": {"root": {"href": said["links"]["root"]["href"]}},
    }
    await world.post("/control/events", {"app_id": world.app_id, "event": event})
    await world.condition(installed, "Confirmed", "False", "WaitingForTenant")
    await declare_gate(world, "NamespaceReady")
    await world.approved(installed)
    await world.condition(installed, "Ready", "True")
    # And what comes next is answered as ever.
    added = await world.person(installed.account, 9)
    await world.post(f"/control/installations/{installed.id}/update", {"adding": [added]})
    await world.approved(installed, 2)


async def declare_gate(world: World, gate: str, **more: Any) -> None:
    patch = json.dumps({"spec": {"approval": {"gate": gate, **more}}})
    world.plane.kubectl(
        "patch", "tda", world.app, "--namespace", world.release.namespace, "--type", "merge", "--patch", patch
    )


async def test_an_uninstall_that_takes_an_updates_place_is_approved_and_never_held(
    world: World, eventually: Any
) -> None:
    await world.declare()
    installed = await served(world)
    await set_spec(world, installed, approval="Manual")
    added = await world.person(installed.account, 9)
    async with world.switched(overlap="replace"):
        await world.post(f"/control/installations/{installed.id}/update", {"adding": [added]})
        await asked(world, installed, eventually)
        await world.post(f"/control/installations/{installed.id}/uninstall", {})
        await world.approved(installed, 2)
    await world.condition(installed, "Confirmed", "True", "UninstallApproved")
    stored = await world.installation(installed)
    assert stored["status"]["access"] == {"state": "Refused", "reason": "Uninstalled"}


async def test_an_update_that_timed_out_and_is_repeated_succeeds(world: World, eventually: Any) -> None:
    await world.declare()
    installed = await served(world)
    await set_spec(world, installed, approval="Manual")
    added = await world.person(installed.account, 9)
    await world.post(f"/control/installations/{installed.id}/update", {"adding": [added]})
    first = await asked(world, installed, eventually)
    await world.post("/control/clock", {"advance_seconds": WEEK + 60})
    await world.condition(installed, "Confirmed", "True")
    assert len(await world.approvals(installed)) == 1
    await world.post(f"/control/installations/{installed.id}/update", {"adding": [added]})
    again = await asked(world, installed, eventually, other_than=first["talkdesk"]["updatedAt"])
    await decide(world, installed, again, "approve")
    await world.approved(installed, 2)
    await world.condition(installed, "Ready", "True")


async def test_an_install_that_timed_out_and_is_repeated_succeeds(world: World) -> None:
    await world.declare(approval={"gate": "WorkloadReady"})
    first = await world.install()
    await world.condition(first, "Confirmed", "False", "WaitingForTenant")
    await world.post("/control/clock", {"advance_seconds": WEEK + 60})
    await world.condition(first, "Confirmed", "True", "EndedByTalkdesk")
    await declare_gate(world, "NamespaceReady")
    second = await world.install(account=first.account, people=first.users)
    await world.approved(second)
    await world.condition(second, "Ready", "True")
    assert not await world.approvals(first)


async def test_a_rejected_update_brings_back_the_users_and_the_plan_from_before(
    world: World, eventually: Any
) -> None:
    await world.declare()
    await world.control.patch(f"/control/apps/{world.app_id}", json={"plans": [TRIAL, PAID]})
    installed = await served(world, users=3)
    tenant = await world.tenant(installed)
    await declare_gate(world, "WorkloadReady", patienceSeconds=1)
    added = await world.person(installed.account, 9)
    await world.post(
        f"/control/installations/{installed.id}/update",
        {"adding": [added], "removing": [installed.users[2]], "plan": "Pro"},
    )
    told = await world.condition(installed, "Confirmed", "True", "UpdateRejected")
    assert "Deployment demo" in told["message"]
    (rejected,) = await world.approvals(installed, "reject")
    assert rejected["detail"]["to"] == "completed"

    async def restored() -> bool:
        record = await world.kube.get(CONFIG_MAPS, "talkdesk-account", namespace=tenant)
        assert json.loads(record["data"]["account.json"])["plan"]["name"] == TRIAL["name"]
        return set(await world.licensed(installed)) == set(installed.users)

    await eventually(restored)
    stored = await world.installation(installed)
    assert stored["status"]["access"]["state"] == "Allowed"
    reason = stored["status"]["answers"][-1]["reason"]
    assert reason.startswith("Your changes were not applied: the app did not start in time.")
    assert "Deployment" not in reason
    # A later fix, and the customer repeats it.
    await declare_gate(world, "NamespaceReady")
    await world.post(f"/control/installations/{installed.id}/update", {"adding": [added], "plan": "Pro"})
    await world.approved(installed, 2)
    await world.condition(installed, "Ready", "True")


async def test_an_installation_that_can_never_be_made_is_rejected_and_succeeds_once_it_is_mended(
    world: World,
) -> None:
    # The API server takes no number there, however often it is asked.
    limits = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "limits"}, "data": {"calls": 5}}
    await world.declare(template=[limits], approval={"gate": "NamespaceReady", "patienceSeconds": 1})
    first = await world.install()
    failed = await world.condition(first, "TenantReady", "False", "ApplyFailed")
    assert "limits" in failed["message"]
    await world.condition(first, "Confirmed", "True", "Rejected")
    assert len(await world.approvals(first, "reject")) == 1
    assert not await world.approvals(first)
    reason = (await world.installation(first))["status"]["answers"][0]["reason"]
    told = "The installation was not completed: the app could not be set up because of a mistake on our side."
    assert reason.startswith(told)
    assert "limits" not in reason
    assert (await world.installation(first))["status"]["access"]["state"] == "Refused"
    mended = {**limits, "data": {"calls": "5"}}
    await world.kube.merge_patch(
        APPS, world.app, {"spec": {"template": [mended]}}, namespace=world.release.namespace
    )
    second = await world.install(account=first.account, people=first.users)
    await world.approved(second)
    await world.condition(second, "Ready", "True")


async def test_after_a_rejection_and_a_fix_a_repeated_install_succeeds(world: World) -> None:
    await world.declare(approval={"gate": "WorkloadReady", "patienceSeconds": 1}, contact="help@demo.example")
    first = await world.install()
    await world.condition(first, "Confirmed", "True", "Rejected")
    reason = (await world.installation(first))["status"]["answers"][0]["reason"]
    assert "help@demo.example" in reason
    await declare_gate(world, "NamespaceReady")
    second = await world.install(account=first.account, people=first.users)
    await world.approved(second)
    await world.condition(second, "Ready", "True")


async def test_a_persons_rejection_needs_no_usable_tenant_and_their_reason_is_told(
    world: World, eventually: Any
) -> None:
    await world.declare(approval={"gate": "WorkloadReady"})
    installed = await world.install()
    await eventually(lambda: world.installation(installed))
    await set_spec(world, installed, approval="Manual")
    status = await asked(world, installed, eventually)
    await decide(world, installed, status, "approve")
    waiting = await world.condition(installed, "Confirmed", "False", "WaitingForTenant")
    assert waiting["message"].startswith("approved by a person; Deployment demo")
    await decide(world, installed, status, "reject", reason="No contract yet.")
    await world.condition(installed, "Confirmed", "True", "Rejected")
    assert (await world.installation(installed))["status"]["answers"][0]["reason"] == "No contract yet."
    assert not await world.approvals(installed)


@pytest.mark.parametrize("status", [409, 422])
async def test_a_contrary_answer_is_settled_by_what_the_installation_says_then(
    world: World, status: int, eventually: Any
) -> None:
    """Our approval is on its way when Talkdesk's seven days end: nothing waits for it any more."""
    await world.declare()
    installed = await served(world)
    async with world.switched(contrary_answer=status, repeated_answer=409):
        await world.post("/control/faults", {"path": STATE, "method": "POST", "delay_seconds": 2})
        added = await world.person(installed.account, 9)
        await world.post(f"/control/installations/{installed.id}/update", {"adding": [added]})
        looks = 0

        async def on_its_way() -> bool:
            # The control API tells how many faults wait; one that was taken no longer does.
            nonlocal looks
            looks += 1
            return bool((await world.post("/control/faults", {"path": "/never"}))["waiting"] == looks)

        await eventually(on_its_way)
        (await world.control.delete("/control/faults")).raise_for_status()
        await world.post("/control/clock", {"advance_seconds": WEEK + 60})

        async def contradicted() -> bool:
            ledger = await world.ledger()
            return any(
                one["status"] == status for one in ledger if one.get("installation_id") == installed.id
            )

        await eventually(contradicted)
        await world.condition(installed, "Confirmed", "True")
    assert len(await world.approvals(installed)) == 1
    await world.post(f"/control/installations/{installed.id}/update", {"adding": [added]})
    await world.approved(installed, 2)


async def test_an_uninstall_whose_approval_was_taken_but_never_confirmed_ends(world: World) -> None:
    await world.declare()
    installed = await served(world)
    await world.post("/control/faults", {"path": STATE, "method": "POST", "when": "after", "cut": True})
    await world.post(f"/control/installations/{installed.id}/uninstall", {})
    await world.approved(installed, 2)
    await world.condition(installed, "Confirmed", "True")
    stored = await world.installation(installed)
    assert stored["status"]["access"] == {"state": "Refused", "reason": "Uninstalled"}
