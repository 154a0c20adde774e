"""What the watches show becomes tenancies; a user is in only where a generation that counts says so."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from talkdesk_crds.user_slice import bucket_of
from talkdesk_gateway.caches import Caches
from talkdesk_gateway.directory import WatchedDirectory
from talkdesk_gateway.ready import Watches
from talkdesk_kube import ReflectorTimings
from talkdesk_kube.resources import APPS, INSTALLATIONS, SERVICES, USER_SLICES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOST = "i1.apps.example.com"
QUICK = ReflectorTimings(first_backoff=0.001, longest_backoff=0.001)


class Watching:
    """A directory on real reflectors; ``caught_up`` returns once they have taken what they are shown."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.caches = Caches(server, namespace="td", release="td", timings=QUICK)
        self.watches = Watches(self.caches.reflectors(), stale=300)
        self.directory = WatchedDirectory(self.caches, namespace="td", fault=self.watches.fault)

    async def caught_up(self) -> None:
        await self.server.taken()

    def epoch(self, user: str, host: str = HOST) -> str | None:
        tenancy = self.directory.by_host(host)
        entry = tenancy.user(user) if tenancy is not None else None
        return entry.epoch if entry is not None else None


@asynccontextmanager
async def watching(server: Any) -> AsyncIterator[Watching]:
    made = Watching(server)
    task = asyncio.create_task(made.watches.run())
    try:
        async with asyncio.timeout(10):
            for reflector in made.watches.reflectors:
                await reflector.synced.wait()
        yield made
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def settled(server: Any, objects: Any, users: dict[str, str], **status: Any) -> None:
    """An app, a Service, and the installation ``i1`` whose only slice holds ``users``."""
    await server.put(objects.app())
    await server.put(objects.service())
    written = await server.put(objects.user_slice(users=users))
    version = written["metadata"]["resourceVersion"]
    await server.put(objects.installation(users=(1, version), **status))


async def test_a_tenancy_shows_the_installation_its_app_its_users_and_its_service(
    api_server: Any, objects: Any
) -> None:
    server = api_server()
    await settled(server, objects, {"u1": "e1"})
    async with watching(server) as it:
        found = it.directory.by_host(HOST)
        assert found is not None
        assert it.directory.fresh
        assert (found.installation.metadata.name, found.app.spec.app_id) == ("i1", "a1")
        assert (found.host, found.upstream) == (HOST, "10.0.0.7:8080")
        assert (found.allowed, found.users_known) == (True, True)
        entry = found.user("u1")
        assert entry is not None
        assert (entry.epoch, entry.name, entry.email) == ("e1", "User u1", "u1@example.com")
        assert (entry.role, entry.active, entry.admin) == ("user", True, False)
        assert found.user("u2") is None
        assert it.directory.by_installation("i1") == found
        assert it.directory.by_host("elsewhere.example.com") is None
        assert it.directory.by_installation("i2") is None
        app = it.directory.app_at("launch.example.com")
        assert app is not None
        assert app.metadata.name == "app"
        assert it.directory.app_at("other.example.com") is None


async def test_a_host_belongs_to_the_app_that_lives_launches_or_would_live_there(
    api_server: Any, objects: Any
) -> None:
    server = api_server()
    await settled(server, objects, {"u1": "e1"})
    finer = objects.app("finer", appId="a2", launchHost="start.example.com")
    finer["spec"]["baseDomain"] = "beta.apps.example.com"
    finer["metadata"]["creationTimestamp"] = "2026-02-01T00:00:00Z"
    await server.put(finer)
    belongs = {
        HOST: "app",
        "launch.example.com": "app",
        "start.example.com": "finer",
        "nobody.apps.example.com": "app",
        "a.b.apps.example.com": "app",
        "nobody.beta.apps.example.com": "finer",
        "apps.example.com": "app",
        "evilapps.example.com": None,
        f"{HOST}.evil.example": None,
        "localhost": None,
        "": None,
        f"{'a.' * 200}apps.example.com": None,
    }
    async with watching(server) as it:
        found = {host: it.directory.app_of(host) for host in belongs}
    assert {host: app and app.metadata.name for host, app in found.items()} == belongs


