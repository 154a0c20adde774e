"""Credentials come, spread, rotate, die and are blocked; installations go on."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from talkdesk_crds import names
from talkdesk_kube import resources

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import Any

    World = Any

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKEN = r"/oauth/token"
INSTALLATION = r"/apps/[^/]+/installations/[^/]+"
STATE = rf"{INSTALLATION}/state"
DAY = 86400
DEAD = "http://127.0.0.1:9/events"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(open_world: Callable[..., Any]) -> AsyncIterator[World]:
    """New credentials have three seconds to spread, and what nobody needs goes soon."""
    async with open_world() as made:
        await made.start(
            TALKDESK_SPREADING_SECONDS="3",
            TALKDESK_SWEEP_SECONDS="0.5",
            TALKDESK_SUPERSEDED_SECONDS="1",
            TALKDESK_UNCLAIMED_SECONDS="3",
            TALKDESK_REVOCATION_SECONDS="3",
            TALKDESK_UNDECLARED_KEPT="2",
        )
        yield made


async def served(world: World, **install: Any) -> Any:
    installed = await world.install(**install)
    await world.approved(installed)
    await world.condition(installed, "Ready", "True")
    return installed


async def resync(world: World, installed: Any, token: str) -> None:
    await world.kube.merge_patch(
        resources.INSTALLATIONS,
        installed.name,
        {"metadata": {"annotations": {"talkdesk-operator.io/resync": token}}},
        namespace=world.release.namespace,
    )


async def resynced(world: World, installed: Any, token: str, eventually: Any) -> None:
    await resync(world, installed, token)

    async def done() -> bool:
        return (await world.installation(installed))["status"].get("observedResync") == token

    await eventually(done)


async def calls(world: World, installed: Any) -> list[dict[str, Any]]:
    """Everything that was asked of Talkdesk for the installation, tokens included."""
    mine = [
        one
        for one in await world.ledger()
        if one.get("installation_id") == installed.id or installed.id in (one.get("url") or "")
    ]
    return [one for one in mine if one["kind"] in ("api", "token")]


async def posts(world: World, installed: Any, ending: str) -> list[dict[str, Any]]:
    return [
        one
        for one in await calls(world, installed)
        if one["method"] == "POST" and ending in one["url"] and not one["url"].endswith("/oauth/token")
    ]


async def acknowledged(world: World, installed: Any, eventually: Any, *, other_than: str) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        status: dict[str, Any] = (await world.installation(installed))["status"]
        return status if status.get("acknowledged") not in (None, other_than) else None

    found: dict[str, Any] = await eventually(look)
    return found


def patch_app(world: World, spec: dict[str, Any]) -> None:
    world.plane.kubectl(
        "patch", "tda", world.app, "--namespace", world.release.namespace,
        "--type", "merge", "--patch", json.dumps({"spec": spec}),
    )  # fmt: skip


async def test_a_scope_that_takes_its_time_after_an_install_is_waited_out(world: World) -> None:
    await world.declare(approval={"gate": "NamespaceReady", "patienceSeconds": 1})
    (await world.control.patch("/control/switches", json={"scope_delay_seconds": 600})).raise_for_status()
    installed = await world.install()
    await world.condition(installed, "CredentialsValid", "Unknown", "CredentialsSpreading")
    await world.condition(installed, "CredentialsValid", "False", "CredentialsRefused")
    (await world.control.patch("/control/switches", json={"scope_delay_seconds": 0})).raise_for_status()
    # Longer than its patience, and yet not rejected: nobody could have tried.
    await world.approved(installed)
    await world.condition(installed, "CredentialsValid", "True")
    assert not await world.approvals(installed, "reject")


async def test_a_routine_rotation_under_load_fails_not_one_call(world: World, eventually: Any) -> None:
    await world.declare()
    installed = await served(world)
    old = (await world.installation(installed))["status"]["credentials"]
    stop = asyncio.Event()

    async def load() -> int:
        asked = 0
        while not stop.is_set():
            asked += 1
            await resynced(world, installed, f"load-{asked}", eventually)
        return asked

    loading = asyncio.create_task(load())
    try:
        await world.post(f"/control/installations/{installed.id}/rotate", {"compromise": False})
        status = await acknowledged(world, installed, eventually, other_than=old)
        added = await world.person(installed.account, 9)
        await world.post(f"/control/installations/{installed.id}/update", {"adding": [added]})
        await world.approved(installed, 2)
    finally:
        stop.set()
    assert await loading > 3
    assert status["credentials"] == status["acknowledged"] != old
    made = await calls(world, installed)
    assert len(made) > 10
    # Before its approval an installation has no trial: a 404 that means nothing.
    made = [one for one in made if not one["url"].endswith("/trial")]
    assert [one for one in made if one["status"] is None or one["status"] >= 400] == []
    assert [one["status"] for one in await posts(world, installed, "/credentials/")] == [202]
    # Once: neither a restart nor a resync says it again.
    world.operators[0].kill()
    await eventually(world.restarted)
    await resynced(world, installed, "after-the-restart", eventually)
    await resynced(world, installed, "and-again", eventually)
    assert len(await posts(world, installed, "/credentials/")) == 1
    assert "rotation" not in (await world.installation(installed))["status"].get("deadlines", {})


async def test_where_the_old_set_is_dead_at_once_everything_goes_on_with_the_new(
    world: World, eventually: Any
) -> None:
    await world.declare()
    installed = await served(world)
    old = (await world.installation(installed))["status"]["credentials"]
    await world.post(f"/control/installations/{installed.id}/rotate", {"compromise": True})
    added = await world.person(installed.account, 9)
    await world.post(f"/control/installations/{installed.id}/update", {"adding": [added]})
    await world.approved(installed, 2)
    status = await acknowledged(world, installed, eventually, other_than=old)
    assert status["access"]["state"] == "Allowed"
    await world.condition(installed, "Ready", "True")


async def test_the_set_in_use_serves_while_the_newest_is_refused(world: World, eventually: Any) -> None:
    await world.declare()
    installed = await served(world)
    old = (await world.installation(installed))["status"]["credentials"]
    # The old set's token is at hand, so the next tokens that are asked for are the new set's.
    await world.post("/control/faults", {"path": TOKEN, "status": 401, "times": 3})
    await world.post(f"/control/installations/{installed.id}/rotate", {"compromise": False})

    async def with_the_old() -> bool:
        stored = await world.installation(installed)
        newest = stored["spec"]["talkdesk"]["credentials"]["secret"]
        one = await world.condition(installed, "CredentialsValid", "True")
        return newest != old and stored["status"]["credentials"] == old and "refused so far" in one["message"]

    await eventually(with_the_old)
    status = await acknowledged(world, installed, eventually, other_than=old)
    assert status["credentials"] != old
    (await world.control.delete("/control/faults")).raise_for_status()
    await world.condition(installed, "Ready", "True")


async def test_of_two_rotations_in_one_second_the_living_set_is_found(world: World, eventually: Any) -> None:
    await world.declare()
    installed = await served(world)
    secrets: dict[str, str] = {}

    async def living() -> str | None:
        """The Secret of the set that Talkdesk made last."""
        state = (await world.control.get("/control/state")).json()
        mine = next(one for one in state["installations"] if one["id"] == installed.id)
        listed = await world.kube.list(
            resources.SECRETS,
            namespace=world.release.credentials_namespace,
            labels=f"talkdesk-operator.io/installation={installed.id}",
        )
        for one in listed.items:
            client = base64.b64decode(one["data"]["client_id"]).decode()
            secrets[client] = one["metadata"]["name"]
        return secrets.get(mine["credentials"][-1]["client_id"])

    for attempt in range(16):
        for _ in range(2):  # events of whole seconds: which came last, only their ids could tell
            await world.post(f"/control/installations/{installed.id}/rotate", {"compromise": True})
        secret = await eventually(living)
        await resynced(world, installed, f"rotated-{attempt}", eventually)

        async def used(name: str = secret) -> bool:
            return bool((await world.installation(installed))["status"].get("credentials") == name)

        await eventually(used)
        if (await world.installation(installed))["spec"]["talkdesk"]["credentials"]["secret"] != secret:
            break
    else:
        pytest.fail("of sixteen pairs of events the last one always had the greater id")
    await world.condition(installed, "CredentialsValid", "True")


async def test_an_acknowledgement_that_nobody_waits_for_is_not_repeated(
    world: World, eventually: Any
) -> None:
    await world.declare()
    installed = await served(world)
    old = (await world.installation(installed))["status"]["credentials"]
    fault = {"path": r".*/credentials/[^/]+/state", "method": "POST", "status": 409, "times": 5}
    await world.post("/control/faults", fault)
    await world.post(f"/control/installations/{installed.id}/rotate", {"compromise": False})
    await acknowledged(world, installed, eventually, other_than=old)
    await resynced(world, installed, "once-more", eventually)
    (await world.control.delete("/control/faults")).raise_for_status()
    assert len(await posts(world, installed, "/credentials/")) == 1


async def test_one_customers_list_of_addresses_is_told_apart_and_others_go_on(
    world: World, eventually: Any
) -> None:
    await world.declare(credentials={"graceSeconds": 4})
    blocked, other = await served(world), await served(world)
    fault = {"path": rf"/apps/[^/]+/installations/{blocked.id}.*", "status": 403, "times": 100000}
    await world.post("/control/faults", fault)
    try:
        await resync(world, blocked, "now")
        await world.condition(blocked, "CredentialsValid", "False", "AccessBlocked")
        status = (await world.installation(blocked))["status"]
        assert status["access"]["state"] == "Allowed"
        assert status["deadlines"]["credentials"]
        await resynced(world, other, "now", eventually)

        async def refused() -> bool:
            access = (await world.installation(blocked))["status"]["access"]
            return bool(access == {"state": "Refused", "reason": "AccessBlocked"})

        await eventually(refused)
        await world.condition(other, "Ready", "True")
    finally:
        (await world.control.delete("/control/faults")).raise_for_status()
    await resynced(world, blocked, "later", eventually)
    await world.condition(blocked, "Ready", "True")
    status = (await world.installation(blocked))["status"]
    assert status["access"]["state"] == "Allowed"
    assert "credentials" not in status.get("deadlines", {})


async def secrets_of(world: World, installation: str) -> set[str]:
    found = await world.kube.list(
        resources.SECRETS,
        namespace=world.release.credentials_namespace,
        labels=f"talkdesk-operator.io/installation={installation}",
    )
    return {one["metadata"]["name"] for one in found.items}


async def test_superseded_credentials_are_deleted_with_an_event_and_those_in_use_are_not(
    world: World, eventually: Any
) -> None:
    await world.declare()
    installed, other = await served(world), await served(world)
    (old,) = await secrets_of(world, installed.id)
    untouched = await secrets_of(world, other.id)
    await world.post(f"/control/installations/{installed.id}/rotate", {"compromise": False})

    async def replaced() -> bool:
        return len(left := await secrets_of(world, installed.id)) == 1 and old not in left

    await eventually(replaced)
    stored = await world.installation(installed)
    assert await secrets_of(world, installed.id) == {stored["status"]["credentials"]}
    assert await secrets_of(world, other.id) == untouched

    async def told() -> bool:
        fields = f"regarding.name={installed.name},reason=CredentialsDeleted"
        found = await world.kube.list(resources.EVENTS, namespace=world.release.namespace, fields=fields)
        return any(old in one["note"] and "superseded" in one["note"] for one in found.items)

    await eventually(told)
    await resynced(world, installed, "with-the-new", eventually)


async def test_credentials_that_nobody_claims_are_deleted_after_a_while(
    world: World, eventually: Any
) -> None:
    """Their event was stored as far as the Secret, and never further."""
    await world.declare()
    labels = {
        "talkdesk-operator.io/app": world.app_id,
        "talkdesk-operator.io/account": "nobody",
        "talkdesk-operator.io/installation": "never-seen",
    }
    stray = {"metadata": {"name": "td-stray", "labels": labels}, "data": {}}
    other = {**labels, "talkdesk-operator.io/app": "other"}
    foreign = {"metadata": {"name": "td-foreign", "labels": other}}
    release = names.release_id(world.release.namespace, world.release.name)
    undeclared = {
        "metadata": {"name": "td-undeclared", "labels": {**other, "talkdesk-operator.io/release": release}}
    }
    namespace = world.release.credentials_namespace
    for one in (stray, foreign, undeclared):
        await world.kube.create(resources.SECRETS, one, namespace=namespace)

    async def gone() -> bool:
        return await secrets_of(world, "never-seen") == {"td-foreign"}

    assert await secrets_of(world, "never-seen") == {"td-stray", "td-foreign", "td-undeclared"}
    await eventually(gone)
    await world.kube.delete(resources.SECRETS, "td-foreign", namespace=namespace)

    async def told() -> bool:
        fields = f"regarding.name={world.app},reason=CredentialsDeleted"
        found = await world.kube.list(resources.EVENTS, namespace=world.release.namespace, fields=fields)
        return any("td-stray" in one["note"] for one in found.items)

    await eventually(told)


async def listed(world: World, resource: Any, **more: str) -> dict[str, Any]:
    """All objects of a kind in the release's namespace, by name."""
    found = await world.kube.list(resource, namespace=world.release.namespace, **more)
    return {one["metadata"]["name"]: one for one in found.items}


