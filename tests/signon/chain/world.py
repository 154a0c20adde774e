"""The sandbox with one app, its gateways one by one, and what is common to all tests of the chain."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from chain.answers import Samples, samples, title
from chain.customers import Customer
from chain.people import CLICK, Recording
from talkdesk_sandbox.story.observe import NotYet, eventually
from talkdesk_sandbox.story.opening import REGION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    import aiohttp

    from chain.answers import Told
    from chain.people import Person
    from talkdesk_kube import Kube
    from talkdesk_sandbox.environment import Environment
    from talkdesk_sandbox.interceptor.between import Interceptor
    from talkdesk_sandbox.story.marketplace import Marketplace

CONTACT = "support@demo.localhost"
#: Talkdesk as servers see it: all that is not for browsers.
FOR_SERVERS = r"(?!/oauth/authorize$|/login$|/logout$|/bar\.js$).*"
PEOPLE = ("ada", "ben", "cleo", "dan", "eve")


@dataclass(frozen=True)
class Replica:
    """One gateway, asked directly."""

    world: World
    pod: str
    address: str

    def url(self, port: int, path: str = "/") -> str:
        """Of one of its ports."""
        return f"http://{self.address}:{port}{path}"

    async def decides(
        self, person: Person, path: str = "/", *, headers: dict[str, str] = CLICK
    ) -> tuple[int, httpx.Headers, str]:
        """What it says of a request with that person's cookies."""
        asked = {"Host": person.customer.host, "Cookie": person.cookie, **headers}
        async with self.world.raw.get(
            self.url(8081, f"/decide{path}"), headers=asked, allow_redirects=False
        ) as answer:
            return answer.status, httpx.Headers(list(answer.headers.items())), await answer.text()

    async def socket(self, person: Person) -> aiohttp.ClientWebSocketResponse:
        """A WebSocket of that person through this replica's relay."""
        return await self.world.socket(person, self.url(8082, "/clock?every=0.2"))

    async def metrics(self) -> Samples:
        """What it has counted."""
        async with self.world.raw.get(self.url(9090, "/metrics")) as answer:
            return samples(await answer.text())


