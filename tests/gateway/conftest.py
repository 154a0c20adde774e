"""An API server as reflectors see it, whose news a test hands out; and objects in the kinds' shapes."""

from __future__ import annotations

import asyncio
import copy
import json
from collections import defaultdict
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from joserfc.jwk import ECKey, OctKey
from pydantic import SecretStr

from talkdesk_crds import key_ring, names
from talkdesk_gateway import sessions
from talkdesk_gateway.asking import AskingServer
from talkdesk_gateway.caches import Caches
from talkdesk_gateway.decision import Decision
from talkdesk_gateway.directory import WatchedDirectory
from talkdesk_gateway.identity import Identity
from talkdesk_gateway.judge import Judge
from talkdesk_gateway.keys import WatchedKeys
from talkdesk_gateway.metrics import Metrics
from talkdesk_gateway.ready import Readiness, Watches
from talkdesk_gateway.relay import Relay
from talkdesk_gateway.sessions import Session
from talkdesk_kube import Gone, Listing, ReflectorTimings, Status, WatchEvent, key_of, resource_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from talkdesk_kube import Obj, Resource

NAMESPACE = "td"
RELEASE = "td"


class ApiServer:
    """Holds objects under one count of versions, and shows each watch what the test lets it see.

    Stands where reflectors have their ``Kube``. ``held`` names resources whose news wait for ``show``.
    """

    def __init__(self) -> None:
        self.version = 10
        self.held: set[Resource] = set()
        self._objects: dict[Resource, dict[tuple[str, str], Obj]] = defaultdict(dict)
        self._log: dict[Resource, list[WatchEvent]] = defaultdict(list)
        self._shown: dict[Resource, int] = {}
        self._expired: set[Resource] = set()
        self._news = asyncio.Condition()

    async def put(self, obj: Obj) -> Obj:
        """Make or replace an object; the result has its version."""
        resource, key = resource_of(obj), key_of(obj)
        stored = copy.deepcopy(obj)
        known = self._objects[resource].get(key)
        self.version += 1
        stored["metadata"]["resourceVersion"] = str(self.version)
        stored["metadata"].setdefault("uid", f"uid-{key[1]}")
        self._objects[resource][key] = stored
        await self._tell(resource, WatchEvent("ADDED" if known is None else "MODIFIED", stored))
        return copy.deepcopy(stored)

    async def delete(self, resource: Resource, name: str, *, namespace: str = NAMESPACE) -> bool:
        """Delete an object; False where it is not there."""
        found = self._objects[resource].pop((namespace, name), None)
        if found is None:
            return False
        self.version += 1
        gone = copy.deepcopy(found)
        gone["metadata"]["resourceVersion"] = str(self.version)
        await self._tell(resource, WatchEvent("DELETED", gone))
        return True

    def waiting(self, resource: Resource) -> int:
        """How much news of a held resource has not been shown."""
        return len(self._log[resource]) - self._shown.get(resource, 0)

    async def show(self, resource: Resource, number: int = 1) -> None:
        """Show the next news of a held resource."""
        async with self._news:
            self._shown[resource] = self._shown.get(resource, 0) + number
            self._news.notify_all()

    async def expire(self, resource: Resource) -> None:
        """Cut the watch: it is too old, and the reflector lists again."""
        async with self._news:
            self._expired.add(resource)
            self._shown[resource] = len(self._log[resource])
            self._news.notify_all()

    async def taken(self) -> None:
        """Return once every reflector has taken what it may see, and whoever listens was told."""
        async with asyncio.timeout(10), self._news:
            # A reflector waits a moment before it lists again.
            await self._news.wait_for(lambda: not self._expired)
        for _ in range(40):
            await asyncio.sleep(0)

    async def list(self, resource: Resource, *, fields: str = "", **_: Any) -> Listing:
        """As Kube.list."""
        async with self._news:
            self._expired.discard(resource)
            self._news.notify_all()
        items = [copy.deepcopy(item) for item in self._objects[resource].values() if _named(item, fields)]
        return Listing(items, str(self.version))

    async def watch(
        self,
        resource: Resource,
        *,
        resource_version: str,
        opened: Callable[[], None],
        fields: str = "",
        **_: Any,
    ) -> AsyncIterator[WatchEvent]:
        """As Kube.watch."""
        opened()
        seen = 0
        while True:
            async with self._news:
                while resource not in self._expired and seen >= self._may_show(resource):
                    await self._news.wait()
            if resource in self._expired:
                raise Gone(Status(code=410, reason="Expired", message="too old"), "GET", resource.plural)
            event = self._log[resource][seen]
            seen += 1
            newer = int(event.object["metadata"]["resourceVersion"]) > int(resource_version)
            if newer and _named(event.object, fields):
                yield WatchEvent(event.type, copy.deepcopy(event.object))

    def _may_show(self, resource: Resource) -> int:
        return self._shown.get(resource, 0) if resource in self.held else len(self._log[resource])

    async def _tell(self, resource: Resource, event: WatchEvent) -> None:
        async with self._news:
            self._log[resource].append(event)
            if resource not in self.held:
                self._shown[resource] = len(self._log[resource])
            self._news.notify_all()