async def stored_install(world: World, eventually: Any) -> Any:
    """A customer's, as far as the webhook goes: object and credentials."""
    one = await world.install()

    async def stored() -> bool:
        return bool(await world.installation(one)) and len(await secrets_of(world, one.id)) == 1

    await eventually(stored)
    return one


async def a_second_later(world: World, one: Any, eventually: Any) -> None:
    """What is made now is younger: creationTimestamp has whole seconds."""
    made = datetime.fromisoformat((await world.installation(one))["metadata"]["creationTimestamp"])

    async def later() -> bool:
        return datetime.now(UTC) > made + timedelta(seconds=1)

    await eventually(later)


async def test_of_apps_that_nobody_declared_only_the_newest_installations_are_kept(
    world: World, eventually: Any
) -> None:
    await world.declare()
    customer = await served(world)
    app = await world.declare()
    await world.kube.delete(resources.APPS, world.app, namespace=world.release.namespace)
    older = [await stored_install(world, eventually) for _ in range(2)]
    await a_second_later(world, older[1], eventually)
    newer = [await stored_install(world, eventually) for _ in range(2)]

    async def gone() -> bool:
        there = await listed(world, resources.INSTALLATIONS)
        secrets = [await secrets_of(world, one.id) for one in older]
        return not there.keys() & {one.name for one in older} and secrets == [set(), set()]

    await eventually(gone)
    assert {one.name for one in (*newer, customer)} <= (await listed(world, resources.INSTALLATIONS)).keys()
    for one in (*newer, customer):
        assert await secrets_of(world, one.id)

    async def told() -> bool:
        events = (await listed(world, resources.EVENTS, fields="reason=UndeclaredDeleted")).values()
        assert all(world.app_id in one["note"] for one in events)
        return {one["regarding"]["name"] for one in events} == {one.name for one in older}

    await eventually(told)
    for name in ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"):
        app["metadata"].pop(name, None)
    app.pop("status", None)
    await world.kube.apply(app, field_manager="test")
    for one in newer:
        await world.approved(one)


