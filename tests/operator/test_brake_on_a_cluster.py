"""A wrong answer about everybody stops nobody, a true one about somebody does, a person has the last word."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from talkdesk_kube import resources
from talkdesk_sandbox.plain import plain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any

    World = Any

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: So many may lose their access at once as business as usual (``BrakePolicy``; a fifth of these are fewer).
USUAL = 5
CUSTOMERS = 12


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def many(open_world: Any) -> AsyncIterator[World]:
    """Twelve customers of one app."""
    async with open_world() as made:
        # Credentials count as spread at once: whoever refuses them means it.
        await made.start(
            TALKDESK_RESYNC_RATE="100", TALKDESK_BRAKE_SECONDS="10", TALKDESK_SPREADING_SECONDS="0.1"
        )
        config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": {}}
        await made.declare(template=[config_map])
        made.all = await asyncio.gather(*(made.install(users=1) for _ in range(CUSTOMERS)))
        for one in made.all:
            await made.condition(one, "Ready", "True", within=120)
        yield made


async def read_again(world: World) -> str:
    """Everybody at once, as in the course of a resync; the token that asked for it."""
    token = secrets.token_hex(4)
    annotations = {"talkdesk-operator.io/resync": token}
    await asyncio.gather(
        *(
            world.kube.merge_patch(
                resources.INSTALLATIONS,
                one.name,
                {"metadata": {"annotations": annotations}},
                namespace=world.release.namespace,
            )
            for one in world.all
        )
    )
    return token


async def faulty(world: World, installation: str, **fault: Any) -> None:
    path = rf"/apps/{world.app_id}/installations/{installation}"
    await world.post("/control/faults", {"path": path, "method": "GET", "times": 100_000, **fault})


async def well(world: World) -> None:
    (await world.control.delete("/control/faults")).raise_for_status()
    await read_again(world)


async def steady(world: World) -> dict[str, Any]:
    app = await world.kube.get(resources.APPS, world.app, namespace=world.release.namespace)
    return next(dict(one) for one in app["status"]["conditions"] if one["type"] == "Steady")


async def statuses(world: World) -> list[dict[str, Any]]:
    found = await world.kube.list(resources.INSTALLATIONS, namespace=world.release.namespace)
    return [one["status"] for one in found.items if one["spec"]["appId"] == world.app_id]


async def allowed(world: World) -> int:
    return sum(one["access"]["state"] == "Allowed" for one in await statuses(world))


async def held(world: World) -> bool:
    """Talkdesk's API has said it of everybody, and the brake says that it holds."""
    said = sum("impending" in one for one in await statuses(world))
    condition = await steady(world)
    told = f"{CUSTOMERS} of {CUSTOMERS} customers" in condition["message"]
    return said == CUSTOMERS and condition["reason"] == "BrakeHolds" and told


async def calm(world: World) -> bool:
    told = any("impending" in one for one in await statuses(world))
    return not told and (await steady(world))["status"] == "True" and await allowed(world) == CUSTOMERS


async def gauge(world: World, line: str) -> float | None:
    async with plain() as http:
        text = (await http.get(f"{world.operators[0].url}/metrics")).text
    found = [one for one in text.splitlines() if one.startswith(line)]
    return float(found[0].rpartition(" ")[2]) if found else None


async def test_one_customer_whom_talkdesk_no_longer_knows_is_suspended_flagged_and_heals(
    many: World, eventually: Any
) -> None:
    one = many.all[0]
    tenant = await many.tenant(one)
    await faulty(many, one.id, status=404, body={"error": "not found"})
    await read_again(many)
    try:
        await many.condition(one, "Ready", "False", "UnknownToTalkdesk")
        stored = await many.installation(one)
        assert stored["status"]["access"] == {"state": "Refused", "reason": "UnknownToTalkdesk"}
        assert stored["status"]["talkdesk"]["state"] == "(not found)"
        assert (await many.kube.get(resources.NAMESPACES, tenant))["status"]["phase"] == "Active"
        assert await allowed(many) == CUSTOMERS - 1
        assert (await steady(many))["status"] == "True"
        many.operators[0].kill()
        await eventually(many.restarted)
        assert (await many.installation(one))["status"]["access"]["reason"] == "UnknownToTalkdesk"
    finally:
        await well(many)
    await many.condition(one, "Ready", "True")
    await eventually(lambda: calm(many))


async def test_a_404_for_everybody_stops_nobody_raises_its_voice_survives_a_restart_and_lets_go(
    many: World, eventually: Any
) -> None:
    since = many.plane.audit_position()
    await faulty(many, "[^/]+", status=404, body={"error": "not found"})
    await read_again(many)
    try:
        await eventually(lambda: held(many))
        assert await allowed(many) == CUSTOMERS
        labels = f'{{app="{many.app}",region="eu"}}'
        assert await gauge(many, f"talkdesk_brake_held{labels}") == CUSTOMERS
        events = await many.kube.list(resources.EVENTS, namespace=many.release.namespace)
        assert [
            one["type"]
            for one in events.items
            if one["reason"] == "BrakeHolds" and one["regarding"]["name"] == many.app
        ] == ["Warning"]
        starts = many.operators[0].starts
        many.operators[0].kill()

        async def again() -> bool:
            await many.operators[0].ready()
            passes = await many.passes() if many.operators[0].starts > starts else 0
            return passes > CUSTOMERS

        await eventually(again)
        assert await held(many)
        assert await allowed(many) == CUSTOMERS
    finally:
        await well(many)
    await eventually(lambda: calm(many))
    assert await gauge(many, "talkdesk_brake_held{") is None
    deleted = [
        entry
        for entry in many.plane.audit(since=since)
        if entry["user"]["username"] == many.release.user("operator")
        and entry["verb"] == "delete"
        and (entry.get("objectRef") or {}).get("resource") in ("namespaces", "talkdeskinstallations")
    ]
    assert deleted == []


