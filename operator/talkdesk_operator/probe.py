"""One HTTP request to a tenant's Service through its ClusterIP: does what users will reach answer?"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable

    from talkdesk_crds.app import Probe
    from talkdesk_crds.blueprint import ServiceRef
    from talkdesk_operator.cache import Caches
    from talkdesk_operator.memory import ProbeMemory
    from talkdesk_operator.tenant import Tenant

_TIMEOUT_SECONDS = 2.0
#: A probe that fails for long is asked less often, at most every so many seconds.
_SLOWEST_SECONDS = 5.0
#: A Service that has changed leads where it did until its endpoints and the nodes' rules have followed: a
#: second each, by Kubernetes' defaults, and some for a busy cluster.
_ROUTED_SECONDS = 3.0


class Prober:
    """Asks tenants; never through a proxy, never following redirects."""

    def __init__(self, caches: Caches, *, every: float, monotonic: Callable[[], float]) -> None:
        self._caches = caches
        self._every = every
        self._monotonic = monotonic
        self._http = httpx.AsyncClient(
            # No TLS is spoken, and no certificate authority needs to be read.
            verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            trust_env=False,
            timeout=_TIMEOUT_SECONDS,
            follow_redirects=False,
            # A connection that was kept leads to the pod that it led to.
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    async def aclose(self) -> None:
        """Close connections."""
        await self._http.aclose()

    async def ask(
        self, tenant: Tenant, probe: Probe, service: ServiceRef, memory: ProbeMemory
    ) -> float | None:
        """None once the tenant answered (``memory.passed``), else the seconds until it may be asked again."""
        now = self._monotonic()
        if memory.passed:
            return None
        if now < memory.not_before:
            memory.message = f"Service {service.name} has just changed"
            return memory.not_before - now
        pause = self._pause(memory, now)
        if now < memory.at + pause:
            return memory.at + pause - now
        memory.at = now
        memory.message = await self._get(tenant, probe, service)
        memory.passed = not memory.message
        if memory.passed:
            memory.failing_since = None
            return None
        if memory.failing_since is None:
            memory.failing_since = now
        return self._pause(memory, now)

    def rerouted(self, memory: ProbeMemory) -> None:
        """The tenant's Services were changed: what answered before says nothing any more, nor at once."""
        memory.passed, memory.not_before = False, self._monotonic() + _ROUTED_SECONDS

    def _pause(self, memory: ProbeMemory, now: float) -> float:
        failing = now - memory.failing_since if memory.failing_since is not None else 0.0
        return max(self._every, min(_SLOWEST_SECONDS, failing / 10))

    async def _get(self, tenant: Tenant, probe: Probe, reference: ServiceRef) -> str:
        """Empty when it answered 2xx or 3xx, else what went wrong."""
        service = self._caches.children["Service"].get(tenant.name, reference.name)
        address = (service or {}).get("clusterIP")
        if not address or address == "None":
            return f"Service {reference.name} has no ClusterIP"
        host = f"[{address}]" if ":" in address else address
        url = f"http://{host}:{reference.port}{probe.path}"
        shown = f"Service {reference.name}:{reference.port}{probe.path}"
        try:
            async with self._http.stream("GET", url, headers={"User-Agent": "talkdesk-operator"}) as answer:
                status = answer.status_code
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return f"{shown} does not answer: {type(error).__name__}"
        return "" if 200 <= status < 400 else f"{shown} answers {status}"