async def test_an_installation_without_a_tenant_yet_is_found_by_its_id_alone(
    api_server: Any, objects: Any
) -> None:
    server = api_server()
    await server.put(objects.app())
    await server.put(objects.installation(host=None, tenant=None, access="Refused"))
    async with watching(server) as it:
        found = it.directory.by_installation("i1")
        assert found is not None
        assert (found.host, found.upstream, found.users_known) == ("", None, False)
        assert it.directory.by_host("") is None


async def test_an_id_that_another_installations_name_looks_like_finds_nothing(
    api_server: Any, objects: Any
) -> None:
    server = api_server()
    await server.put(objects.app())
    made = objects.installation()
    made["spec"]["installationId"] = "another"
    await server.put(made)
    async with watching(server) as it:
        assert it.directory.by_installation("i1") is None


async def test_a_removed_user_and_a_new_epoch_show_with_the_slice(api_server: Any, objects: Any) -> None:
    server = api_server()
    await settled(server, objects, {"u1": "e1", "u2": "e2"})
    async with watching(server) as it:
        before = it.directory.by_host(HOST)
        await server.put(objects.user_slice(users={"u2": "e3"}))
        await it.caught_up()
        assert (it.epoch("u1"), it.epoch("u2")) == (None, "e3")
        assert before is not None
        kept = before.user("u1")
        assert kept is not None, "a tenancy is of the moment in which it was made"


@pytest.mark.parametrize(
    "change", ["access", "uninstalled", "deleted", "deleting", "host", "app", "unreadable"]
)
async def test_what_ends_a_tenancy_shows_at_once(api_server: Any, objects: Any, change: str) -> None:
    server = api_server()
    await settled(server, objects, {"u1": "e1"})
    async with watching(server) as it:
        found = it.directory.by_host(HOST)
        assert found is not None
        assert found.allowed
        uninstalled = {"at": "2026-01-06T10:00:00.000000Z", "rank": 90, "event": "e-2"}
        changed = objects.installation(users=(1, "12"))
        if change == "access":
            changed = objects.installation(users=(1, "12"), access="Refused")
        elif change == "uninstalled":
            changed = objects.installation(users=(1, "12"), talkdesk={"uninstalled": uninstalled})
        elif change == "deleting":
            changed["metadata"]["deletionTimestamp"] = "2026-01-06T10:00:00Z"
        elif change == "host":
            changed["status"]["host"] = "elsewhere.apps.example.com"
        elif change == "unreadable":
            changed["spec"]["accountId"] = ""
        if change == "deleted":
            await server.delete(INSTALLATIONS, "i1")
        elif change == "app":
            await server.delete(APPS, "app")
        else:
            await server.put(changed)
        await it.caught_up()
        now = it.directory.by_host(HOST)
        assert now is None or not now.allowed


async def test_the_address_of_a_deleted_service_vanishes_at_once(api_server: Any, objects: Any) -> None:
    server = api_server()
    await settled(server, objects, {"u1": "e1"})
    async with watching(server) as it:
        assert it.directory.by_host(HOST).upstream == "10.0.0.7:8080"  # type: ignore[union-attr] # it is there
        await server.delete(SERVICES, "web", namespace="td-i1")
        await it.caught_up()
        assert it.directory.by_host(HOST).upstream is None  # type: ignore[union-attr] # it is there
        # Another tenant gets the address: it is that one's alone.
        await server.put(objects.service("td-i2", address="10.0.0.7"))
        await it.caught_up()
        assert it.directory.by_host(HOST).upstream is None  # type: ignore[union-attr] # it is there


@pytest.mark.parametrize(
    ("service", "upstream"),
    [
        ({"tenant": "td-i2"}, None),
        ({"name": "db"}, None),
        ({"port": 5432}, None),
        ({"address": "None"}, None),
        ({"address": ""}, None),
        ({"address": "evil.example.com"}, None),
        ({"address": "fd00::7"}, "[fd00::7]:8080"),
        ({}, "10.0.0.7:8080"),
    ],
)
async def test_the_upstream_is_the_declared_service_and_port_of_the_tenants_own_namespace(
    api_server: Any, objects: Any, service: dict[str, Any], upstream: str | None
) -> None:
    server = api_server()
    await server.put(objects.app())
    await server.put(objects.service(**service))
    await server.put(objects.installation())
    async with watching(server) as it:
        found = it.directory.by_host(HOST)
        assert found is not None
        assert found.upstream == upstream


