"""An API server as reflectors see it, whose news a test hands out; and objects in the kinds' shapes."""

from __future__ import annotations

import asyncio
import copy
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest

from talkdesk_crds import names
from talkdesk_kube import Gone, Listing, Status, WatchEvent, key_of, resource_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

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

    async def list(self, resource: Resource, **_: Any) -> Listing:
        """As Kube.list."""
        self._expired.discard(resource)
        items = [copy.deepcopy(item) for item in self._objects[resource].values()]
        return Listing(items, str(self.version))

    async def watch(
        self, resource: Resource, *, resource_version: str, **_: Any
    ) -> AsyncIterator[WatchEvent]:
        """As Kube.watch."""
        seen = 0
        while True:
            async with self._news:
                while resource not in self._expired and seen >= self._may_show(resource):
                    await self._news.wait()
            if resource in self._expired:
                raise Gone(Status(code=410, reason="Expired", message="too old"), "GET", resource.plural)
            event = self._log[resource][seen]
            seen += 1
            if int(event.object["metadata"]["resourceVersion"]) > int(resource_version):
                yield WatchEvent(event.type, copy.deepcopy(event.object))

    def _may_show(self, resource: Resource) -> int:
        return self._shown.get(resource, 0) if resource in self.held else len(self._log[resource])

    async def _tell(self, resource: Resource, event: WatchEvent) -> None:
        async with self._news:
            self._log[resource].append(event)
            if resource not in self.held:
                self._shown[resource] = len(self._log[resource])
            self._news.notify_all()


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
