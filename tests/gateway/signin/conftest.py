"""A gateway that serves its sign-in for real, before a directory, a clock and a Talkdesk that tests set."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request

import httpx
import pytest
import pytest_asyncio
from aiohttp import web
from joserfc.jwk import OctKey
from pydantic import SecretStr

from talkdesk_client import UserInfo
from talkdesk_crds.app import TalkdeskApp
from talkdesk_crds.installation import TalkdeskInstallation
from talkdesk_crds.key_ring import Key
from talkdesk_crds.user_slice import LicensedUser
from talkdesk_gateway import sessions
from talkdesk_gateway.metrics import Metrics
from talkdesk_gateway.seams import CodeRefusedError, NotAskedError, TalkdeskUnavailableError
from talkdesk_gateway.signin.edge import Parts
from talkdesk_gateway.signin.step import Moment
from talkdesk_gateway.tenancy import Tenancy
from talkdesk_gateway.web import sign_in_app
from talkdesk_sandbox.plain import NO_TLS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

LAUNCH = "launch.example.com"
HOST = "i1.apps.example.com"


class Known:
    """A directory that shows what a test puts into it, and tells of each change."""

    def __init__(self, app: TalkdeskApp) -> None:
        self.fresh = True
        self.apps = {LAUNCH: app}
        self.tenancies: dict[str, Tenancy] = {}
        self._told: dict[str, set[Callable[[], None]]] = {}

    def put(self, tenancy: Tenancy) -> Tenancy:
        self.tenancies[tenancy.installation.metadata.name] = tenancy
        for tell in tuple(self._told.get(tenancy.installation.metadata.name, ())):
            tell()
        return tenancy

    def by_host(self, host: str) -> Tenancy | None:
        return next((one for one in self.tenancies.values() if host and one.host == host), None)

    def by_installation(self, installation_id: str) -> Tenancy | None:
        found = (
            one for one in self.tenancies.values() if one.installation.spec.installation_id == installation_id
        )
        return next(found, None)

    def app_at(self, launch_host: str) -> TalkdeskApp | None:
        return self.apps.get(launch_host)

    def app_of(self, host: str) -> TalkdeskApp | None:
        tenancy, launched = self.by_host(host), self.app_at(host)
        if tenancy is not None or launched is not None:
            return tenancy.app if tenancy is not None else launched
        return next((app for app in self.apps.values() if host.endswith(f".{app.spec.base_domain}")), None)

    def subscribe(self, name: str, changed: Callable[[], None]) -> Callable[[], None]:
        told = self._told.setdefault(name, set())
        told.add(changed)
        return lambda: told.discard(changed)

    @property
    def listeners(self) -> int:
        """How many wait for a change."""
        return sum(len(told) for told in self._told.values())

    async def heard(self) -> None:
        """Until somebody waits for a change."""
        async with asyncio.timeout(5):
            while not self.listeners:  # noqa: ASYNC110 - the seam has no event for this
                await asyncio.sleep(0.001)


@dataclass
class Ring:
    """Keys as a test has them."""

    keys: tuple[Key, ...]

    def session_keys(self) -> tuple[Key, ...]:
        return self.keys

    def identity_keys(self) -> tuple[Key, ...]:
        return ()

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        raise NotImplementedError  # no step of a sign-in waits for keys


@dataclass
class Looks:
    """What a look at Talkdesk's list would show; counts the looks."""

    directory: Known
    listed: dict[str, str] = field(default_factory=dict)
    failing: bool = False
    looks: list[str] = field(default_factory=list)

    async def look(self, tenancy: Tenancy, user_id: str) -> Tenancy:
        self.looks.append(user_id)
        if self.failing:
            raise NotAskedError("the API server is away")
        if user_id not in self.listed:
            return tenancy
        return self.directory.put(
            dataclasses.replace(tenancy, user=entries({user_id: self.listed[user_id]}).get)
        )


@dataclass
class SignedOut:
    """The revocations that were made; ``operating``: each gives its user a new epoch at once."""

    directory: Known
    made: list[tuple[str, str, str]] = field(default_factory=list)
    failing: bool = False
    operating: bool = True

    async def sign_out(self, tenancy: Tenancy, user_id: str, cause: str) -> None:
        if self.failing:
            raise NotAskedError("the API server is away")
        self.made.append((tenancy.installation.metadata.name, user_id, cause))
        if self.operating:
            self.carry_out(tenancy, user_id)

    def carry_out(self, tenancy: Tenancy, user_id: str) -> None:
        """What the operator makes of a revocation."""
        user = tenancy.user
        entry = user(user_id)
        assert entry is not None
        anew = entry.model_copy(update={"epoch": f"after-{entry.epoch}"})
        self.directory.put(
            dataclasses.replace(tenancy, user=lambda one: anew if one == user_id else user(one))
        )