async def test_a_variant_of_the_app_version_has_its_own_service(api_server: Any, objects: Any) -> None:
    server = api_server()
    variant = {"appVersion": "v2", "service": {"name": "front", "port": 9000}}
    await server.put(objects.app(variants=[variant]))
    await server.put(objects.service())
    await server.put(objects.service(name="front", address="10.0.0.8", port=9000))
    await server.put(objects.installation(appVersion="v1"))
    await server.put(objects.installation("i2", host="i2.apps.example.com", tenant="td-i1", appVersion="v2"))
    async with watching(server) as it:
        first, second = it.directory.by_host(HOST), it.directory.by_host("i2.apps.example.com")
        assert first is not None
        assert second is not None
        assert (first.upstream, second.upstream) == ("10.0.0.7:8080", "10.0.0.8:9000")


async def test_a_tenant_that_a_roll_out_has_not_reached_keeps_the_service_of_its_revision(
    api_server: Any, objects: Any
) -> None:
    server = api_server()
    await server.put(objects.app(service={"name": "front", "port": 9000}))
    await server.put(objects.service())
    await server.put(objects.installation(service={"name": "web", "port": 8080}))
    async with watching(server) as it:
        assert it.directory.by_host(HOST).upstream == "10.0.0.7:8080"  # type: ignore[union-attr] # it is there
        await server.put(objects.service(name="front", address="10.0.0.8", port=9000))
        await it.caught_up()
        assert it.directory.by_host(HOST).upstream == "10.0.0.7:8080"  # type: ignore[union-attr] # it is there
        # It is reached: the old Service goes, a moment before status says so.
        await server.delete(SERVICES, "web", namespace="td-i1")
        await it.caught_up()
        assert it.directory.by_host(HOST).upstream == "10.0.0.8:9000"  # type: ignore[union-attr] # it is there


async def test_of_two_installations_at_one_host_the_one_that_is_installed_counts(
    api_server: Any, objects: Any
) -> None:
    server = api_server()
    uninstalled = {"at": "2026-01-06T10:00:00.000000Z", "rank": 90, "event": "e-2"}
    later = {"at": "2026-01-07T10:00:00.000000Z", "rank": 10, "event": "e-3"}
    await server.put(objects.app())
    await server.put(objects.installation("i1", host=HOST))
    async with watching(server) as it:
        assert it.directory.by_host(HOST).installation.metadata.name == "i1"  # type: ignore[union-attr] # there
        await server.put(objects.installation("i0", host=HOST, talkdesk={"installed": later}))
        await it.caught_up()
        assert it.directory.by_host(HOST).installation.metadata.name == "i0"  # type: ignore[union-attr] # there
        both = {"installed": later, "uninstalled": uninstalled | {"at": "2026-01-08T10:00:00.000000Z"}}
        await server.put(objects.installation("i0", host=HOST, talkdesk=both))
        await it.caught_up()
        assert it.directory.by_host(HOST).installation.metadata.name == "i1"  # type: ignore[union-attr] # there


async def test_of_two_apps_the_older_counts_for_the_id_and_for_the_launch_host(
    api_server: Any, objects: Any
) -> None:
    server = api_server()
    younger = objects.app("a-younger")
    younger["metadata"]["creationTimestamp"] = "2026-02-01T00:00:00Z"
    await server.put(younger)
    await server.put(objects.installation())
    async with watching(server) as it:
        assert it.directory.by_host(HOST).app.metadata.name == "a-younger"  # type: ignore[union-attr] # there
        await server.put(objects.app("the-older"))
        await it.caught_up()
        assert it.directory.by_host(HOST).app.metadata.name == "the-older"  # type: ignore[union-attr] # there
        assert it.directory.app_at("launch.example.com").metadata.name == "the-older"  # type: ignore[union-attr]


