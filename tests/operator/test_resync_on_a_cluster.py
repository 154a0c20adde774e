"""What heals although its event was lost for good, and what does not; with resync, and without."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from talkdesk_kube import NotFound, resources

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any

    World = Any

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: Talkdesk's last attempt is a quarter of an hour after the first.
NEVER_AGAIN_SECONDS = 16 * 60
NOWHERE = "http://127.0.0.1:9/events"


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["2", "0"], ids=["resync", "no-resync"])
async def brisk(request: pytest.FixtureRequest, open_world: Any) -> AsyncIterator[World]:
    """A world that reads everything again every two seconds, or never."""
    async with open_world() as made:
        made.resync = request.param != "0"
        await made.start(TALKDESK_RESYNC_SECONDS=request.param, TALKDESK_BRAKE_SECONDS="1")
        yield made


async def lost(world: World, path: str, body: dict[str, Any]) -> str:
    """Something happens at Talkdesk whose event fails all of its three deliveries; its id."""
    if not world.resync:
        await world.quiet()
    app = await world.control.patch(f"/control/apps/{world.app_id}", json={"events_url": NOWHERE})
    app.raise_for_status()
    event = str((await world.post(path, body))["event_id"])
    await world.post("/control/clock", {"advance_seconds": NEVER_AGAIN_SECONDS})
    ledger = await world.ledger()
    attempts = [one for one in ledger if one["kind"] == "delivery" and one.get("event_id") == event]
    assert [one["detail"]["attempt"] for one in attempts] == [1, 2, 3]
    assert all(one["status"] is None for one in attempts)
    there = {"events_url": f"{world.webhook.url}/events"}
    (await world.control.patch(f"/control/apps/{world.app_id}", json=there)).raise_for_status()
    return event


async def state(world: World, installed: Any) -> str:
    """What Talkdesk says."""
    found = (await world.control.get("/control/state")).json()["installations"]
    return str(next(one["state"] for one in found if one["id"] == installed.id))


async def unless_switched_off(world: World, installed: Any, healed: Any) -> None:
    """With resync off, nothing has healed by the time another customer came in; the annotation then heals."""
    if world.resync:
        return
    another = await world.install()
    await world.approved(another)
    await world.condition(another, "Ready", "True")
    assert not await healed()
    token = {"talkdesk-operator.io/resync": secrets.token_hex(4)}
    await world.kube.merge_patch(
        resources.INSTALLATIONS,
        installed.name,
        {"metadata": {"annotations": token}},
        namespace=world.release.namespace,
    )


async def test_an_update_whose_event_was_lost_is_answered_and_its_users_are_right(
    brisk: World, eventually: Any
) -> None:
    await brisk.declare()
    installed = await brisk.install(users=2)
    await brisk.approved(installed)
    await brisk.condition(installed, "Ready", "True")
    added = await brisk.person(installed.account, 7)
    change = {"adding": [added], "removing": [installed.users[1]]}
    await lost(brisk, f"/control/installations/{installed.id}/update", change)

    async def healed() -> bool:
        right = set(await brisk.licensed(installed)) == {installed.users[0], added}
        return right and await state(brisk, installed) == "completed"

    await unless_switched_off(brisk, installed, healed)
    await eventually(healed)
    assert len(await brisk.approvals(installed)) == 2


async def test_an_uninstall_whose_event_was_lost_is_answered_after_access_ended(
    brisk: World, eventually: Any
) -> None:
    await brisk.declare()
    installed = await brisk.install()
    await brisk.approved(installed)
    await brisk.condition(installed, "Ready", "True")
    await lost(brisk, f"/control/installations/{installed.id}/uninstall", {})

    async def healed() -> bool:
        stored = await brisk.installation(installed)
        refused = stored["status"]["access"] == {"state": "Refused", "reason": "Uninstalled"}
        return refused and len(await brisk.approvals(installed)) == 2

    await unless_switched_off(brisk, installed, healed)
    await eventually(healed)
    await brisk.condition(installed, "Confirmed", "True")

    async def stopped() -> bool:
        tenant = await brisk.tenant(installed)
        deployment = await brisk.kube.get(resources.DEPLOYMENTS, "demo", namespace=tenant)
        return bool(deployment["spec"]["replicas"] == 0)

    await eventually(stopped)


@pytest.mark.parametrize("brisk", ["2"], indirect=True, ids=["resync"])
async def test_who_left_by_a_lost_uninstall_is_deleted_in_time_whatever_talkdesk_calls_them_afterwards(
    brisk: World, eventually: Any
) -> None:
    # Its last word and the end of the credentials come with the approval.
    async with brisk.switched(after_uninstall="revoked"):
        await brisk.declare(retention={"seconds": 1})
        installed = await brisk.install()
        await brisk.approved(installed)
        await brisk.condition(installed, "Ready", "True")
        tenant = await brisk.tenant(installed)
        await lost(brisk, f"/control/installations/{installed.id}/uninstall", {})
        await brisk.approved(installed, 2)
        assert await state(brisk, installed) == "revoked"

        async def gone() -> bool:
            try:
                await brisk.kube.get(resources.NAMESPACES, tenant)
            except NotFound:
                return True
            return False

        await eventually(gone)
        found = await brisk.kube.list(resources.INSTALLATIONS, namespace=brisk.release.namespace)
        assert installed.name not in {one["metadata"]["name"] for one in found.items}


async def test_a_lost_uninstall_is_answered_although_the_customer_is_back_and_the_new_one_is_left_alone(
    brisk: World, eventually: Any
) -> None:
    # The first one's object and credentials are due long before Talkdesk stops waiting for their answer.
    await brisk.declare(retention={"seconds": 1})
    first = await brisk.install()
    await brisk.approved(first)
    await brisk.condition(first, "Ready", "True")
    tenant = await brisk.tenant(first)
    uid = (await brisk.kube.get(resources.NAMESPACES, tenant))["metadata"]["uid"]
    await lost(brisk, f"/control/installations/{first.id}/uninstall", {})
    second = await brisk.install(account=first.account, people=first.users)
    await brisk.approved(second)
    await brisk.approved(first, 2)
    assert await state(brisk, first) == "uninstalled"
    await brisk.condition(second, "Ready", "True")
    assert set(await brisk.licensed(second)) == set(second.users)
    namespace = await brisk.kube.get(resources.NAMESPACES, tenant)
    assert namespace["metadata"]["uid"] == uid
    deployment = await brisk.kube.get(resources.DEPLOYMENTS, "demo", namespace=tenant)
    assert deployment["spec"]["replicas"] == 1

    async def forgotten() -> bool:
        found = await brisk.kube.list(resources.INSTALLATIONS, namespace=brisk.release.namespace)
        return first.name not in {one["metadata"]["name"] for one in found.items}

    await eventually(forgotten)
    assert (await brisk.installation(second))["status"]["access"]["state"] == "Allowed"
    assert len(await brisk.approvals(second)) == 1


async def test_what_is_shown_of_a_superseded_installation_at_first_is_not_the_last_word(
    brisk: World, eventually: Any
) -> None:
    await brisk.declare()
    first = await brisk.install()
    await brisk.approved(first)
    await brisk.condition(first, "Ready", "True")
    await lost(brisk, f"/control/installations/{first.id}/uninstall", {})
    as_before = {"id": first.id, "state": {"state": "completed", "updated_at": "2099-01-05T10:00:00Z"}}
    fault = {"path": f".*/installations/{first.id}", "times": 1, "status": 200, "body": as_before}
    await brisk.post("/control/faults", fault)
    second = await brisk.install(account=first.account, people=first.users)
    await brisk.approved(second)

    async def healed() -> bool:
        return len(await brisk.approvals(first)) == 2

    await unless_switched_off(brisk, first, healed)
    await eventually(healed)
    await brisk.condition(second, "Ready", "True")


# Where nothing is read in between, what Talkdesk shows is read first once the customer is back.
@pytest.mark.parametrize("brisk", ["0"], indirect=True, ids=["no-resync"])
async def test_a_lost_uninstall_that_talkdesk_has_another_word_for_is_answered_once_the_customer_is_back(
    brisk: World,
) -> None:
    await brisk.declare()
    first = await brisk.install()
    await brisk.approved(first)
    await brisk.condition(first, "Ready", "True")
    await lost(brisk, f"/control/installations/{first.id}/uninstall", {})
    waiting = {"id": first.id, "state": {"state": "pending", "updated_at": "2099-01-05T10:00:00Z"}}
    fault = {"path": f".*/installations/{first.id}", "method": "GET", "times": None}
    await brisk.post("/control/faults", {**fault, "status": 200, "body": waiting})
    second = await brisk.install(account=first.account, people=first.users)
    await brisk.approved(second)
    await brisk.approved(first, 2)
    await brisk.condition(first, "Confirmed", "True", reason="UninstallApproved")
    await brisk.condition(second, "Ready", "True")


async def test_a_trial_whose_events_were_lost_is_followed_all_the_same(brisk: World, eventually: Any) -> None:
    await brisk.declare()
    installed = await brisk.install()
    await brisk.approved(installed)
    await brisk.condition(installed, "Ready", "True")
    until = "2099-01-05T10:00:00Z"
    path = f"/control/installations/{installed.id}/trial"
    await lost(brisk, f"{path}/extend", {"expires_at": until})

    async def extended() -> bool:
        stored = await brisk.installation(installed)
        return bool(stored["status"]["deadlines"].get("trial") == until)

    await unless_switched_off(brisk, installed, extended)
    await eventually(extended)
    await lost(brisk, f"{path}/end", {"reason": "trial_expired"})

    async def ended() -> bool:
        stored = await brisk.installation(installed)
        return bool(stored["status"]["access"] == {"state": "Refused", "reason": "TrialEnded"})

    await unless_switched_off(brisk, installed, ended)
    await eventually(ended)


async def test_secrets_changed_by_hand_come_back_at_the_next_resync(brisk: World, eventually: Any) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "stringData": {"a": "b"}}
    await brisk.declare(template=[secret])
    installed = await brisk.install()
    await brisk.approved(installed)
    await brisk.condition(installed, "Ready", "True")
    tenant = await brisk.tenant(installed)
    if not brisk.resync:
        await brisk.quiet()
    await brisk.kube.merge_patch(resources.SECRETS, "keys", {"data": {"a": "eA=="}}, namespace=tenant)

    async def healed() -> bool:
        found = await brisk.kube.get(resources.SECRETS, "keys", namespace=tenant)
        return bool(found["data"]["a"] == "Yg==")

    await unless_switched_off(brisk, installed, healed)
    await eventually(healed)


async def test_a_lost_installed_cannot_heal_but_the_customer_can_repeat_it_after_the_seven_days(
    brisk: World,
) -> None:
    await brisk.declare()
    account = await brisk.post("/control/accounts", {"name": f"lost-{brisk.app_id[:8]}", "region": "eu"})
    admin = await brisk.person(account["id"], 0)
    body = {"app_id": brisk.app_id, "account_id": account["id"], "users": [admin], "created_by": admin}
    await lost(brisk, "/control/install", body)
    found = (await brisk.control.get("/control/state")).json()["installations"]
    (missed,) = [one for one in found if one["account_id"] == account["id"]]
    stored = await brisk.kube.list(resources.INSTALLATIONS, namespace=brisk.release.namespace)
    assert missed["id"] not in {one["spec"]["installationId"] for one in stored.items}
    assert missed["state"] == "installing"
    await brisk.post("/control/clock", {"advance_seconds": 7 * 86400})
    found = (await brisk.control.get("/control/state")).json()["installations"]
    assert next(one["state"] for one in found if one["id"] == missed["id"]) == "timeout"
    again = await brisk.install(account=account["id"], people=[admin])
    assert again.id != missed["id"]
    await brisk.approved(again)
    await brisk.condition(again, "Ready", "True")
    assert set(await brisk.licensed(again)) == {admin}