@dataclass
class AtTalkdesk:
    """Talkdesk's side: ``user`` is who this browser is signed in as there, ``error`` what goes wrong."""

    user: str | None = "u1"
    error: Exception | None = None
    codes: dict[str, UserInfo] = field(default_factory=dict)
    on_the_way: Callable[[], None] | None = None

    async def authorize_url(
        self, tenancy: Tenancy, *, redirect_uri: str, state: str, nonce: str, **_: Any
    ) -> str:
        if tenancy.installation.status.credentials == "none":
            raise TalkdeskUnavailableError("status.credentials names no Secret yet")
        query = {"state": state, "nonce": nonce, "redirect_uri": redirect_uri}
        return str(httpx.URL("https://acme.talkdeskid.eu/oauth/authorize").copy_merge_params(query))

    def authorize(self, url: str) -> str:
        """What Talkdesk's authorize endpoint redirects a signed-in browser to."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        code = f"code-{len(self.codes)}"
        self.codes[code] = UserInfo(id=self.user or "", name=f"User {self.user}")
        if self.on_the_way is not None:
            self.on_the_way()
        return str(
            httpx.URL(asked["redirect_uri"]).copy_merge_params({"code": code, "state": asked["state"]})
        )

    async def identify(self, _: Tenancy, *, code: SecretStr, **__: Any) -> UserInfo:
        if self.error is not None:
            raise self.error
        known = self.codes.pop(code.get_secret_value(), None)
        if known is None:
            raise CodeRefusedError("invalid_grant: the code was used")
        return known


def entries(users: dict[str, str]) -> dict[str, LicensedUser]:
    """Entries of slices: epoch by user id."""
    return {
        user: LicensedUser(epoch=epoch, name=f"User {user}", email=f"{user}@example.com", role="user")
        for user, epoch in users.items()
    }


class OverLoopback(httpx.AsyncBaseTransport):
    """Sends every request to this machine, whatever its host; the port stays."""

    def __init__(self) -> None:
        self._inner = httpx.AsyncHTTPTransport(verify=NO_TLS)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        sent = httpx.Request(
            request.method,
            request.url.copy_with(host="127.0.0.1", scheme="http"),
            headers=request.headers,
            stream=request.stream,
            extensions=request.extensions,
        )
        return await self._inner.handle_async_request(sent)

    async def aclose(self) -> None:
        await self._inner.aclose()


class Browser:
    """A browser as far as cookies and redirects go; between the hosts of the gateway it goes by itself."""

    def __init__(self, world: World) -> None:
        self._world = world
        # As on *.localhost, http is good enough for Secure cookies.
        jar = CookieJar(DefaultCookiePolicy(secure_protocols=("http", "https")))
        self.http = httpx.AsyncClient(cookies=jar, transport=OverLoopback(), timeout=10)

    async def get(self, url: str, **headers: str) -> httpx.Response:
        """One request; redirects are not followed."""
        return await self.http.get(url, headers={"Accept": "text/html", **self._headers(url, headers)})

    async def post(self, url: str, **headers: str) -> httpx.Response:
        """One form without fields."""
        return await self.http.post(url, headers=self._headers(url, headers))

    async def follow(self, url: str, *, until: str = "\0") -> httpx.Response:
        """Follow redirects, through Talkdesk too, until a page, or a URL that contains ``until``."""
        for _ in range(20):
            answer = await self.get(url)
            if answer.status_code != 303:
                return answer
            url = self.next_of(answer)
            if until in url or not urlsplit(url).path.startswith("/_td/"):
                return answer
        raise AssertionError("redirected in a circle")

    def next_of(self, answer: httpx.Response) -> str:
        """Where a redirect leads; through Talkdesk where it leads there."""
        url = answer.headers["Location"]
        return self._world.talkdesk.authorize(url) if "/oauth/authorize" in url else url

    def _headers(self, url: str, headers: dict[str, str]) -> dict[str, str]:
        # httpx reads its cookies by a policy of its own, which keeps Secure ones for https.
        asked = Request(url)  # noqa: S310 - never opened
        self.http.cookies.jar.add_cookie_header(asked)
        cookies = {"Cookie": asked.get_header("Cookie", "")} if asked.has_header("Cookie") else {}
        return cookies | {name.replace("_", "-"): value for name, value in headers.items()}

    def cookies(self) -> dict[str, str]:
        """The cookies of the tenant's host."""
        return {cookie.name: cookie.value or "" for cookie in self.http.cookies.jar if cookie.domain == HOST}