def _named(obj: Obj, fields: str) -> bool:
    return not fields or fields == f"metadata.name={obj['metadata']['name']}"


@pytest.fixture(scope="session")
def api_server() -> type[ApiServer]:
    """The class: an example of a property makes its own."""
    return ApiServer


class Objects:
    """Makes the JSON of objects as an operator would have left them."""

    namespace = NAMESPACE
    release = RELEASE

    def app(self, name: str = "app", **spec: Any) -> Obj:
        """A TalkdeskApp with id ``a1`` whose Service is ``web:8080``."""
        return {
            "apiVersion": names.API_VERSION,
            "kind": "TalkdeskApp",
            "metadata": {"name": name, "namespace": NAMESPACE, "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {
                "appId": "a1",
                "regions": {"eu": {"api": "api.talkdeskapp.eu", "identity": "talkdeskid.eu"}},
                "baseDomain": "apps.example.com",
                "launchHost": "launch.example.com",
                "service": {"name": "web", "port": 8080},
                "template": [],
            }
            | spec,
        }

    def installation(
        self,
        name: str = "i1",
        *,
        users: tuple[int, str] | None = None,
        access: str = "Allowed",
        talkdesk: dict[str, Any] | None = None,
        **status: Any,
    ) -> Obj:
        """An installation of ``a1`` at ``<name>.apps.example.com``; ``users``: buckets and version."""
        found: dict[str, Any] = {
            "access": {"state": access, "reason": "Active" if access == "Allowed" else "TrialEnded"},
            "tenant": f"td-{name}",
            "host": f"{name}.apps.example.com",
            "plan": "Gold",
        }
        if users is not None:
            found["users"] = {"count": 1, "buckets": users[0], "resourceVersion": users[1]}
        installed = {"at": "2026-01-05T10:00:00.000000Z", "rank": 10, "event": "e-1"}
        return {
            "apiVersion": names.API_VERSION,
            "kind": "TalkdeskInstallation",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {
                "appId": "a1",
                "accountId": f"account-{name}",
                "installationId": name,
                "region": "eu",
                "talkdesk": {"installed": installed} | (talkdesk or {}),
            },
            "status": found | status,
        }

    def user_slice(
        self, name: str = "i1", users: dict[str, str] | None = None, *, buckets: int = 1, bucket: int = 0
    ) -> Obj:
        """A slice of that installation; ``users``: epoch by user id."""
        entries = {
            user: {"epoch": epoch, "name": f"User {user}", "email": f"{user}@example.com", "role": "user"}
            for user, epoch in (users or {}).items()
        }
        return {
            "apiVersion": names.API_VERSION,
            "kind": "TalkdeskUserSlice",
            "metadata": {"name": names.slice_name(name, buckets, bucket), "namespace": NAMESPACE},
            "spec": {"installation": name, "buckets": buckets, "bucket": bucket, "users": entries},
        }

    def service(
        self, tenant: str = "td-i1", name: str = "web", *, address: str = "10.0.0.7", port: int = 8080
    ) -> Obj:
        """A Service of a tenant."""
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "name": name,
                "namespace": tenant,
                "labels": {names.MANAGED_LABEL: names.release_id(NAMESPACE, RELEASE)},
            },
            "spec": {"clusterIP": address, "ports": [{"port": port, "protocol": "TCP"}]},
        }


@pytest.fixture(scope="session")
def objects() -> Objects:
    """Makers of objects."""
    return Objects()


