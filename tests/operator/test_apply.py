"""In which order a tenant's objects are sent, and what a refused one holds back."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from declared import app
from talkdesk_crds.conditions import Reason
from talkdesk_kube.errors import Status, error_of
from talkdesk_operator.apply import Applier
from talkdesk_operator.cache import Caches
from talkdesk_operator.keys import TenantKey
from talkdesk_operator.memory import Memory
from talkdesk_operator.sources import Sources
from talkdesk_operator.tenant import AccountFacts, Facts, Release, desired, making

if TYPE_CHECKING:
    from talkdesk_kube import Kube, KubeError, Obj
    from talkdesk_operator.round import Applied

RELEASE = Release("talkdesk-system", "td", "td-operator", "talkdesk-system-td-tenant")
TENANT = RELEASE.tenant(TenantKey("app", "eu", "account"))
FACTS = Facts(
    app_id="app",
    region="eu",
    account_id="account",
    installation_id="inst",
    account=AccountFacts(name="acme"),
)
LONG_AGO = "2026-01-05T10:00:00Z"


def refusal(code: int, reason: str) -> KubeError:
    return error_of(Status(code, reason, "refused"), method="PATCH", path="/")


class Server:
    """An API server that takes everything but the kinds it ``refuses`` as invalid."""

    def __init__(self) -> None:
        self.refuses: set[str] = set()
        #: (kind, name) of what was taken, in order.
        self.taken: list[tuple[str, str]] = []
        self.objects: dict[tuple[str, str], Obj] = {}
        self._versions = itertools.count(1)

    async def apply(self, obj: Obj, *, dry_run: bool = False, **_: Any) -> Obj:
        name = (obj["kind"], obj["metadata"]["name"])
        if dry_run:
            return obj
        if obj["kind"] in self.refuses:
            raise refusal(422, "Invalid")
        version = str(next(self._versions))
        known = {"uid": "/".join(name), "resourceVersion": version, "creationTimestamp": LONG_AGO}
        self.taken.append(name)
        self.objects[name] = {**obj, "metadata": {**obj["metadata"], **known}}
        return self.objects[name]

    async def create(self, *_: Any, **__: Any) -> Obj:
        raise refusal(403, "Forbidden")  # who may do what is not told here


def service(port: int) -> dict[str, Any]:
    spec = {"ports": [{"port": 80, "targetPort": port}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec}


def workload(name: str) -> dict[str, Any]:
    metadata = {"name": name}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {"replicas": 2}}


class World:
    """A server and an applier over it."""

    def __init__(self) -> None:
        self.server = Server()
        kube = cast("Kube", self.server)
        self.caches = Caches(kube, RELEASE)
        sources = Sources(kube, self.caches, Memory())
        self.applier = Applier(kube, self.caches, sources, lambda: datetime.now(UTC))

    async def apply(self, *, suspended: bool = False, port: int = 8080) -> Applied:
        """One run; ``server.taken`` is then what was taken in it."""
        declared = app(template=[workload("web"), workload("worker"), service(port)])
        made = making(TENANT, declared, declared.spec, FACTS, suspended=suspended)
        self.server.taken.clear()
        return await self.applier.apply(TENANT, desired(made), FACTS, revision="one", again=False, prune=True)

    def lost(self, kind: str, name: str) -> None:
        """Somebody deletes the object."""
        view = self.caches.children[kind]
        live = view.get(TENANT.name, name)
        assert live is not None
        view.forget(live)


async def test_no_workload_starts_in_a_tenant_whose_network_policy_is_refused() -> None:
    world = World()
    world.server.refuses = {"NetworkPolicy"}
    applied = await world.apply()
    assert applied.failure is not None
    assert applied.failure.reason is Reason.APPLY_FAILED
    assert ("ResourceQuota", "tenant") in world.server.taken
    assert "Deployment" not in {kind for kind, _ in world.server.taken}
    world.server.refuses = set()
    assert not (await world.apply()).failures
    sent = world.server.taken
    assert sent.index(("NetworkPolicy", "tenant")) < sent.index(("Deployment", "web"))


async def test_workloads_that_were_there_are_repaired_whatever_is_refused_before_them() -> None:
    world = World()
    assert not (await world.apply()).failures
    world.lost("NetworkPolicy", "tenant")
    world.lost("Deployment", "web")
    world.server.refuses = {"NetworkPolicy"}
    assert (await world.apply()).failures
    assert [name for name in world.server.taken if name[0] != "ConfigMap"] == [("Deployment", "web")]


async def test_a_suspension_stops_workloads_whatever_is_refused_before_them() -> None:
    world = World()
    assert not (await world.apply()).failures
    world.lost("NetworkPolicy", "tenant")
    world.server.refuses = {"NetworkPolicy"}
    assert (await world.apply(suspended=True)).failures
    stopped = [world.server.objects["Deployment", name]["spec"]["replicas"] for name in ("web", "worker")]
    assert stopped == [0, 0]


async def test_it_is_told_that_a_service_which_was_there_leads_elsewhere() -> None:
    world = World()
    assert not (await world.apply()).rerouted
    assert not (await world.apply()).rerouted
    applied = await world.apply(port=9)
    assert applied.rerouted
    assert "Service web" in applied.written
    assert not (await world.apply(port=9)).rerouted
