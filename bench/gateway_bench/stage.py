"""The product with customers who are signed in, and an upstream for their tenants, all on this machine.

The processes of the product run as the chart has them, without a node: its Services would be spliced by a
Python program, where a real cluster has the kernel. So a tenant's ClusterIP is the upstream itself, and Envoy
reaches both gateways at their own addresses.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gateway_bench.envoys import bare, product, upstream
from talkdesk_crds import names
from talkdesk_kube import Kube, KubeSettings, NotFound, resources
from talkdesk_sandbox.edge import Edge
from talkdesk_sandbox.environment import demo_app
from talkdesk_sandbox.envoy import EnvoyProcess
from talkdesk_sandbox.plain import plain
from talkdesk_sandbox.ports import free_port
from talkdesk_sandbox.release import WITHOUT_PODS, Release
from talkdesk_sandbox.story.marketplace import Marketplace
from talkdesk_sandbox.story.observe import NotYet, eventually
from talkdesk_sandbox.story.visitor import Loopback, browser
from talkdesk_sandbox.supervised import Supervised
from talkdesk_sandbox.talkdesk import StandIn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from talkdesk_sandbox.controlplane import ControlPlane

PLAN = "Professional"
REGION = "eu"
APP = "bench"
DECISION_PORT = 8081
_PATIENCE = 60.0
_AT_ONCE = 8


class WrongAnswer(Exception):  # noqa: N818 - an outcome of the measurement
    """Somebody who may enter was refused, or the other way round: then no figure counts."""


@dataclass(frozen=True)
class Size:
    """How many there are of what. ``workers``: threads of bare Envoy and of the product's alike."""

    tenants: int
    users: int
    workers: int = 1
    gateways: int = 2


@dataclass
class SignedIn:
    """A user who came by a launch from Talkdesk; ``cookie`` is what their browser sends to the tenant."""

    id: str
    installation: str
    host: str
    cookie: str


@dataclass
class Stage:
    """Made by :func:`opened`."""

    plane: ControlPlane
    release: Release
    marketplace: Marketplace
    kube: Kube
    edge: Edge
    gateways: list[Supervised] = field(default_factory=list)
    #: Where each gateway listens.
    addresses: list[str] = field(default_factory=list)
    product: EnvoyProcess = field(init=False)
    bare: EnvoyProcess = field(init=False)
    upstream: EnvoyProcess = field(init=False)
    #: By installation.
    people: dict[str, list[SignedIn]] = field(default_factory=dict)

    @property
    def everyone(self) -> list[SignedIn]:
        """All users, those of one tenant never side by side."""
        return [one for row in zip(*self.people.values(), strict=True) for one in row]


@asynccontextmanager
async def opened(plane: ControlPlane, folder: Path, size: Size) -> AsyncIterator[Stage]:
    """Everything is running and everybody signed in."""
    async with AsyncExitStack() as stack:
        stand_in = stack.enter_context(StandIn.start(folder / "talkdesk"))
        release = Release(plane, APP)
        await asyncio.to_thread(release.install, WITHOUT_PODS)
        stack.callback(removed, release)
        kube = await stack.enter_async_context(
            await Kube.connect(KubeSettings(kubeconfig=plane.kubeconfig), user_agent="bench")
        )
        control = await stack.enter_async_context(plain(base_url=stand_in.control, timeout=60))
        edge = Edge(port=free_port(), bar=f"{stand_in.browser}/bar.js", jwks="", website="http://localhost")
        stage = Stage(plane, release, Marketplace(control), kube, edge)
        events_url = await _processes(stage, stack, stand_in, folder, size)
        app_id = await _app(stage, stand_in, events_url)
        installed = await asyncio.gather(*(_install(stage, app_id, n, size) for n in range(size.tenants)))
        served = [f"{one['address']}:8080" for one in installed]
        stage.upstream = stack.enter_context(EnvoyProcess.start(upstream(served), folder / "upstream"))
        configuration = product(stage.edge.port, stage.addresses)
        stage.product = stack.enter_context(
            EnvoyProcess.start(configuration, folder / "product", workers=size.workers)
        )
        stage.bare = stack.enter_context(
            EnvoyProcess.start(bare(served), folder / "bare", workers=size.workers)
        )
        await _sign_in(stage, stand_in, installed)
        yield stage


def removed(release: Release) -> None:
    """Take it away with all that it left; that is not waited for."""
    release.uninstall()
    release.forget()


async def _processes(stage: Stage, stack: AsyncExitStack, stand_in: StandIn, folder: Path, size: Size) -> str:
    """Webhook, operator and gateways, ready; the URL for events."""
    settings = {
        "TALKDESK_EGRESS_PROXY": stand_in.proxy,
        "TALKDESK_CA_FILE": str(stand_in.ca_file),
        "TALKDESK_GATEWAYS": ",".join(f"https://{hosts['api']}" for hosts in stand_in.regions.values()),
        "TALKDESK_PUBLIC_SCHEME": "http",
        "TALKDESK_PUBLIC_PORT": str(stage.edge.port),
    }
    pods = stage.plane.network.pod_listen_cidr.removesuffix(".0.0/16")
    webhook = Supervised.webhook(stage.release, settings, log=folder / "webhook.log")
    operator = Supervised.operator(stage.release, settings, log=folder / "operator.log")
    for number in range(size.gateways):
        address = f"{pods}.250.{number + 1}"
        stage.addresses.append(address)
        stage.gateways.append(gateway(stage.release, address, settings, folder / f"gateway-{number}.log"))
    everything = (webhook, operator, *stage.gateways)
    for process in everything:
        await stack.enter_async_context(process)
    await asyncio.gather(*(process.ready(within=_PATIENCE) for process in everything))
    return f"{webhook.url}/events"