def secret(name: str, keys: tuple[key_ring.Key, ...]) -> Obj:
    """A Secret of keys."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "type": key_ring.SECRET_TYPE,
        "data": key_ring.render(keys),
    }


class Edge:
    """The deciding half on an :class:`ApiServer`: tenant ``i1`` with user ``u1`` under epoch ``e1``."""

    host = "i1.apps.example.com"

    def __init__(self, server: ApiServer, objects: Objects) -> None:
        self.server, self.objects = server, objects
        self.now = datetime(2026, 1, 10, 12, tzinfo=UTC)
        timings = ReflectorTimings(first_backoff=0.001, longest_backoff=0.001)
        kube: Any = server
        caches = Caches(kube, namespace=NAMESPACE, release=RELEASE, timings=timings)
        self.keys = WatchedKeys(kube, namespace=NAMESPACE, release=RELEASE, timings=timings)
        self.silence = 0.0
        self.watches = Watches((*caches.reflectors(), *self.keys.reflectors), stale=300)
        for reflector in self.watches.reflectors:
            reflector._clock = lambda: self.silence
        self.directory = WatchedDirectory(caches, namespace=NAMESPACE, fault=self.watches.fault)
        self.readiness = Readiness(self.watches.fault, self.keys)
        self.metrics = Metrics()
        self.judge = Judge(self.directory, self.keys, lambda host: f"https://{host}", lambda: self.now)
        self.identity = Identity(self.keys, origin=lambda host: f"https://{host}")
        parts = (self.judge, self.identity, self.metrics)
        self.decision = AskingServer(Decision(*parts).answer, address="127.0.0.1", port=0)
        self.relay = Relay(*parts, address="127.0.0.1", port=0)
        self.session_key = OctKey.generate_key(256).as_dict(private=True)
        self.identity_key = ECKey.generate_key("P-256").as_dict(private=True)

    async def arrange(self, *, address: str = "10.0.0.7", port: int = 8080, **app: Any) -> None:
        """The objects, and the keys."""
        service = {"service": {"name": "web", "port": port}}
        await self.server.put(self.objects.app(**service | app))
        await self.server.put(self.objects.service(address=address, port=port))
        await self.users({"u1": "e1"})
        await self.make_keys()

    async def users(self, users: dict[str, str], **installation: Any) -> None:
        """The licensed users by epoch; more of the installation."""
        written = await self.server.put(self.objects.user_slice(users=users))
        version = written["metadata"]["resourceVersion"]
        await self.server.put(self.objects.installation(users=(1, version), **installation))

    async def put_session_keys(self, keys: tuple[key_ring.Key, ...]) -> None:
        """Their Secret, changed by somebody."""
        await self.server.put(secret(names.session_keys_name(RELEASE), keys))

    async def make_keys(self) -> None:
        """Both Secrets, as the operator makes them."""
        for name, jwk in (
            (names.session_keys_name(RELEASE), self.session_key),
            (names.identity_keys_name(RELEASE), self.identity_key),
        ):
            made = key_ring.Key("k1", self.now - timedelta(days=1), SecretStr(json.dumps(jwk)))
            await self.server.put(secret(name, (made,)))

    async def caught_up(self) -> None:
        """Until the watches have taken all that was told."""
        await self.server.taken()

    def session(self, **changes: Any) -> Session:
        """``u1``'s session, an hour old, used half a minute ago."""
        made = Session(
            host=self.host,
            installation="i1",
            uid="uid-i1",
            user="u1",
            epoch="e1",
            sid="s1",
            began=self.now - timedelta(hours=1),
            used=self.now - timedelta(seconds=30),
        )
        return replace(made, **changes)

    def cookie(self, session: Session | None = None) -> str:
        """The Cookie header of a browser with that session."""
        session = session or self.session()
        tenancy = self.directory.by_host(self.host)
        assert tenancy is not None
        policy, keys = tenancy.app.spec.session, self.keys.session_keys()
        both = sessions.session_cookies(session, policy, keys=keys, now=session.began)
        pairs = [both[0].split(";")[0]]
        if session.used is not None:
            used = sessions.use_cookie(session, policy, keys=keys, now=session.used)
            pairs.append(used.split(";")[0])
        return "; ".join(pairs)


@asynccontextmanager
async def _watching(*, serve: bool = False, **arranged: Any) -> AsyncIterator[Edge]:
    it = Edge(ApiServer(), Objects())
    await it.arrange(**arranged)
    task = asyncio.create_task(it.watches.run())
    try:
        async with asyncio.timeout(10):
            for reflector in it.watches.reflectors:
                await reflector.synced.wait()
        await it.caught_up()
        if serve:
            await it.decision.start()
            await it.relay.start()
        yield it
    finally:
        await it.relay.close()
        await it.decision.close()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture(scope="session")
def edge() -> Any:
    """``async with edge(…) as it``: an :class:`Edge` that is watching; ``serve`` starts its two ports."""
    return _watching


@pytest.fixture(scope="session")
def deciding() -> Any:
    """The same, where ``edge`` is an Envoy."""
    return _watching
