"""The product's processes under their service accounts, if need be with interceptors before them."""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from talkdesk_kube import Kube, KubeSettings
from talkdesk_sandbox.environment import demo_app
from talkdesk_sandbox.interceptor import before_kubernetes, before_talkdesk
from talkdesk_sandbox.plain import plain
from talkdesk_sandbox.release import WITHOUT_PODS, Release
from talkdesk_sandbox.story.cluster import Cluster
from talkdesk_sandbox.story.marketplace import Marketplace
from talkdesk_sandbox.supervised import Supervised
from talkdesk_sandbox.talkdesk import StandIn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from talkdesk_sandbox.controlplane import ControlPlane
    from talkdesk_sandbox.interceptor.between import Interceptor

PLAN = "Free trial"


@dataclass
class Party:
    """One process of the product."""

    process: Supervised


@dataclass
class Intercepted(Party):
    """And the two interceptors that all its requests pass."""

    kubernetes: Interceptor
    talkdesk: Interceptor


@dataclass
class Product:
    """Webhooks and operators of one release, and the marketplace that they serve."""

    release: Release
    stand_in: StandIn
    marketplace: Marketplace
    cluster: Cluster
    app_id: str
    webhooks: list[Party] = field(default_factory=list)
    operators: list[Party] = field(default_factory=list)
    customers: int = 0

    async def customer(self, *, users: int = 1) -> tuple[str, list[str]]:
        """A new account with ``users`` users: its id and theirs."""
        self.customers += 1
        name = f"c{self.customers}-{self.app_id[:8]}"
        account = await self.marketplace.post("/control/accounts", {"name": name, "region": "eu"})
        people = await self.marketplace.people(account["id"], range(users), domain=f"{name}.example")
        return account["id"], people

    async def install(self, *, users: int = 1) -> tuple[str, str]:
        """A new customer installs: installation id and event id."""
        account, people = await self.customer(users=users)
        answer = await self.marketplace.post(
            "/control/install",
            {
                "app_id": self.app_id,
                "account_id": account,
                "plan": PLAN,
                "users": people,
                "created_by": people[0],
            },
        )
        return answer["installation_id"], answer["event_id"]


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[StandIn]:
    """A Talkdesk of this test alone."""
    with StandIn.start(tmp_path / "talkdesk") as running:
        yield running


@dataclass
class Maker:
    """Brings up a :class:`Product`; see the fixture ``products``."""

    control_plane: ControlPlane
    release: Release
    stand_in: StandIn
    folder: Path
    stack: contextlib.AsyncExitStack

    async def make(
        self,
        *,
        webhooks: int = 1,
        operators: int = 1,
        settings: dict[str, str] | None = None,
        events_url: str | None = None,
        gate: str = "NamespaceReady",
        intercepted: bool = True,
    ) -> Product:
        """Running and ready.

        :param gate: of the app: no node runs here, so that workloads do not get ready.
        :param intercepted: False where no request is looked at: what passes an interceptor costs more than
            answering it.
        """
        enter = self.stack.enter_async_context
        kube = await enter(
            await Kube.connect(KubeSettings(kubeconfig=self.control_plane.kubeconfig), user_agent="test")
        )
        control = await enter(plain(base_url=self.stand_in.control, timeout=60))
        tenants = await enter(plain(timeout=2))
        cluster = Cluster(
            kube=kube,
            http=tenants,
            namespace=self.release.namespace,
            credentials=self.release.credentials_namespace,
        )
        product = Product(self.release, self.stand_in, Marketplace(http=control), cluster, app_id="")
        for count, component, parties in (
            (webhooks, "webhook", product.webhooks),
            (operators, "operator", product.operators),
        ):
            for number in range(count):
                make = self._intercepted if intercepted else self._party
                parties.append(await make(component, number, settings or {}))
        for party in (*product.webhooks, *product.operators):
            await party.process.ready()
        await self._declare(product, events_url or f"{product.webhooks[0].process.url}/events", gate)
        return product

    async def _intercepted(self, component: str, number: int, settings: dict[str, str]) -> Intercepted:
        kubernetes = await self.stack.enter_async_context(before_kubernetes(self.control_plane))
        talkdesk = await self.stack.enter_async_context(before_talkdesk(self.stand_in))
        through = {
            "TALKDESK_KUBECONFIG": str(kubernetes.kubeconfig(self.release.kubeconfig(component))),
            "TALKDESK_EGRESS_PROXY": talkdesk.url,
            "TALKDESK_CA_FILE": str(talkdesk.ca_file),
        }
        party = await self._party(component, number, through | settings)
        return Intercepted(party.process, kubernetes, talkdesk)

    async def _party(self, component: str, number: int, settings: dict[str, str]) -> Party:
        own = {
            "TALKDESK_POD_NAME": f"{component}-{number}",
            "TALKDESK_EGRESS_PROXY": self.stand_in.proxy,
            "TALKDESK_CA_FILE": str(self.stand_in.ca_file),
            "TALKDESK_GATEWAYS": ",".join(f"https://{r['api']}" for r in self.stand_in.regions.values()),
            "TALKDESK_PENDING_RESYNC_SECONDS": "1",
            "TALKDESK_DRAIN_SECONDS": "0.1",
            "TALKDESK_SMTP_HOST": self.stand_in.smtp_host,
            "TALKDESK_SMTP_PORT": str(self.stand_in.smtp_port),
            "TALKDESK_SMTP_TLS": "none",
            "TALKDESK_SMTP_FROM": "apps@demo.localhost",
            **settings,
        }
        make = Supervised.webhook if component == "webhook" else Supervised.operator
        log = self.folder / f"{component}-{number}.log"
        return Party(await self.stack.enter_async_context(make(self.release, own, log=log)))

    async def _declare(self, product: Product, events_url: str, gate: str) -> None:
        app = await product.marketplace.post(
            "/control/apps",
            {
                "name": "Demo",
                "events_url": events_url,
                "launch_url": "https://launch.demo.localhost/",
                "redirect_uris": ["https://launch.demo.localhost/callback"],
                "scopes": ["openid", "account:read", "users:read", "apps:read", "apps:write"],
                "plans": [{"name": PLAN, "type": "trial", "license_type": "individual", "price": 0}],
            },
        )
        product.app_id = app["id"]
        declared: dict[str, Any] = demo_app(app_id=app["id"], regions=self.stand_in.regions)
        declared["metadata"]["namespace"] = self.release.namespace
        declared["spec"]["approval"] = {"gate": gate}
        # No pods: nothing runs them here, and a node of a later test would find hundreds waiting.
        declared["spec"]["template"][0]["spec"]["replicas"] = 0
        await product.cluster.kube.apply(declared, field_manager="test")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_products(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Maker]:
    """As ``products``, in a release that the tests of a module share."""
    release = Release(control_plane, f"faults-{secrets.token_hex(4)}")
    release.install(WITHOUT_PODS)
    folder = tmp_path_factory.mktemp("shared")
    with StandIn.start(folder / "talkdesk") as stand_in:
        async with contextlib.AsyncExitStack() as stack:
            yield Maker(control_plane, release, stand_in, folder, stack)
    release.uninstall()
    release.forget()


@pytest_asyncio.fixture
async def products(
    control_plane: ControlPlane, release: Release, stand_in: StandIn, tmp_path: Path
) -> AsyncIterator[Maker]:
    """Makes products in the test's release; all of it ends with the test."""
    async with contextlib.AsyncExitStack() as stack:
        yield Maker(control_plane, release, stand_in, tmp_path, stack)