class World:
    """Everything that a sign-in meets."""

    host = HOST
    launch_host = LAUNCH

    def __init__(self, objects: Any) -> None:
        self._objects = objects
        self.now = datetime(2026, 1, 10, 12, 0, tzinfo=UTC)
        self.port = 0
        self.browsers: list[Browser] = []
        self.app = TalkdeskApp.model_validate(objects.app(contact="help@example.com"))
        self.directory = Known(self.app)
        self.keys = Ring((self.key("k1"),))
        self.lookup = Looks(self.directory)
        self.signed_out = SignedOut(self.directory)
        self.talkdesk = AtTalkdesk()
        self.metrics = Metrics()
        self.put(users={"u1": "e1"})

    def key(self, kid: str, *, age: timedelta = timedelta(days=1)) -> Key:
        """A session key made ``age`` ago."""
        return Key(kid, self.now - age, SecretStr(json.dumps(OctKey.generate_key(256).as_dict())))

    def tenancy(
        self,
        name: str = "i1",
        *,
        users: dict[str, str] | None = None,
        users_known: bool = True,
        reason: str | None = None,
        uid: str | None = None,
        app: dict[str, Any] | None = None,
        **status: Any,
    ) -> Tenancy:
        """A tenancy at ``<name>.apps.example.com``; ``reason``: why access is refused."""
        made = self._objects.installation(name, **status)
        if reason is not None:
            made["status"]["access"] = {"state": "Refused", "reason": reason}
        made["metadata"]["uid"] = uid or f"uid-{name}"
        link = {"at": None, "rank": 10, "event": "e", "href": "https://acme.talkdeskid.eu/oauth/authorize"}
        made["spec"]["talkdesk"]["links"] = {"authorization": link}
        installation = TalkdeskInstallation.model_validate(made)
        changed = self._objects.app(contact="help@example.com", **(app or {}))
        return Tenancy(
            installation=installation,
            app=TalkdeskApp.model_validate(changed),
            host=installation.status.host or "",
            upstream="10.0.0.7:8080",
            user=entries(users or {}).get,
            users_known=users_known,
        )

    def put(self, name: str = "i1", **changes: Any) -> Tenancy:
        """Make it known."""
        return self.directory.put(self.tenancy(name, **changes))

    def origin(self, host: str) -> str:
        """As a browser writes it."""
        return f"http://{host}:{self.port}"

    def moment(self, **changes: Any) -> Moment:
        """Now."""
        values = {"now": self.now, "keys": self.keys.keys, "origin": self.origin, "reference": "TEST-2345"}
        return Moment(**(values | changes))

    def launch_url(self, installation: str = "i1", user: str | None = "u1", **query: str) -> str:
        """Where Talkdesk's icon leads."""
        asked = {"talkdesk_installation_id": installation, **query}
        if user is not None:
            asked["talkdesk_user_id"] = user
        return str(httpx.URL(f"{self.origin(LAUNCH)}/_td/launch").copy_merge_params(asked))

    def url(self, path: str, host: str = HOST) -> str:
        """``path`` at the tenant."""
        return self.origin(host) + path

    def browser(self) -> Browser:
        """A new one, without cookies."""
        self.browsers.append(Browser(self))
        return self.browsers[-1]

    def parts(self, **changes: Any) -> Parts:
        """What the application is made of."""
        values: dict[str, Any] = {
            "directory": self.directory,
            "keys": self.keys,
            "lookup": self.lookup,
            "sign_out": self.signed_out,
            "talkdesk": self.talkdesk,
            "metrics": self.metrics,
            "origin": self.origin,
            "clock": lambda: self.now,
            "settle_seconds": 0.05,
        }
        return Parts(**(values | changes))

    @contextlib.asynccontextmanager
    async def serving(self, parts: Parts, *more: web.AbstractRouteDef) -> AsyncIterator[None]:
        """A gateway of those parts, on a port of its own, while the block runs."""
        # A state and five sign-ins under way make longer lines than aiohttp takes by itself.
        lines = {"max_line_size": 16384, "max_field_size": 16384}
        runner = web.AppRunner(sign_in_app(parts, more=more), access_log=None, **lines)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        try:
            yield
        finally:
            for browser in self.browsers:
                await browser.http.aclose()
            await runner.cleanup()

    def signed_in(self, browser: Browser) -> str | None:
        """The user of the session that the browser keeps, if it counts."""
        found = sessions.read(browser.cookies(), host=self.host, keys=self.keys.keys, now=self.now)
        tenancy = self.directory.by_host(self.host)
        if found is None or tenancy is None or sessions.entry(found, tenancy, self.now) is None:
            return None
        return found.user

    def counted(self, step: str, outcome: str) -> float:
        """How often a step came to that."""
        labels = {"step": step, "outcome": outcome}
        return self.metrics.registry.get_sample_value("talkdesk_gateway_sign_in_steps_total", labels) or 0.0


@pytest.fixture
def world(objects: Any) -> World:
    """Values alone; nothing is served."""
    return World(objects)


@pytest_asyncio.fixture
async def gateway(world: World) -> AsyncIterator[World]:
    """The world with a gateway that listens on loopback."""
    async with world.serving(world.parts()):
        yield world
