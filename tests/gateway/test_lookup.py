"""A look for an unknown user: asked for once, waited for on the watch, whoever asked."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from talkdesk_crds import names
from talkdesk_crds.revocation import TalkdeskRevocation
from talkdesk_gateway.lookup import WatchedLookup, due
from talkdesk_gateway.seams import NotAskedError
from talkdesk_gateway.sign_out import StoredSignOut, revocation
from talkdesk_kube import AlreadyExists, Conflict, Status, Unreachable
from talkdesk_kube.resources import INSTALLATIONS, REVOCATIONS, USER_SLICES

if TYPE_CHECKING:
    from talkdesk_crds.installation import TalkdeskInstallation
    from talkdesk_gateway.tenancy import Tenancy

TOKEN = names.RESYNC_ANNOTATION


class Operator:
    """The API server's writing side, and an operator that looks when ``answer`` lets it."""

    def __init__(self, it: Any) -> None:
        self.it = it
        self.patches: list[dict[str, Any]] = []
        self.created: list[dict[str, Any]] = []
        self.error: Exception | None = None
        self.asked = asyncio.Event()

    async def merge_patch(self, resource: Any, name: str, patch: Any, *, namespace: str) -> Any:
        assert (resource, name, namespace) == (INSTALLATIONS, "i1", "td")
        if self.error is not None:
            raise self.error
        self.patches.append(patch)
        token = patch["metadata"]["annotations"][TOKEN]
        self.asked.set()
        return await self.write(token=token)

    async def write(self, *, token: str | None, observed: str | None = None, **more: Any) -> Any:
        """The installation with that token and that observed one."""
        version = more.pop("version", None) or str(self.it.first_version)
        made = self.it.objects.installation(users=(1, version), observedResync=observed, **more)
        if token is not None:
            made["metadata"]["annotations"] = {TOKEN: token}
        return await self.it.server.put(made)

    async def answer(self, users: dict[str, str]) -> None:
        """The look is done: the slice, then the status that says so."""
        written = await self.it.server.put(self.it.objects.user_slice(users=users))
        token = self.patches[-1]["metadata"]["annotations"][TOKEN]
        await self.write(token=token, observed=token, version=written["metadata"]["resourceVersion"])

    async def create(self, resource: Any, obj: Any, *, namespace: str) -> Any:
        assert (resource, namespace) == (REVOCATIONS, "td")
        if self.error is not None:
            raise self.error
        if obj["metadata"]["name"] in {one["metadata"]["name"] for one in self.created}:
            raise AlreadyExists(Status(409, "AlreadyExists", "exists"), "POST", "/")
        self.created.append(obj)
        return obj


def tenancy_of(it: Any) -> Tenancy:
    found: Tenancy | None = it.directory.by_host(it.host)
    assert found is not None
    return found


def installation_of(it: Any) -> TalkdeskInstallation:
    return tenancy_of(it).installation


@pytest.fixture
def looking(edge: Any) -> Any:
    @asynccontextmanager
    async def make(*, wait: float = 5.0) -> Any:
        async with edge() as it:
            it.first_version = tenancy_of(it).installation.status.users.resource_version  # type: ignore[union-attr]
            operator = Operator(it)
            kube: Any = operator
            yield it, operator, WatchedLookup(kube, it.directory, wait=wait, clock=lambda: it.now)

    return make


async def test_ten_unknown_users_at_once_cost_one_look(looking: Any) -> None:
    async with looking() as (it, operator, lookup):
        users = [f"n{number}" for number in range(10)]
        asked = [asyncio.create_task(lookup.look(tenancy_of(it), user)) for user in users]
        await asyncio.wait_for(operator.asked.wait(), 5)
        await it.caught_up()
        assert not any(one.done() for one in asked)
        await operator.answer({"u1": "e1"} | dict.fromkeys(users[:9], "e2"))
        found = await asyncio.wait_for(asyncio.gather(*asked), 5)
        assert [one.user(user) is not None for one, user in zip(found, users, strict=True)] == [True] * 9 + [
            False
        ]
        assert len(operator.patches) == 1
        assert set(operator.patches[0]["metadata"]["annotations"]) == {TOKEN}


async def test_for_a_minute_after_a_look_nobody_else_costs_one(looking: Any) -> None:
    async with looking() as (it, operator, lookup):
        first = asyncio.create_task(lookup.look(tenancy_of(it), "n1"))
        await asyncio.wait_for(operator.asked.wait(), 5)
        await operator.answer({"u1": "e1"})
        await asyncio.wait_for(first, 5)
        it.now += timedelta(seconds=59)
        assert (await asyncio.wait_for(lookup.look(tenancy_of(it), "n2"), 5)).user("n2") is None
        assert len(operator.patches) == 1
        it.now += timedelta(seconds=2)
        second = asyncio.create_task(lookup.look(tenancy_of(it), "n2"))
        await it.caught_up()
        assert len(operator.patches) == 2
        await operator.answer({"n2": "e1"})
        assert (await asyncio.wait_for(second, 5)).user("n2") is not None