async def test_a_status_is_used_once_the_slice_watch_has_reached_what_it_names(
    api_server: Any, objects: Any
) -> None:
    server = api_server()
    await settled(server, objects, {"u1": "e1"})
    async with watching(server) as it:
        server.held = {USER_SLICES}
        parts: dict[int, dict[str, str]] = {0: {}, 1: {}}
        for user in ("u1", "u2", "u3"):
            parts[bucket_of(user, 2)][user] = "new"
        for bucket, users in parts.items():
            await server.put(objects.user_slice(users=users, buckets=2, bucket=bucket))
        await server.put(objects.installation(users=(2, str(server.version))))
        await it.caught_up()
        assert (it.epoch("u1"), it.epoch("u3")) == ("e1", None), "the last usable generation"
        await server.show(USER_SLICES)
        await it.caught_up()
        assert (it.epoch("u1"), it.epoch("u3")) == ("e1", None), "half of the new one"
        await server.show(USER_SLICES)
        await it.caught_up()
        assert (it.epoch("u1"), it.epoch("u3")) == ("new", "new")


async def test_whoever_subscribed_is_told_of_each_kind_of_change_once_it_can_be_read(
    api_server: Any, objects: Any
) -> None:
    server = api_server()
    await settled(server, objects, {"u1": "e1"})
    async with watching(server) as it:
        seen: list[tuple[bool, str | None, str | None]] = []

        def look() -> None:
            found = it.directory.by_host(HOST)
            seen.append((found is not None and found.allowed, it.epoch("u1"), found and found.upstream))

        await it.caught_up()
        end = it.directory.subscribe("i1", look)
        await server.put(objects.user_slice(users={"u1": "e2"}))
        await it.caught_up()
        await server.delete(SERVICES, "web", namespace="td-i1")
        await it.caught_up()
        await server.put(objects.installation(users=(1, "11"), access="Refused"))
        await it.caught_up()
        await server.put(objects.installation("i2", host="i2.apps.example.com", tenant="td-i2"))
        await it.caught_up()
        assert seen == [
            (True, "e2", "10.0.0.7:8080"),
            (True, "e2", None),
            (False, "e2", None),
        ]
        end()
        await server.delete(INSTALLATIONS, "i1")
        await it.caught_up()
        assert len(seen) == 3


async def test_users_are_not_known_while_a_slice_of_the_generation_is_missing(
    api_server: Any, objects: Any
) -> None:
    server = api_server()
    await settled(server, objects, {"u1": "e1"})
    async with watching(server) as it:
        await server.delete(USER_SLICES, "i1-1-0")
        await it.caught_up()
        found = it.directory.by_host(HOST)
        assert found is not None
        assert (found.user("u1"), found.users_known) == (None, False)


async def test_an_installation_made_again_under_its_name_begins_without_the_old_generation(
    api_server: Any, objects: Any
) -> None:
    server = api_server()
    await settled(server, objects, {"u1": "e1"})
    async with watching(server) as it:
        await server.delete(INSTALLATIONS, "i1")
        again = objects.installation(users=(1, "999"))
        again["metadata"]["uid"] = "another-life"
        await server.put(again)
        await it.caught_up()
        assert it.epoch("u1") is None


USERS = ("u1", "u2", "u3", "u4", "u5")
Step = tuple[str, Any]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sets(st.sampled_from(USERS))),
        st.tuples(st.just("grow"), st.sampled_from([1, 2, 4])),
        st.tuples(st.just("status"), st.none()),
        st.tuples(st.just("prune"), st.none()),
        st.tuples(st.just("reinstall"), st.none()),
        st.tuples(
            st.just("show"), st.tuples(st.sampled_from(["slices", "installations"]), st.integers(1, 5))
        ),
        st.tuples(st.just("expire"), st.sampled_from(["slices", "installations"])),
    ),
    min_size=5,
    max_size=40,
)