@dataclass
class World:
    """The sandbox with one app, whose deliveries pass an interceptor."""

    environment: Environment
    kube: Kube
    marketplace: Marketplace
    deliveries: Interceptor
    app_id: str
    app: str
    raw: aiohttp.ClientSession
    replicas: tuple[Replica, ...] = ()
    told: list[Told] = field(default_factory=list)
    customers: dict[str, Customer] = field(default_factory=dict)
    _open: list[httpx.AsyncClient] = field(default_factory=list)
    _sockets: list[aiohttp.ClientWebSocketResponse] = field(default_factory=list)

    @property
    def namespace(self) -> str:
        """The release's."""
        return self.environment.release.namespace

    @property
    def edge(self) -> str:
        """Envoy."""
        return f"http://{self.environment.edge.address}"

    def browser(self) -> tuple[Recording, httpx.AsyncClient]:
        """A fresh one."""
        transport = Recording(self.environment.edge.port, self.told)
        http = httpx.AsyncClient(transport=transport, follow_redirects=True, timeout=30, headers=CLICK)
        self._open.append(http)
        return transport, http

    async def customer(self, name: str, *licensed: str) -> Customer:
        """An account of that name with people, some of them licensed; served. The same one each time."""
        if name not in self.customers:
            made = await self.account(name)
            await made.install(*(licensed or PEOPLE[:4]))
            await made.served()
            self.customers[name] = made
        return self.customers[name]

    async def account(self, name: str) -> Customer:
        """One without the app."""
        called = f"{name}-{self.app_id[:6]}"
        account = await self.marketplace.post("/control/accounts", {"name": called, "region": REGION})
        users = {}
        for person in PEOPLE:
            body = {"email": f"{person}@{called}.example", "name": f"{person.title()} Of-{name.title()}"}
            users[person] = await self.marketplace.post(f"/control/accounts/{account['id']}/users", body)
            users[person] |= body
        return Customer(self, account, users, app=self.app)

    async def socket(self, person: Person, url: str = "") -> aiohttp.ClientWebSocketResponse:
        """A WebSocket of that person, through Envoy unless ``url`` says otherwise; it has ticked once."""
        headers = {"Host": person.customer.host, "Cookie": person.cookie, "Origin": person.customer.origin}
        if not url:
            headers["Host"] = f"{person.customer.host}:{self.environment.edge.port}"
        opened = await self.raw.ws_connect(url or f"{self.edge}/clock?every=0.2", headers=headers)
        self._sockets.append(opened)
        assert "now" in await opened.receive_json(timeout=10)
        return opened

    async def closed(
        self, *sockets: aiohttp.ClientWebSocketResponse, within: float = 15.0
    ) -> list[int | None]:
        """The codes that these WebSockets are closed with. TimeoutError where one stays open."""

        async def code(socket: aiohttp.ClientWebSocketResponse) -> int | None:
            while not (await socket.receive()).type.name.startswith("CLOS"):
                pass
            return socket.close_code

        async with asyncio.timeout(within):
            return list(await asyncio.gather(*(code(socket) for socket in sockets)))

    async def counted(self) -> Samples:
        """All replicas' metrics together."""
        sums: Samples = {}
        for replica in self.replicas:
            for name, value in (await replica.metrics()).items():
                sums[name] = sums.get(name, 0.0) + value
        return sums

    @contextlib.asynccontextmanager
    async def counts(self, *steps: tuple[str, str], decision: str | None = None) -> AsyncIterator[None]:
        """In this block steps of the sign-in, each with its outcome, and a decision are counted."""
        names = [("talkdesk_gateway_sign_in_steps_total", frozenset(step)) for step in steps]
        if decision is not None:
            names.append(("talkdesk_gateway_decisions_total", frozenset({decision})))
        before = await self.counted()
        yield
        after = await self.counted()
        for name in names:
            assert after.get(name, 0) > before.get(name, 0), f"{name} was not counted"

    @contextlib.asynccontextmanager
    async def faults(self, *faults: dict[str, Any]) -> AsyncIterator[None]:
        """Requests to Talkdesk go wrong in this block."""
        for fault in faults:
            await self.marketplace.post("/control/faults", {"times": 100_000, **fault})
        try:
            yield
        finally:
            (await self.marketplace.http.delete("/control/faults")).raise_for_status()

    @contextlib.asynccontextmanager
    async def switched(self, **switches: Any) -> AsyncIterator[None]:
        """Talkdesk behaves so in this block (``talkdesk_sandbox.talkdesk.switches``)."""
        http = self.marketplace.http
        before = (await http.get("/control/switches")).raise_for_status().json()
        (await http.patch("/control/switches", json=switches)).raise_for_status()
        try:
            yield
        finally:
            back = {name: before[name] for name in switches}
            (await http.patch("/control/switches", json=back)).raise_for_status()

    def without_talkdesk(self) -> contextlib.AbstractAsyncContextManager[None]:
        """No server of ours gets an answer of Talkdesk's in this block; its events still come."""
        return self.faults({"path": FOR_SERVERS, "cut": True})

    def title(self, answer: httpx.Response) -> str:
        """The page's heading."""
        return title(answer.text)

    def refused(self, answer: httpx.Response, status: int, says: str, *, contact: bool = True) -> None:
        """A page of ours with that heading, and no session for whoever got it.

        That it quotes its reference is looked at when the test ends, as for every answer.
        """
        told = (answer.status_code, title(answer.text))
        assert told == (status, says), f"{answer.url}: {answer.text[-600:]}"
        assert all("Max-Age=0" in one for one in answer.headers.get_list("set-cookie"))
        if contact:
            assert CONTACT in answer.text

    async def until(self, check: Callable[[], Awaitable[Any]], *, within: float = 10.0) -> Any:
        """Until ``check`` no longer raises NotYet or AssertionError."""

        async def once() -> Any:
            try:
                return await check()
            except AssertionError as problem:
                raise NotYet(str(problem)) from None

        return await eventually(once, within=within)

    async def tidy(self) -> None:
        """Close what a test opened, and look at what it was told."""
        for socket in self._sockets:
            await socket.close()
        for http in self._open:
            await http.aclose()
        told = list(self.told)
        for several in (self._sockets, self._open, self.told):
            several.clear()
        for one in told:
            one.check()