async def test_a_revocation_whose_installation_never_came_is_deleted_after_a_while(
    world: World, eventually: Any
) -> None:
    """A sign-out makes no installation."""
    await world.declare()
    event = {
        "id": "stray-logout",
        "created_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "type": "user.logout",
        "app_id": world.app_id,
        "data": {"installation_id": "never-seen", "account_id": "nobody", "user_id": "u-1"},
        "_links": {},
    }
    await world.post("/control/events", {"app_id": world.app_id, "event": event})

    async def there() -> bool:
        found = (await listed(world, resources.REVOCATIONS)).values()
        return any(one["spec"]["cause"] == "stray-logout" for one in found)

    async def gone() -> bool:
        return not await there()

    await eventually(there)
    await eventually(gone)


@contextlib.asynccontextmanager
async def unheard(world: World) -> AsyncIterator[None]:
    """Talkdesk's deliveries of this app are lost; at the end their three attempts are over."""
    heard = f"{world.webhook.url}/events"
    await world.control.patch(f"/control/apps/{world.app_id}", json={"events_url": DEAD})
    try:
        yield
        await world.post("/control/clock", {"advance_seconds": 3600})
    finally:
        await world.control.patch(f"/control/apps/{world.app_id}", json={"events_url": heard})


# The last two move Talkdesk's clock; what comes before them wants it to be ours.


