"""The keys of the sessions: a routine turn signs nobody out, taking them away signs out everybody."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import pytest

from chain.people import SCRIPT
from talkdesk_crds import names
from talkdesk_crds.key_ring import parse, render
from talkdesk_kube import resources as kinds

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.sandbox,
]

BAD_STEP = "This sign-in cannot be completed"


async def keys_of(world: Any) -> Any:
    name = names.session_keys_name(world.environment.release.name)
    return await world.kube.get(kinds.SECRETS, name, namespace=world.namespace)


def sealed_with(person: Any) -> str:
    """The id of the key that sealed the person's session."""
    pairs = dict(part.split("=", 1) for part in person.cookie.split("; "))
    header = pairs["__Host-td-session"].partition(".")[0]
    return str(json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"])


async def grown_older(world: Any, **by: timedelta) -> None:
    """Keys as they would be later: their ages, by id."""
    stored = await keys_of(world)
    older = tuple(
        key if key.id not in by else type(key)(key.id, key.made_at - by[key.id], key.jwk)
        for key in parse(stored)
    )
    await world.kube.merge_patch(
        kinds.SECRETS, stored["metadata"]["name"], {"data": render(older)}, namespace=world.namespace
    )


async def test_a_routine_turn_of_the_keys_signs_nobody_out(world: Any, acme: Any, bolt: Any) -> None:
    people = [await acme.here("ada"), await acme.here("ben"), await bolt.here("ada")]
    (first,) = parse(await keys_of(world))
    cleo = await acme.person("cleo").at_talkdesk()
    callback = (await cleo.follow("/_td/callback")).headers["location"]
    await grown_older(world, **{first.id: timedelta(days=31)})

    async def turned() -> str:
        keys = parse(await keys_of(world))
        assert [key.id for key in keys][:-1] == [first.id]
        return str(keys[-1].id)

    second = await world.until(turned)
    for person in people:
        await everywhere(world, person)
    # Once everybody knows it, the new key seals; what the old one sealed goes on.
    await grown_older(world, **{second: timedelta(minutes=10)})

    async def seals() -> None:
        fresh = await acme.here("ada")
        assert sealed_with(fresh) == second

    await world.until(seals)
    assert {sealed_with(person) for person in people} == {first.id}
    for person in people:
        await everywhere(world, person)
    assert "Hello, Cleo" in (await cleo.http.get(callback)).text, "a sign-in under way was not disturbed"
    newer = await acme.here("ben")
    for person in (newer, cleo):
        await everywhere(world, person)


async def everywhere(world: Any, person: Any) -> None:
    """That person is let in by every replica."""
    for replica in world.replicas:
        assert (await replica.decides(person))[0] == 200
    await person.is_in()


async def test_deleting_the_session_keys_signs_everybody_out_and_new_sign_ins_work(
    world: Any, acme: Any, bolt: Any
) -> None:
    people = [await acme.here("ada"), await acme.here("ben"), await bolt.here("ada")]
    under_way = await acme.person("cleo").at_talkdesk()
    callback = (await under_way.follow("/_td/callback")).headers["location"]
    sockets = [await world.socket(person) for person in people]
    name = names.session_keys_name(world.environment.release.name)
    await world.kube.delete(kinds.SECRETS, name, namespace=world.namespace)

    async def out() -> None:
        for person in people:
            for replica in world.replicas:
                assert (await replica.decides(person, headers=SCRIPT))[0] in {401, 403}
            assert (await person.get("/whoami", headers=SCRIPT)).status_code in {401, 503}

    await world.until(out, within=5)
    assert await world.closed(*sockets) == [1008] * 3
    newcomer = await acme.person("ada").at_talkdesk()
    await world.until(newcomer.enters)
    for _ in range(3):
        for person in people:
            await person.is_out()
    world.refused(await under_way.http.get(callback), 400, BAD_STEP)
    for person in people:
        await person.enters()
        await everywhere(world, person)
