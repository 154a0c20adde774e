"""One release with its webhook and operator, a stand-in, and interceptors before all they talk to."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from talkdesk_kube import Kube, KubeSettings
from talkdesk_sandbox.interceptor import before_kubernetes, before_talkdesk, before_webhook
from talkdesk_sandbox.plain import plain
from talkdesk_sandbox.supervised import Supervised
from turmoil.eyes import Eyes
from turmoil.kubelet import Kubelet
from turmoil.ledger import Ledger
from turmoil.lines import Deliveries, KubernetesRequests, TalkdeskCalls

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

    from talkdesk_sandbox.controlplane import ControlPlane
    from talkdesk_sandbox.interceptor.between import Interceptor
    from talkdesk_sandbox.release import Release
    from talkdesk_sandbox.talkdesk import StandIn

#: The product's own command.
PRODUCT = (sys.executable, "-m", "talkdesk_cli")

_SETTINGS = {
    # A hiccup is met by the next renewal, if by nothing else.
    "TALKDESK_LEASE_RETRY_SECONDS": "0.5",
    "TALKDESK_PENDING_RESYNC_SECONDS": "1",
    "TALKDESK_RESYNC_SECONDS": "20",
    "TALKDESK_RESYNC_RATE": "50",
    "TALKDESK_BRAKE_SECONDS": "1",
    # Longer than what a token costs that ends when the clock moves.
    "TALKDESK_REVOKED_SECONDS": "5",
    # An attempt that failed is repeated as soon as turmoil lets minutes of Talkdesk's time pass.
    "TALKDESK_EVENT_SECONDS": "30",
    "TALKDESK_ACKNOWLEDGE_SECONDS": "1",
    "TALKDESK_DRAIN_SECONDS": "0.1",
    "TALKDESK_STORE_BUDGET_SECONDS": "4",
}


@dataclass
class Arena:
    """Made by :func:`opened`. What an example needs, and what outlives it."""

    plane: ControlPlane
    release: Release
    stand_in: StandIn
    kube: Kube
    control: httpx.AsyncClient
    #: For whatever else is asked over HTTP.
    outside: httpx.AsyncClient
    ledger: Ledger
    eyes: Eyes
    folder: Path
    deliveries: Deliveries
    calls: TalkdeskCalls
    #: By component.
    requests: dict[str, KubernetesRequests]
    interceptors: dict[str, Interceptor]
    webhook: Supervised
    operator: Supervised | None = None
    #: The offset of rounds' names.
    rounds: int = 0
    _operator: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    @property
    def events_url(self) -> str:
        """Where Talkdesk delivers."""
        return f"{self.interceptors['deliveries'].url}/events"

    def process(self, component: str) -> Supervised:
        """The running one."""
        found = self.webhook if component == "webhook" else self.operator
        assert found is not None
        return found

    async def run_operator(self, program: tuple[str, ...] = PRODUCT) -> None:
        """From now on the operator is this program."""
        await self._operator.aclose()
        log = self.folder / "operator.log"
        made = Supervised.operator(self.release, _settings(self, "operator"), log=log)
        made.program = program
        self.operator = await self._operator.enter_async_context(made)
        await made.ready(within=60)

    async def close_operator(self) -> None:
        """End it."""
        await self._operator.aclose()

    async def post(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any] | None:
        """Of the control API; None where Talkdesk says that this is not possible now."""
        answer = await self.control.post(path, json=body or {})
        if answer.status_code == 409:
            return None
        if answer.is_error:
            raise AssertionError(f"POST {path}: {answer.status_code} {answer.text}")
        found: dict[str, Any] = answer.json()
        return found


def _settings(arena: Arena, component: str) -> dict[str, str]:
    talkdesk = arena.interceptors["talkdesk"]
    kubeconfig = arena.interceptors[component].kubeconfig(arena.release.kubeconfig(component))
    gateways = ",".join(f"https://{region['api']}" for region in arena.stand_in.regions.values())
    return {
        **_SETTINGS,
        "TALKDESK_KUBECONFIG": str(kubeconfig),
        "TALKDESK_POD_NAME": f"{component}-0",
        "TALKDESK_EGRESS_PROXY": talkdesk.url,
        "TALKDESK_CA_FILE": str(talkdesk.ca_file),
        "TALKDESK_GATEWAYS": gateways,
        "TALKDESK_SMTP_HOST": arena.stand_in.smtp_host,
        "TALKDESK_SMTP_PORT": str(arena.stand_in.smtp_port),
        "TALKDESK_SMTP_TLS": "none",
        "TALKDESK_SMTP_FROM": "apps@demo.localhost",
    }


@contextlib.asynccontextmanager
async def opened(
    plane: ControlPlane, release: Release, stand_in: StandIn, folder: Path
) -> AsyncIterator[Arena]:
    """Everything running and ready."""
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        administrator = KubeSettings(kubeconfig=plane.kubeconfig)
        kube = await enter(await Kube.connect(administrator, user_agent="test"))
        control = await enter(plain(base_url=stand_in.control, timeout=120))
        outside = await enter(plain(timeout=10))
        deliveries, calls = Deliveries(), TalkdeskCalls()
        requests = {"webhook": KubernetesRequests(), "operator": KubernetesRequests()}
        interceptors = {"talkdesk": await enter(before_talkdesk(stand_in))}
        interceptors["talkdesk"].rule = calls
        for component, rule in requests.items():
            interceptors[component] = await enter(before_kubernetes(plane))
            interceptors[component].rule = rule
        eyes, ledger = Eyes(kube, release), Ledger(control)
        own = Supervised.webhook(release, {}, log=folder / "webhook.log")
        arena = Arena(
            plane, release, stand_in, kube, control, outside, ledger, eyes, folder, deliveries, calls,
            requests, interceptors, webhook=own, rounds=secrets.randbelow(10**6),
        )  # fmt: skip
        own.environment = {**own.environment, **_settings(arena, "webhook")}
        interceptors["deliveries"] = await enter(before_webhook(own.url))
        interceptors["deliveries"].rule = deliveries
        watching = [
            asyncio.create_task(work) for work in (eyes.run(), ledger.run(), Kubelet(kube, release).run())
        ]
        stack.push_async_callback(_ended, watching)
        await enter(own)
        stack.push_async_callback(arena.close_operator)
        await arena.run_operator()
        await own.ready(within=60)
        await eyes.synced()
        yield arena


async def _ended(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Exception):
            raise result