async def test_a_person_who_finds_that_it_is_true_releases_the_brake(many: World, eventually: Any) -> None:
    revoked = {"state": {"state": "revoked", "updated_at": "2026-01-05T10:00:00Z"}}
    for one in many.all:
        await faulty(many, one.id, status=200, body={"id": one.id, "_embedded": revoked})
    await read_again(many)
    try:
        await eventually(lambda: held(many))
        assert await allowed(many) == CUSTOMERS
        release = {"talkdesk-operator.io/release-brake": datetime.now(UTC).isoformat()}
        await many.kube.merge_patch(
            resources.APPS,
            many.app,
            {"metadata": {"annotations": release}},
            namespace=many.release.namespace,
        )

        async def ended() -> bool:
            found = {(one["access"]["state"], one["access"]["reason"]) for one in await statuses(many)}
            return found == {("Refused", "RevokedByTalkdesk")}

        await eventually(ended)
        line = f'talkdesk_installations{{access="Refused",app="{many.app}",reason="RevokedByTalkdesk"}}'
        assert await gauge(many, line) == CUSTOMERS
    finally:
        await well(many)
    await eventually(lambda: calm(many))


async def test_credentials_that_are_refused_for_everybody_end_nobodys_access(
    many: World, eventually: Any
) -> None:
    await eventually(lambda: calm(many))
    own = {"namespace": many.release.namespace}
    await many.kube.merge_patch(
        resources.APPS, many.app, {"spec": {"credentials": {"graceSeconds": 0}}}, **own
    )
    refusal = {"error": "invalid_client", "error_description": "no such client"}
    fault = {"path": "/oauth/token", "times": 100_000, "status": 401, "body": refusal}
    await many.post("/control/faults", fault)
    try:
        many.operators[0].kill()  # and with it the tokens that it had
        await eventually(many.restarted)
        await read_again(many)
        await eventually(lambda: held(many))
        assert {one["impending"]["reason"] for one in await statuses(many)} == {"CredentialsRefused"}
        assert await allowed(many) == CUSTOMERS
    finally:
        await well(many)
    await eventually(lambda: calm(many))


EMPTY = {"status": 200, "body": {"total": 0, "page": 1, "per_page": 20, "_embedded": {"users": []}}}


async def licensed(world: World) -> int:
    return sum(status["users"]["count"] for status in await statuses(world))


async def test_an_empty_list_of_users_for_everybody_takes_nobodys_access(
    many: World, eventually: Any
) -> None:
    await eventually(lambda: calm(many))
    await faulty(many, "[^/]+/users", **EMPTY)
    await read_again(many)
    try:
        await eventually(lambda: held(many))
        assert {one["impending"]["reason"] for one in await statuses(many)} == {"UsersVanished"}
        assert await licensed(many) == CUSTOMERS
    finally:
        await well(many)
    await eventually(lambda: calm(many))
    assert await licensed(many) == CUSTOMERS


async def test_one_customer_without_any_user_loses_them_a_moment_later(many: World, eventually: Any) -> None:
    await eventually(lambda: calm(many))
    one = many.all[1]
    await faulty(many, f"{one.id}/users", **EMPTY)
    await read_again(many)
    try:
        await many.condition(one, "Ready", "False", "AccessEnding")
        assert (await many.installation(one))["status"]["users"]["count"] == 1

        async def gone() -> bool:
            return bool((await many.installation(one))["status"]["users"]["count"] == 0)

        await eventually(gone)
        assert await licensed(many) == CUSTOMERS - 1
    finally:
        await well(many)

    async def back() -> bool:
        return await licensed(many) == CUSTOMERS

    await eventually(back)


async def test_lists_that_become_empty_one_after_another_are_too_many_all_the_same(
    many: World, eventually: Any
) -> None:
    await eventually(lambda: calm(many))
    first, last = many.all[:USUAL], many.all[USUAL]
    for one in first:
        await faulty(many, f"{one.id}/users", **EMPTY)
    await read_again(many)
    try:

        async def gone() -> bool:
            return await licensed(many) == CUSTOMERS - len(first)

        await eventually(gone)
        token = await read_again(many)

        async def looked_at() -> bool:
            return all(one["observedResync"] == token for one in await statuses(many))

        await eventually(looked_at)
        await faulty(many, f"{last.id}/users", **EMPTY)
        await read_again(many)
        await many.condition(last, "Ready", "False", "BrakeHolds")
        assert await licensed(many) == CUSTOMERS - len(first)
    finally:
        await well(many)
    await eventually(lambda: calm(many))
    assert await licensed(many) == CUSTOMERS
