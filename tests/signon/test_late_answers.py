"""Answers that the network delays and reorders: what comes late moves no session, and exchanges no users.

A browser that has lost its use cookie gets another one with each answer, of the session that it was asked
under: so all that are under way at once renew it.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from chain.late import Delaying, delaying
from chain.people import SCRIPT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from chain.late import Held

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.sandbox,
]

SESSION, USE = "__Host-td-session", "__Host-td-use"


@pytest_asyncio.fixture(loop_scope="session")
async def late(world: Any) -> AsyncIterator[Delaying]:
    """Between browsers and Envoy."""
    async with delaying(world.environment.edge.port) as proxy:
        yield proxy


async def enters(person: Any, late: Delaying) -> Any:
    """A browser whose answers can be delayed, in the app."""
    person.transport.through = late.port
    await person.enters()
    return person


def asks(person: Any, *paths: str) -> list[asyncio.Task[Any]]:
    """Requests of a page's scripts, all under way at once; each of them renews the session."""
    person.transport.forget(USE)
    return [asyncio.create_task(person.get(path, headers=SCRIPT)) for path in paths]


def cookies(person: Any) -> dict[str, str]:
    """The browser's, for the tenant."""
    return dict(part.split("=", 1) for part in person.cookie.split("; ") if part)


async def whoami(person: Any) -> tuple[int, str]:
    """What the app is told at this moment: the status, and of whom."""
    answer = await person.get("/whoami", headers=SCRIPT)
    return answer.status_code, answer.json()["user"]["id"] if answer.status_code == 200 else ""


async def test_answers_that_come_after_a_sign_out_revive_nothing(
    world: Any, acme: Any, late: Delaying
) -> None:
    ben = await enters(await acme.person("ben").at_talkdesk(), late)
    late.holds = lambda line: line.startswith("GET /whoami?late")
    under_way = asks(ben, "/whoami?late=1", "/whoami?late=2", "/whoami?late=3")
    held = await late.held(3)
    assert all(one.sets(USE) for one in held), "each of them renews the session"
    assert not any(one.sets(SESSION) for one in held), "enter alone sets a session"

    signed_out = await ben.post("/_td/sign-out", headers={"Origin": acme.origin})
    assert signed_out.status_code == 200
    assert cookies(ben) == {}
    held[2].let_go()
    assert (await under_way[2]).status_code == 200  # it was asked for before
    assert cookies(ben) == {USE: held[2].sets(USE)}, "the browser takes what comes"

    async def out() -> None:
        assert await whoami(ben) == (401, "")
        for replica in world.replicas:
            assert (await replica.decides(ben, headers=SCRIPT))[0] == 401

    await out()
    # A session that begins now is not touched by what was asked under the one before.
    await world.until(lambda: enters(ben, late))
    fresh = cookies(ben)
    held[0].let_go()
    await under_way[0]
    mixed = cookies(ben)
    assert (mixed[SESSION], mixed[USE]) == (fresh[SESSION], held[0].sets(USE))
    assert await whoami(ben) == (200, ben.user["id"])
    for replica in world.replicas:
        status, headers, _ = await replica.decides(ben, headers=SCRIPT)
        assert (status, headers["x-td-user"]) == (200, ben.user["id"])
    # And what comes after a second sign-out brings back neither of the two.
    assert (await ben.post("/_td/sign-out", headers={"Origin": acme.origin})).status_code == 200
    held[1].let_go()
    await under_way[1]
    await out()


ORDERS = list(itertools.permutations(("ada-1", "ben-enters", "ada-2")))


@pytest.mark.parametrize("order", ORDERS, ids=", ".join)
async def test_two_users_in_two_tabs_are_not_exchanged_in_whatever_order_answers_come(
    world: Any, acme: Any, late: Delaying, order: tuple[str, ...]
) -> None:
    ada = await enters(await acme.person("ada").at_talkdesk(), late)
    adas = cookies(ada)[SESSION]
    # In another tab of the same browser ben signs in; his ticket is on the way.
    ben = await replace(ada, user=acme.users["ben"]).at_talkdesk()
    ticket = (await ben.follow("/_td/enter")).headers["location"]
    late.holds = lambda line: "late=" in line or line.startswith("GET /_td/enter")
    under_way = {
        **dict(zip(("ada-1", "ada-2"), asks(ada, "/whoami?late=1", "/whoami?late=2"), strict=True)),
        "ben-enters": asyncio.create_task(ben.http.get(ticket, follow_redirects=False)),
    }
    held = {_which(one): one for one in await late.held(3)}
    bens = held["ben-enters"].sets(SESSION)
    assert bens not in {"", adas}
    for name in ("ada-1", "ada-2"):
        assert held[name].sets(USE), "it renews ada's session"
        assert not held[name].sets(SESSION)

    people = {adas: ada, bens: ben}
    session = adas
    for name in order:
        held[name].let_go()
        answer = await under_way[name]
        if name == "ben-enters":
            assert answer.status_code == 303
            session = bens  # from here on the browser is ben's, in both tabs
        else:
            assert answer.json()["user"]["id"] == ada.user["id"], "asked by ada, answered for ada"
        assert cookies(ada)[SESSION] == session
        expected = people[session].user["id"]
        assert await whoami(ada) == (200, expected)
        for replica in world.replicas:
            status, headers, _ = await replica.decides(ada, headers=SCRIPT)
            assert (status, headers["x-td-user"]) == (200, expected)


def _which(held: Held) -> str:
    path = held.request_line.split()[1]
    return "ben-enters" if path.startswith("/_td/enter") else f"ada-{path[-1]}"