async def test_a_look_that_somebody_else_asked_for_is_waited_for(looking: Any) -> None:
    async with looking() as (it, operator, lookup):
        await operator.write(token="a person's own", observed="an older one")
        await it.caught_up()
        asked = asyncio.create_task(lookup.look(tenancy_of(it), "n1"))
        await it.caught_up()
        assert not asked.done()
        await operator.write(token="a person's own", observed="a person's own")
        await it.caught_up()
        # That look ended, but nobody knows when it began: one of our own follows.
        assert len(operator.patches) == 1
        await operator.answer({"n1": "e1"})
        assert (await asyncio.wait_for(asked, 5)).user("n1") is not None


async def test_the_look_counts_once_the_slices_that_its_status_names_are_there(looking: Any) -> None:
    async with looking() as (it, operator, lookup):
        it.server.held = {USER_SLICES}
        asked = asyncio.create_task(lookup.look(tenancy_of(it), "n1"))
        await asyncio.wait_for(operator.asked.wait(), 5)
        await operator.answer({"n1": "e1"})
        await it.caught_up()
        assert not asked.done()
        await it.server.show(USER_SLICES)
        assert (await asyncio.wait_for(asked, 5)).user("n1") is not None


async def test_whoever_appears_meanwhile_waits_no_longer(looking: Any) -> None:
    async with looking() as (it, operator, lookup):
        asked = asyncio.create_task(lookup.look(tenancy_of(it), "n1"))
        await asyncio.wait_for(operator.asked.wait(), 5)
        await it.server.put(it.objects.user_slice(users={"n1": "e1"}))
        assert (await asyncio.wait_for(asked, 5)).user("n1") is not None


async def test_a_look_that_is_not_over_in_time_says_nothing_of_the_user(looking: Any) -> None:
    async with looking(wait=0.05) as (it, operator, lookup):
        with pytest.raises(NotAskedError, match=r"not read again within 0\.05 s"):
            await asyncio.wait_for(lookup.look(tenancy_of(it), "n1"), 5)
        assert len(operator.patches) == 1
        await operator.answer({"u1": "e1"})
        await it.caught_up()
        assert (await asyncio.wait_for(lookup.look(tenancy_of(it), "n1"), 5)).user("n1") is None
        assert len(operator.patches) == 1, "the look that was under way is theirs as well"


async def test_another_replica_that_asked_a_moment_earlier_has_asked_for_us_too(looking: Any) -> None:
    async with looking() as (it, operator, lookup):
        operator.error = Conflict(Status(409, "Conflict", "changed"), "PATCH", "/")
        asked = asyncio.create_task(lookup.look(tenancy_of(it), "n1"))
        await it.caught_up()
        assert not asked.done()
        operator.error = None
        theirs = f"gateway.{it.now:%Y-%m-%dT%H:%M:%SZ}.ffffffff"
        await operator.write(token=theirs)
        await operator.write(token=theirs, observed=theirs)
        assert (await asyncio.wait_for(asked, 5)).user("n1") is None
        assert operator.patches == []


async def test_kubernetes_that_cannot_be_asked_and_an_installation_that_is_gone_are_told(
    looking: Any,
) -> None:
    async with looking() as (it, operator, lookup):
        known = tenancy_of(it)
        operator.error = Unreachable(Status(0, "", "no answer"), "PATCH", "/")
        with pytest.raises(NotAskedError):
            await lookup.look(known, "n1")
        operator.error = None
        await it.server.delete(INSTALLATIONS, "i1")
        await it.caught_up()
        with pytest.raises(NotAskedError, match="gone"):
            await lookup.look(known, "n1")


async def test_a_token_from_a_clock_that_is_ahead_does_not_stop_looks_for_ever(looking: Any) -> None:
    async with looking() as (it, operator, _):
        for minutes, expected in ((0, False), (0.5, False), (10, True), (-10, True)):
            when = it.now + timedelta(minutes=minutes)
            token = f"gateway.{when:%Y-%m-%dT%H:%M:%SZ}.ffffffff"
            await operator.write(token=token, observed=token)
            await it.caught_up()
            assert due(installation_of(it), it.now) is expected


async def test_a_sign_out_is_stored_once_for_each_cause(looking: Any) -> None:
    async with looking() as (it, operator, _):
        sign_out = StoredSignOut(operator, clock=lambda: it.now)
        for cause in ("s1", "s1", "s2"):
            await sign_out.sign_out(tenancy_of(it), "u1", cause)
            it.now += timedelta(seconds=1)
        assert len(operator.created) == 2
        stored = TalkdeskRevocation.model_validate(operator.created[0])
        assert (stored.spec.kind, stored.spec.users, stored.spec.cause) == ("SignedOut", ["u1"], "s1")
        assert stored.spec.installation_id == "i1"
        assert stored.metadata.labels[names.INSTALLATION_LABEL] == "i1"
        assert "status" not in operator.created[0]
        operator.error = Unreachable(Status(0, "", "no answer"), "POST", "/")
        with pytest.raises(NotAskedError):
            await sign_out.sign_out(tenancy_of(it), "u1", "s3")


async def test_a_sign_out_can_say_nothing_but_that_a_user_signed_out(looking: Any) -> None:
    async with looking() as (it, _, __):
        made = revocation(tenancy_of(it), "u1", "c" * 256, now=it.now)
        assert made.spec.kind == "SignedOut"
        assert made.metadata.namespace == "td"