class Truth:
    """What an operator did, and what a reader who has seen so much of it must find: kept independently."""

    def __init__(self, server: Any, objects: Any) -> None:
        self.server, self.objects = server, objects
        self.buckets, self.life = 1, 0
        self.users: dict[str, str] = {}
        #: (version, slice's name, its users or None)
        self.slices: list[tuple[int, str, dict[str, str] | None]] = []
        #: (version, uid, (buckets, version) or None; None at all for a deletion)
        self.statuses: list[tuple[int, str, tuple[int, int] | None] | None] = []

    async def write(self, users: set[str], buckets: int) -> None:
        self.buckets = buckets
        kept = {user: epoch for user, epoch in self.users.items() if user in users}
        self.users = {user: kept.get(user, f"e{self.server.version}-{user}") for user in sorted(users)}
        for bucket in range(buckets):
            part = {user: epoch for user, epoch in self.users.items() if bucket_of(user, buckets) == bucket}
            made = self.objects.user_slice(users=part, buckets=buckets, bucket=bucket)
            await self.server.put(made)
            self.slices.append((self.server.version, made["metadata"]["name"], part))

    async def status(self) -> None:
        named = max((version for version, _, users in self.slices if users is not None), default=None)
        users = None if named is None else (self.buckets, named)
        made = self.objects.installation(users=users and (users[0], str(users[1])))
        made["metadata"]["uid"] = f"life-{self.life}"
        await self.server.put(made)
        self.statuses.append((self.server.version, f"life-{self.life}", users))

    async def act(self, kind: str, what: Any) -> None:
        """One step of the operator's."""
        match kind:
            case "write":
                await self.write(what, self.buckets)
            case "grow":
                await self.write(set(self.users), what)
            case "status":
                await self.status()
            case "prune":
                await self.prune()
            case "reinstall":
                await self.reinstall()

    async def prune(self) -> None:
        for buckets in (1, 2, 4):
            for bucket in range(buckets):
                name = f"i1-{buckets}-{bucket}"
                if buckets != self.buckets and await self.server.delete(USER_SLICES, name):
                    self.slices.append((self.server.version, name, None))

    async def reinstall(self) -> None:
        if await self.server.delete(INSTALLATIONS, "i1"):
            self.statuses.append(None)
        self.life += 1
        await self.status()

    def expected(self, slices_at: int, told: list[tuple[int, str, tuple[int, int] | None] | None]) -> Any:
        """Epoch by user for a reader whose slice watch is at ``slices_at`` and that was told ``told``."""
        usable: tuple[str, int] | None = None
        for one in told:
            if one is None or one[2] is None:
                usable = None
            elif one[2][1] <= slices_at:
                usable = (one[1], one[2][0])
            elif usable is not None and usable[0] != one[1]:
                usable = None
        if usable is None:
            return {}
        shown = {name: users for version, name, users in self.slices if version <= slices_at}
        found: dict[str, str] = {}
        for bucket in range(usable[1]):
            found |= shown.get(f"i1-{usable[1]}-{bucket}") or {}
        return found


class Reader:
    """Hands the news out, and compares what the directory says with what it must say."""

    def __init__(self, it: Watching, truth: Truth) -> None:
        self.it, self.truth, self.server = it, truth, truth.server
        self.told: list[Any] = []
        self.next = 0

    async def show(self, what: str, number: int) -> None:
        resource = WATCHED[what]
        for _ in range(min(number, self.server.waiting(resource))):
            await self.server.show(resource)
            if resource is INSTALLATIONS:
                self.told.append(self.truth.statuses[self.next])
                self.next += 1
            await self.compare()

    async def expire(self, what: str) -> None:
        await self.server.expire(WATCHED[what])
        if what == "installations":
            # A list tells the last state alone; a deletion and a new life in between, as two.
            missed = self.truth.statuses[self.next :]
            self.next = len(self.truth.statuses)
            self.told += ([None] if None in missed else []) + missed[-1:]
        await self.compare()

    async def compare(self) -> None:
        await self.it.caught_up()
        at = int(self.it.caches.slices.reflector.resource_version)
        found = {user: epoch for user in USERS if (epoch := self.it.epoch(user)) is not None}
        assert found == self.truth.expected(at, self.told)


WATCHED = {"slices": USER_SLICES, "installations": INSTALLATIONS}


@settings(max_examples=settings().max_examples * 3)
@given(steps=STEPS)
def test_in_any_order_of_news_exactly_the_users_of_the_generation_that_counts_are_in(
    steps: list[Step], api_server: Any, objects: Any
) -> None:
    async def play() -> None:
        truth = Truth(api_server(), objects)
        await truth.server.put(objects.app())
        async with watching(truth.server) as it:
            truth.server.held = {USER_SLICES, INSTALLATIONS}
            reader = Reader(it, truth)
            for kind, what in steps:
                if kind == "show":
                    await reader.show(*what)
                elif kind == "expire":
                    await reader.expire(what)
                else:
                    await truth.act(kind, what)
                    await reader.compare()

    asyncio.run(play())
