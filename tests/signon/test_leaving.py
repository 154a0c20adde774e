"""Whoever is to be out is out: at the next request, on every replica, also while Talkdesk's API is away."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import WSServerHandshakeError

from chain.people import SCRIPT
from chain.world import CONTACT
from talkdesk_kube import resources as kinds

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.sandbox,
]


async def signs_out_of_the_app(person: Any) -> None:
    answer = await person.post("/_td/sign-out", headers={"Origin": person.customer.origin})
    assert answer.status_code == 200


async def signs_out_of_talkdesk(person: Any) -> None:
    await person.customer.control("logout", {"user_id": person.user["id"]})


async def is_removed(person: Any) -> None:
    await person.customer.changes(removing=(person.first.lower(),))


async def uninstalls(person: Any) -> None:
    await person.customer.control("uninstall", {"reason": "too dear"})


async def ends_the_trial(person: Any) -> None:
    await person.customer.control("trial/end", {"reason": "trial_expired"})


async def is_suspended(person: Any, *, suspend: bool = True) -> None:
    world, change = person.customer.world, {"spec": {"suspend": suspend}}
    await world.kube.merge_patch(kinds.INSTALLATIONS, person.customer.name, change, namespace=world.namespace)


@dataclass(frozen=True)
class Cause:
    """Something that ends access: of ``who`` at the customer ``at``, or (a ``page``) of all who are there.

    ``outcome`` is what the decision counts, and why WebSockets end.
    """

    act: Callable[[Any], Awaitable[None]]
    outcome: str
    at: str
    who: str
    page: str = ""

    @property
    def whole(self) -> bool:
        """Nobody of the customer's enters any more."""
        return self.outcome == "suspended"

    def __str__(self) -> str:
        return self.act.__name__


CAUSES = [
    Cause(signs_out_of_the_app, "sign-in", "acme", "ben"),
    Cause(signs_out_of_talkdesk, "sign-in", "acme", "cleo"),
    Cause(is_removed, "not-licensed", "acme", "dan", page="You have no licence for this app"),
    Cause(is_suspended, "suspended", "bolt", "ada", page="This app is switched off"),
    Cause(ends_the_trial, "suspended", "clay", "ada", page="Your trial has ended"),
    Cause(uninstalls, "suspended", "dune", "ada", page="This app was uninstalled"),
]


async def passes(world: Any, person: Any) -> None:
    """By every replica's decision, and through Envoy."""
    for replica in world.replicas:
        status, headers, text = await replica.decides(person)
        assert (status, headers.get("x-td-user")) == (200, person.user["id"]), text[:300]
    answer = await person.get("/whoami", headers=SCRIPT)
    assert answer.json()["user"]["id"] == person.user["id"]


async def sees(cause: Cause, answer: tuple[int, Any, str], *, script: bool = False) -> None:
    """The answer is the one for ``cause``."""
    status, headers, text = answer
    if cause.page:
        assert status == 403, text[:300]
        assert cause.page in text
        assert CONTACT in text
    elif script:
        assert (status, headers["x-td-sign-in"]) == (401, "/_td/start")
    else:
        assert status == 303, text[:300]
        assert headers["location"].startswith("/_td/start?to=/")


async def is_out(world: Any, person: Any, cause: Cause) -> None:
    """Whatever the browser asks for, of whichever replica, by Envoy or past it."""
    for replica in world.replicas:
        await sees(cause, await replica.decides(person))
        await sees(cause, await replica.decides(person, headers=SCRIPT), script=True)
    for path in ("/", "/calls", "/download?bytes=10", "/upload"):
        answer = await person.get(path)
        await sees(cause, (answer.status_code, answer.headers, answer.text))
        answer = await person.get(path, headers=SCRIPT)
        await sees(cause, (answer.status_code, answer.headers, answer.text), script=True)
    posted = await person.post("/upload", headers={"Origin": person.customer.origin})
    assert posted.status_code == (403 if cause.page else 401)
    for url in ("", *(replica.url(8082, "/clock") for replica in world.replicas)):
        with pytest.raises(WSServerHandshakeError) as refused:
            await world.socket(person, url)
        assert refused.value.status == (403 if cause.page else 401)


async def cannot_come_back(person: Any, cause: Cause) -> None:
    """By the icon, while Talkdesk's API is away."""
    launched = await person.click()
    if cause.whole:
        assert (launched.status_code, cause.page in launched.text) == (403, True)
    elif cause.act is signs_out_of_talkdesk:
        assert str(launched.url).startswith(f"{person.customer.identity}/login")
    else:
        assert launched.status_code == 503
        assert "Talkdesk could not confirm who you are" in launched.text


