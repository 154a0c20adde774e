"""Roles, inactive users and the gateway's keys, on the real control plane with the real stand-in."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from talkdesk_crds import names
from talkdesk_crds.key_ring import parse, render
from talkdesk_kube import resources

if TYPE_CHECKING:
    from typing import Any

    World = Any

pytestmark = pytest.mark.asyncio(loop_scope="session")

SCIM = ["openid", "account:read", "users:read", "apps:read", "apps:write", "scim"]


async def customer(world: World, *roles: list[str], scopes: list[str] | None = None, **users: Any) -> Any:
    """A customer of a new app; one user for each of ``roles``, who has these at Talkdesk."""
    await world.declare(users=users)
    app = await world.control.patch(f"/control/apps/{world.app_id}", json={"scopes": scopes or SCIM})
    app.raise_for_status()
    world.customers += 1
    name = f"r{world.customers}-{world.app_id[:8]}"
    account = (await world.post("/control/accounts", {"name": name, "region": "eu"}))["id"]
    people = [await world.person(account, number) for number in range(len(roles))]
    for user, had in zip(people, roles, strict=True):
        (await world.control.patch(f"/control/users/{user}", json={"roles": had})).raise_for_status()
    installed = await world.install(account=account, people=people)
    await world.approved(installed)
    await world.condition(installed, "Ready", "True")
    return installed


async def roles_of(world: World, installed: Any) -> list[str | None]:
    licensed = await world.licensed(installed)
    return [licensed[user]["role"] if user in licensed else None for user in installed.users]


async def become(world: World, installed: Any, eventually: Any, expected: list[str | None]) -> None:
    async def look() -> bool:
        found = await roles_of(world, installed)
        assert found == expected, found
        return True

    await eventually(look)


async def change(world: World, resource: Any, name: str, patch: dict[str, Any]) -> None:
    await world.kube.merge_patch(resource, name, patch, namespace=world.release.namespace)


RULES = [{"talkdesk": "Administrator", "app": "owner"}, {"talkdesk": "Supervisor", "app": "lead"}]


async def test_roles_follow_talkdesk_the_app_and_the_installation_and_nobody_signs_in_again(
    world: World, eventually: Any
) -> None:
    installed = await customer(
        world, ["Agent"], ["Supervisor"], ["Supervisor", "Administrator"], ["Agent"], roles=RULES
    )
    await become(world, installed, eventually, ["admin", "lead", "owner", "user"])
    before = await world.licensed(installed)
    # The app's rules are changed: acted upon at once.
    await change(world, resources.APPS, world.app, {"spec": {"users": {"roles": RULES[1:]}}})
    await become(world, installed, eventually, ["admin", "lead", "lead", "user"])
    # The installation's assignments are over both, the installing admin's role included.
    assigned = {installed.users[0]: "user", installed.users[3]: "admin"}
    await change(world, resources.INSTALLATIONS, installed.name, {"spec": {"roles": assigned}})
    await become(world, installed, eventually, ["user", "lead", "lead", "admin"])
    await change(world, resources.INSTALLATIONS, installed.name, {"spec": {"roles": None}})
    await become(world, installed, eventually, ["admin", "lead", "lead", "user"])
    after = await world.licensed(installed)
    assert {user: one["epoch"] for user, one in after.items()} == {
        user: one["epoch"] for user, one in before.items()
    }


async def test_where_scim_is_refused_a_condition_says_so_and_nobody_loses_access(
    world: World, eventually: Any
) -> None:
    installed = await customer(world, ["Agent"], ["Supervisor"], scopes=SCIM[:-1], roles=RULES)
    said = await world.condition(installed, "UsersSynced", "True", "RolesRefused")
    assert "2 users" in said["message"]
    await become(world, installed, eventually, ["admin", "user"])
    await world.condition(installed, "Ready", "True")


@pytest.mark.parametrize("status", [503, 401])
async def test_while_scim_fails_everybody_keeps_their_role_until_it_answers(
    world: World, eventually: Any, status: int
) -> None:
    installed = await customer(world, ["Agent"], ["Supervisor"], roles=RULES)
    await become(world, installed, eventually, ["admin", "lead"])
    fault = {"path": "/scim/v2/Users", "status": status, "times": 12}
    await world.post("/control/faults", fault)
    patch = {"spec": {"users": {"roles": [{"talkdesk": "Supervisor", "app": "chief"}]}}}
    await change(world, resources.APPS, world.app, patch)
    await world.condition(installed, "UsersSynced", "True", "RolesUnknown")
    assert await roles_of(world, installed) == ["admin", "lead"]
    await become(world, installed, eventually, ["admin", "chief"])
    await world.condition(installed, "UsersSynced", "True", "UsersListed")


async def test_a_changed_name_or_address_follows_and_nobody_signs_in_again(
    world: World, eventually: Any
) -> None:
    installed = await customer(world, ["Agent"], ["Agent"])
    married, moved = installed.users
    before = await world.licensed(installed)
    for user, change_of in ((married, {"name": "Ada King"}), (moved, {"email": "ben@new.example"})):
        (await world.control.patch(f"/control/users/{user}", json=change_of)).raise_for_status()
    await world.annotate(installed, resync="1")

    async def followed() -> bool:
        now = await world.licensed(installed)
        return now == {
            married: before[married] | {"name": "Ada King"},
            moved: before[moved] | {"email": "ben@new.example"},
        }

    await eventually(followed, within=30)


async def test_an_inactive_user_is_out_unless_the_app_says_otherwise(world: World, eventually: Any) -> None:
    installed = await customer(world, ["Agent"], ["Agent"])
    leaver = installed.users[1]
    (await world.control.patch(f"/control/users/{leaver}", json={"active": False})).raise_for_status()
    await world.annotate(installed, resync="1")
    await become(world, installed, eventually, ["admin", None])
    await change(world, resources.APPS, world.app, {"spec": {"users": {"inactive": "Licensed"}}})
    await become(world, installed, eventually, ["admin", "user"])
    assert (await world.licensed(installed))[leaver]["active"] is False
    await change(world, resources.APPS, world.app, {"spec": {"users": {"inactive": "Removed"}}})
    await become(world, installed, eventually, ["admin", None])


async def test_a_list_that_fails_half_way_changes_nothing(world: World, eventually: Any) -> None:
    await world.declare()
    installed = await world.install(users=120)
    await world.approved(installed)
    await world.condition(installed, "Ready", "True")
    before = await world.licensed(installed)
    since = world.plane.audit_position()
    # From here on no list comes to its end, not even one that follows the approval.
    path, second = f".*/installations/{installed.id}/users", "(^|&)page=2(&|$)"
    await world.post("/control/faults", {"path": path, "query": second, "status": 403, "times": None})
    heard = len(await world.ledger())
    renamed = installed.users[3]
    (await world.control.patch(f"/control/users/{renamed}", json={"name": "Renamed"})).raise_for_status()
    await world.annotate(installed, resync="1")
    await world.condition(installed, "UsersSynced", "False", "ListFailed")
    written = [
        entry
        for entry in world.plane.audit(since=since)
        if (entry.get("objectRef") or {}).get("resource") == "talkdeskuserslices"
        and entry["verb"] in {"create", "patch"}
    ]
    assert written == []
    assert len(await world.licensed(installed)) == 120

    async def pages() -> list[tuple[str, int]]:
        """Each page asked for since then, and how Talkdesk answered."""
        entries = (
            (urlsplit(one["url"]), one["status"]) for one in (await world.ledger())[heard:] if one["url"]
        )
        mine = ((url.query, status) for url, status in entries if re.fullmatch(path, url.path))
        return [("second" if re.search(second, query) else "first", status) for query, status in mine]

    async def refused_thrice() -> bool:
        return (await pages()).count(("second", 403)) > 2

    await eventually(refused_thrice)  # nothing but the failure itself has it tried again
    asked = await pages()
    assert set(asked[asked.index(("first", 200)) :]) == {("first", 200), ("second", 403)}
    (await world.control.delete("/control/faults")).raise_for_status()
    await world.condition(installed, "UsersSynced", "True", "UsersListed")
    after = await world.licensed(installed)
    assert after[renamed]["name"] == "Renamed"
    assert {user: one["epoch"] for user, one in after.items()} == {
        user: one["epoch"] for user, one in before.items()
    }


async def test_the_way_to_talkdesk_is_complete_in_status(world: World) -> None:
    await world.declare()
    installed = await world.install()
    await world.condition(installed, "Ready", "True")
    status = (await world.installation(installed))["status"]
    launch = f"launch-{world.app_id[:8]}.demo.localhost"
    assert status["signIn"] == {"redirectUri": f"https://{launch}/_td/callback", "scopes": ["openid"]}


async def test_of_two_apps_with_one_launch_host_the_younger_says_so(world: World, eventually: Any) -> None:
    await world.declare()
    first, host = world.app, f"launch-{world.app_id[:8]}.demo.localhost"
    app = await world.kube.get(resources.APPS, first, namespace=world.release.namespace)
    created = datetime.fromisoformat(app["metadata"]["creationTimestamp"])

    async def another_second() -> bool:
        """Creation times have whole seconds."""
        return datetime.now(UTC) >= created + timedelta(seconds=1)

    await eventually(another_second)
    await world.declare()
    second = world.app
    await change(world, resources.APPS, second, {"spec": {"launchHost": host}})

    async def reason(name: str) -> str:
        app = await world.kube.get(resources.APPS, name, namespace=world.release.namespace)
        said = {one["type"]: one["reason"] for one in app["status"]["conditions"]}
        return str(said["Accepted"])

    async def refused() -> bool:
        return await reason(second) == "DuplicateLaunchHost"

    await eventually(refused)
    assert await reason(first) == "AppAccepted"
    await change(world, resources.APPS, first, {"spec": {"launchHost": f"other-{host}"}})

    async def accepted() -> bool:
        return await reason(second) == "AppAccepted"

    await eventually(accepted)


async def test_keys_that_are_deleted_are_made_again_and_a_look_at_them_writes_nothing(
    world: World, eventually: Any
) -> None:
    own, release = world.release.namespace, world.release.name
    for name in (names.session_keys_name(release), names.identity_keys_name(release)):

        async def keys(name: str = name) -> Any:
            return await world.kube.get(resources.SECRETS, name, namespace=own)

        stored = await eventually(keys)
        assert stored["type"] == "talkdesk-operator.io/keys"
        (first,) = parse(stored)
        await world.kube.delete(resources.SECRETS, name, namespace=own)

        async def another(name: str = name, first: Any = first) -> bool:
            now = parse(await world.kube.get(resources.SECRETS, name, namespace=own))
            return len(now) == 1 and now[0] != first

        await eventually(another, within=10)
        # What somebody overwrote is made anew as well.
        await world.kube.merge_patch(resources.SECRETS, name, {"data": render(())}, namespace=own)
        await eventually(another, within=10)
        # A look at what is in order leaves it alone.
        before = await keys()
        label = {"metadata": {"labels": {"seen": "yes"}}}
        touched = await world.kube.merge_patch(resources.SECRETS, name, label, namespace=own)
        await world.declare()
        installed = await world.install()
        await world.condition(installed, "Ready", "True")
        assert parse(await keys()) == parse(before)
        assert (await keys())["metadata"]["resourceVersion"] == touched["metadata"]["resourceVersion"]
    assert "jwk" not in world.logs()


async def test_a_removal_is_applied_while_the_tenants_own_pass_waits_for_talkdesk(
    world: World, eventually: Any
) -> None:
    await world.declare()
    installed = await world.install(users=3)
    await world.approved(installed)
    await world.condition(installed, "Ready", "True")
    # The pass that the update wakes hangs in its first call.
    slow = {"path": f".*/installations/{installed.id}", "method": "GET", "delay_seconds": 20}
    await world.post("/control/faults", slow)
    leaver = installed.users[2]
    await world.annotate(installed, resync="1")
    looks = 0

    async def hangs() -> bool:
        # The control API tells how many faults wait; one that was taken no longer does.
        nonlocal looks
        looks += 1
        return bool((await world.post("/control/faults", {"path": "/never"}))["waiting"] == looks)

    await eventually(hangs)
    await world.post(f"/control/installations/{installed.id}/update", {"removing": [leaver]})

    async def out() -> bool:
        return leaver not in await world.licensed(installed)

    await eventually(out, within=8)
    status = (await world.installation(installed))["status"]
    assert status.get("observedResync") != "1", "the pass has ended: nothing was waited for"
    (await world.control.delete("/control/faults")).raise_for_status()
    await world.approved(installed, 2)