def gateway(release: Release, address: str, settings: dict[str, str], log: Path) -> Supervised:
    """A gateway at ``address`` with the chart's ports."""
    own = {
        **release.settings("gateway"),
        "TALKDESK_BIND_ADDRESS": address,
        "TALKDESK_METRICS_PORT": "9090",
        **settings,
    }
    return _Gateway("gateway", own, 9090, log, address=address)


@dataclass
class _Gateway(Supervised):
    address: str = ""

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}"


async def _app(stage: Stage, stand_in: StandIn, events_url: str) -> str:
    """At Talkdesk, and as a TalkdeskApp whose template is its Service alone; its id."""
    made = await stage.marketplace.post(
        "/control/apps",
        {
            "name": "Bench",
            "events_url": events_url,
            "launch_url": stage.edge.launch_url(APP),
            "redirect_uris": [stage.edge.redirect_uri(APP)],
            "scopes": ["openid", "account:read", "users:read", "apps:read", "apps:write"],
            "plans": [{"name": PLAN, "type": "paid", "license_type": "individual", "price": 20}],
        },
    )
    app = demo_app(app_id=made["id"], regions=stand_in.regions, name=APP, edge=stage.edge)
    app["metadata"]["namespace"] = stage.release.namespace
    app["spec"]["approval"] = {"gate": "NamespaceReady"}
    app["spec"]["template"] = [one for one in app["spec"]["template"] if one["kind"] == "Service"]
    await stage.kube.apply(app, field_manager="bench")
    app_id: str = made["id"]
    return app_id


async def _install(stage: Stage, app_id: str, number: int, size: Size) -> dict[str, Any]:
    """A customer: account, installation id, users, host, and their Service's address."""
    post = stage.marketplace.post
    account = await post("/control/accounts", {"name": f"acme-{number}", "region": REGION})
    domain = f"acme-{number}.example"
    ids = await stage.marketplace.people(account["id"], range(size.users + 1), domain=domain)
    body = {"app_id": app_id, "account_id": account["id"], "plan": PLAN, "users": ids, "created_by": ids[0]}
    installation = (await post("/control/install", body))["installation_id"]

    async def served() -> dict[str, Any]:
        try:
            found = await stage.kube.get(
                resources.INSTALLATIONS,
                names.installation_name(installation),
                namespace=stage.release.namespace,
            )
        except NotFound as missing:
            raise NotYet(str(missing)) from None
        status = found.get("status") or {}
        if not ready(found):
            raise NotYet(f"{installation} is not ready yet")
        service = await stage.kube.get(resources.SERVICES, "demo", namespace=status["tenant"])
        return {"host": status["host"], "address": service["spec"]["clusterIP"]}

    return {
        "account": account,
        "installation": installation,
        # Who installed the app cannot be removed, and so does not take part.
        "users": ids[1:],
        **await eventually(served, within=_PATIENCE),
    }


def ready(installation: dict[str, Any]) -> bool:
    """Its condition Ready is True, and is of what its spec says now."""
    conditions = (installation.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


async def _sign_in(stage: Stage, stand_in: StandIn, installed: list[dict[str, Any]]) -> None:
    limit = asyncio.Semaphore(_AT_ONCE)

    async def one(customer: dict[str, Any], user: str) -> SignedIn:
        talkdesk = stand_in.sign_on_host(customer["account"]["name"], REGION)
        async with limit, browser() as http:
            (await http.post(f"{talkdesk}/login", data={"user": user})).raise_for_status()
            launch = await stage.marketplace.launch_url(customer["installation"], user_id=user)

            async def entered() -> None:
                front = await http.get(launch)
                # The installation, or its users, need not have reached every watch: pages that wait.
                if front.status_code in {202, 503}:
                    raise NotYet(f"{front.status_code} at {front.url.host}{front.url.path}")
                if front.status_code != 200 or front.url.host != customer["host"]:
                    raise WrongAnswer(f"no sign-in: {front.status_code} at {front.url.host}{front.url.path}")

            await eventually(entered, within=_PATIENCE)
            loopback = http._transport  # noqa: SLF001 -- the jar is the browser's alone
            if not isinstance(loopback, Loopback):
                raise TypeError("a browser's transport keeps its cookies")
            cookie = loopback.cookies(stage.edge.origin(customer["host"]) + "/")
        return SignedIn(user, customer["installation"], customer["host"], cookie)

    for customer in installed:
        signed_in = await asyncio.gather(*(one(customer, user) for user in customer["users"]))
        stage.people[customer["installation"]] = list(signed_in)