@pytest.mark.parametrize("cause", CAUSES, ids=str)
async def test_it_ends_at_the_next_request_on_every_replica_with_talkdesk_down(
    world: Any, cause: Cause
) -> None:
    customer = await world.customer(cause.at)
    person, elsewhere = await customer.here(cause.who), await customer.here(cause.who)
    # Of one user's access: a colleague goes on. Of all: another customer does.
    other = await (await world.customer("acme") if cause.whole else customer).here("ada")
    opened, kept = [
        [await world.socket(one), *[await replica.socket(one) for replica in world.replicas]]
        for one in (person, other)
    ]
    for one in (person, elsewhere, other):
        await passes(world, one)
    before = await world.counted()
    async with world.without_talkdesk():
        await cause.act(elsewhere)
        assert await world.closed(*opened) == [1008] * 3
        await world.until(lambda: is_out(world, person, cause))
        await is_out(world, person, cause)
        await cannot_come_back(person, cause)
        await passes(world, other)
    for socket in kept:
        assert "now" in await socket.receive_json(timeout=10)
    after = await world.counted()
    for name, least in (("decisions", 20), ("websockets_ended", 3)):
        sample = (f"talkdesk_gateway_{name}_total", frozenset({cause.outcome}))
        assert after[sample] - before.get(sample, 0) >= least, sample
    if cause.act is is_suspended:
        await is_suspended(person, suspend=False)
        await world.until(lambda: passes(world, person))  # the session was only held up


async def test_who_is_removed_is_refused_by_the_icon_as_well(world: Any, acme: Any) -> None:
    await acme.changes(adding=("eve",))
    eve = await acme.person("eve").at_talkdesk()
    await world.until(eve.enters)
    await acme.changes(removing=("eve",))

    async def refused() -> None:
        for answer in (await eve.get(), await eve.click(), await eve.click(to="/calls")):
            assert answer.status_code == 403, f"{answer.status_code} {answer.url}"
            assert "You have no licence for this app" in answer.text
            assert CONTACT in answer.text

    async with world.counts(("callback", "not-licensed"), decision="not-licensed"):
        await world.until(refused)
    stranger = acme.person("eve")
    answer = await stranger.get("/calls")
    assert answer.headers["location"] == "/_td/start?to=/calls", (
        "without a session the link leads to Talkdesk"
    )


async def who(person: Any) -> tuple[str, str]:
    """Whom the app is told of, and of which account."""
    answer = await person.get("/whoami", headers=SCRIPT)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["user"]["id"] == told["headers"]["x-td-user"]
    return told["user"]["id"], told["headers"]["x-td-installation"]


async def test_two_tenants_in_one_browser_keep_apart(acme: Any, bolt: Any) -> None:
    here = await acme.here("ada")
    # The same browser, another account: its user there, and a session beside the first one.
    there = replace(here, customer=bolt, user=bolt.users["ben"])
    await (await there.at_talkdesk()).enters()
    for _ in range(3):
        assert await who(here) == (acme.users["ada"]["id"], acme.installation_id)
        assert await who(there) == (bolt.users["ben"]["id"], bolt.installation_id)
    signed_out = await there.post("/_td/sign-out", headers={"Origin": bolt.origin})
    assert signed_out.status_code == 200
    assert (await there.get("/whoami", headers=SCRIPT)).status_code == 401
    assert await who(here) == (acme.users["ada"]["id"], acme.installation_id)


async def test_two_users_in_two_tabs_are_never_taken_for_one_another(world: Any, acme: Any) -> None:
    ada = await acme.person("ada").at_talkdesk()
    first = (await ada.follow("/_td/enter")).headers["location"]  # a slow tab: its ticket is on the way
    # In another tab somebody else signs in to Talkdesk, and is in the app before.
    ben = replace(ada, user=acme.users["ben"])
    await (await ben.at_talkdesk()).enters()
    bens = ada.cookie
    assert (await who(ben))[0] == acme.users["ben"]["id"]
    entered = await ada.http.get(first)
    assert entered.status_code == 200
    assert "Hello, Ada" in entered.text
    assert (await who(ada))[0] == acme.users["ada"]["id"]
    # A late answer to the other tab brings the use of the other session: it moves nothing.
    sessions = dict(part.split("=", 1) for part in ada.cookie.split("; "))
    late = dict(part.split("=", 1) for part in bens.split("; "))
    mixed = sessions | {"__Host-td-use": late["__Host-td-use"]}
    for replica in world.replicas:
        asked = "; ".join(f"{name}={value}" for name, value in mixed.items())
        status, headers, _ = await replica.decides(ada, headers={"Cookie": asked, **SCRIPT})
        assert (status, headers["x-td-user"]) == (200, acme.users["ada"]["id"])
