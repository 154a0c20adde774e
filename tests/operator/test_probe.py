"""When a tenant's Service is asked, and what its answer says."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web

from serving import serving
from talkdesk_crds.app import Probe
from talkdesk_crds.blueprint import ServiceRef
from talkdesk_operator.cache import Caches
from talkdesk_operator.compact import compact
from talkdesk_operator.keys import TenantKey
from talkdesk_operator.memory import ProbeMemory
from talkdesk_operator.probe import Prober
from talkdesk_operator.tenant import Release

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

RELEASE = Release("talkdesk-system", "td", "td-operator", "talkdesk-system-td-tenant")
TENANT = RELEASE.tenant(TenantKey("app", "eu", "account"))
PROBE = Probe(path="/healthz")


@dataclass
class Tenancy:
    """A tenant whose Service ``web`` leads to a server here; ``asked`` from which ports."""

    prober: Prober
    service: ServiceRef
    asked: list[int]
    now: float = 1000.0

    async def ask(self, memory: ProbeMemory) -> float | None:
        return await self.prober.ask(TENANT, PROBE, self.service, memory)


@asynccontextmanager
async def tenancy(*, status: int = 200) -> AsyncIterator[Tenancy]:
    asked: list[int] = []

    async def healthz(request: web.Request) -> web.Response:
        assert request.transport is not None
        asked.append(request.transport.get_extra_info("peername")[1])
        return web.Response(status=status)

    server = web.Application()
    server.router.add_get("/healthz", healthz)
    async with serving(server) as port:
        caches = Caches(cast("Any", None), RELEASE)
        metadata = {"name": "web", "namespace": TENANT.name, "uid": "u", "resourceVersion": "1"}
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"clusterIP": "127.0.0.1"},
        }
        caches.children["Service"].remember(compact(service))
        prober = Prober(caches, every=0.2, monotonic=lambda: made.now)
        made = Tenancy(prober, ServiceRef(name="web", port=port), asked)
        yield made
        await prober.aclose()


async def test_a_service_that_has_changed_is_not_asked_before_nodes_can_have_followed() -> None:
    async with tenancy() as it:
        memory = ProbeMemory()
        assert await it.ask(memory) is None
        it.prober.rerouted(memory)
        it.now += 1.0
        assert await it.ask(memory) == 2.0
        assert (memory.passed, len(it.asked)) == (False, 1)
        assert memory.message == "Service web has just changed"
        it.now += 2.0
        assert await it.ask(memory) is None
        assert (memory.passed, len(it.asked)) == (True, 2)


async def test_each_question_is_asked_by_a_connection_of_its_own() -> None:
    async with tenancy(status=204) as it:
        for _ in range(3):
            assert await it.ask(ProbeMemory()) is None
        assert len(set(it.asked)) == 3


async def test_what_does_not_answer_well_is_asked_again_later() -> None:
    async with tenancy(status=503) as it:
        memory = ProbeMemory()
        assert await it.ask(memory) == 0.2
        assert memory.message.endswith("/healthz answers 503")
        it.now += 0.125
        await it.ask(memory)
        assert len(it.asked) == 1
        it.now += 0.125
        await it.ask(memory)
        assert len(it.asked) == 2