async def test_a_rotation_whose_event_was_lost_costs_no_access_for_we_ask_for_another(
    world: World, eventually: Any
) -> None:
    await world.declare(credentials={"rotateAfterSeconds": 0})
    installed = await served(world)
    old = (await world.installation(installed))["status"]["credentials"]
    async with unheard(world):
        await world.post(f"/control/installations/{installed.id}/rotate", {"compromise": False})
    await world.post("/control/clock", {"advance_seconds": 5 * DAY})
    async with unheard(world):
        # Our own is lost too, and asked for once more.
        patch_app(world, {"credentials": {"rotateAfterSeconds": 5}})

        async def twice() -> bool:
            return len(await posts(world, installed, "/actions/rotate")) >= 2

        await eventually(twice)
    status = await acknowledged(world, installed, eventually, other_than=old)
    await world.post("/control/clock", {"advance_seconds": 2 * DAY})
    await resynced(world, installed, "a-week-later", eventually)
    await world.condition(installed, "CredentialsValid", "True")
    assert status["access"]["state"] == "Allowed"


async def test_a_rotation_whose_event_was_lost_costs_access_where_none_is_asked_for(world: World) -> None:
    await world.declare(credentials={"rotateAfterSeconds": 0, "graceSeconds": 0})
    installed = await served(world)
    async with unheard(world):
        await world.post(f"/control/installations/{installed.id}/rotate", {"compromise": False})
    await world.post("/control/clock", {"advance_seconds": 7 * DAY})
    await resync(world, installed, "a-week-later")
    await world.condition(installed, "CredentialsValid", "False", "CredentialsRefused")
    await world.condition(installed, "Ready", "False", "CredentialsRefused")
    assert not await posts(world, installed, "/actions/rotate")


async def test_a_refusal_that_passes_leaves_no_uninstallation_unanswered(world: World) -> None:
    await world.declare()
    installed = await served(world)
    try:
        await world.post("/control/faults", {"path": STATE, "method": "POST", "status": 503, "times": 5000})
        await world.post(f"/control/installations/{installed.id}/uninstall", {})
        await world.condition(installed, "Confirmed", "False", "AnswerFailed")
        await world.post("/control/faults", {"path": INSTALLATION, "status": 401, "times": 5000})
        refused = await world.condition(installed, "CredentialsValid", "False")
        assert refused["reason"] == "CredentialsRefused"
        assert refused["message"].endswith("if that lasts, the uninstallation is over")
    finally:
        (await world.control.delete("/control/faults")).raise_for_status()
    await world.approved(installed, 2)
    await world.condition(installed, "Confirmed", "True", "UninstallApproved")
