"""The stand-in served in the test's own event loop, a receiver for its events, and requests made by hand.

Nothing here is a Talkdesk client: assertions are put together from Base64 and ``cryptography``, and every
request is a plain HTTP request, so that what is sent wrongly on purpose is really sent.
"""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
import time
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import pytest_asyncio
from aiohttp import web
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from talkdesk_sandbox.talkdesk.control_bodies import DEFAULT_SCOPES, NewAccount, NewApp, NewUser
from talkdesk_sandbox.talkdesk.control_state import account_state, app_state
from talkdesk_sandbox.talkdesk.platform import Talkdesk
from talkdesk_sandbox.talkdesk.population import add_account, add_app, add_user
from talkdesk_sandbox.talkdesk.server import serve
from talkdesk_sandbox.talkdesk.switches import Switches

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from talkdesk_sandbox.talkdesk.hosts import Region

_HASHES = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
CALLBACK = "https://app.example/callback"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def _b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _private_key(text: str) -> Any:
    lines = [line for line in text.splitlines() if not line.startswith("-----")]
    return serialization.load_der_private_key(base64.b64decode("".join(lines)), None)


def sign_jwt(header: dict[str, Any], claims: dict[str, Any], key: Any, algorithm: str) -> str:
    """A compact JWS made by hand (RFC 7515, 7518)."""
    signed = f"{_b64url(json.dumps(header).encode())}.{_b64url(json.dumps(claims).encode())}"
    digest = _HASHES[algorithm[2:]]()
    if algorithm.startswith("ES"):
        size = (key.curve.key_size + 7) // 8
        r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(digest)))
        signature = r.to_bytes(size, "big") + s.to_bytes(size, "big")
    else:
        pss = padding.PSS(mgf=padding.MGF1(digest), salt_length=digest.digest_size)
        signature = key.sign(signed.encode(), pss, digest)
    return f"{signed}.{_b64url(signature)}"


class Receiver:
    """A partner's webhook: keeps what it gets; answers what it is told to."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.status = 202
        self.headers: dict[str, str] = {}
        self.held: asyncio.Event | None = None
        self.url = ""

    async def _take(self, request: web.Request) -> web.Response:
        self.requests.append((dict(request.headers), await request.read()))
        if self.held:
            await self.held.wait()
        return web.Response(status=self.status, headers=self.headers)

    @contextlib.asynccontextmanager
    async def listen(self) -> AsyncIterator[Receiver]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._take)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/events"
            yield self
        finally:
            await runner.cleanup()

    def events(self, type_: str | None = None) -> list[dict[str, Any]]:
        """Bodies received, in order."""
        parsed = [json.loads(body) for _, body in self.requests]
        return [event for event in parsed if type_ in {None, event.get("type")}]


class Partner:
    """One installation seen from the partner: its credentials, as the event brought them."""

    def __init__(self, desk: Desk, event: dict[str, Any]) -> None:
        self.desk = desk
        self.event = event
        self.data = event["data"]
        self.id: str = self.data["installation_id"]
        self.root: str = event["_links"]["root"]["href"]
        region = self.root.split(".")[1]
        self.identity = f"https://{self.data['account_name']}.id.{region}.talkdesk.localhost"
        self.token_url = f"{self.identity}/oauth/token"
        self.url = f"{self.root}/apps/{event['app_id']}/installations/{self.id}"

    def assertion(self, *, header: dict[str, Any] | None = None, key: Any = None, **claims: Any) -> str:
        """A valid assertion, but for what is overridden; a claim of None is left out."""
        now = int(time.time())
        algorithm = self.data["key_algorithm"]
        default = {
            "iss": self.data["client_id"],
            "sub": self.data["client_id"],
            "aud": self.token_url,
            "jti": str(uuid.uuid4()),
            "iat": now,
            "exp": now + 300,
        }
        chosen = {name: value for name, value in {**default, **claims}.items() if value is not None}
        return sign_jwt(
            {"alg": algorithm, "kid": self.data["key_id"], **(header or {})},
            chosen,
            key or _private_key(self.data["private_key"]),
            algorithm,
        )

    async def ask(self, assertion: str | None = None, **fields: str) -> httpx.Response:
        """POST to the token endpoint."""
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion or self.assertion(),
            **fields,
        }
        return await self.desk.http.post(self.token_url, data=form)

    async def token(self, **fields: str) -> str:
        """An access token."""
        response = await self.ask(**fields)
        assert response.status_code == 200, response.text
        return str(response.json()["access_token"])

    async def call(
        self,
        path: str = "",
        *,
        token: str | None = None,
        body: Any = None,
        root: str | None = None,
        **options: Any,
    ) -> httpx.Response:
        """GET (or, with a body, POST) below the installation; ``root`` replaces its URL."""
        headers = {"Authorization": f"Bearer {token or await self.token()}"}
        url = f"{root or self.url}{path}"
        if body is None:
            return await self.desk.http.get(url, headers=headers, **options)
        return await self.desk.http.post(url, headers=headers, json=body, **options)

    async def authorize(self, **query: str | None) -> httpx.Response:
        """GET the authorization link in the browser; a parameter of None is left out."""
        asked = {
            "client_id": self.data["client_id"],
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": "openid",
            **query,
        }
        chosen = {name: value for name, value in asked.items() if value is not None}
        return await self.desk.browse(f"{self.identity}/oauth/authorize", params=chosen)

    async def code(self, **query: str | None) -> str:
        """A code for whoever is signed in."""
        (code,) = parse_qs(urlsplit((await self.authorize(**query)).headers["Location"]).query)["code"]
        return code

    async def redeem(self, code: str, **fields: str) -> httpx.Response:
        """POST a code to the token endpoint."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, **fields}
        return await self.ask(**form)

    async def answer(self, verdict: str, **more: Any) -> httpx.Response:
        """Approve or reject."""
        return await self.call("/state", body={"state": verdict, **more})

    async def state(self) -> str:
        """The installation's state, as the Apps API tells it."""
        record = (await self.call()).json()
        return str(record["_embedded"]["state"]["state"])


class Desk:
    """The served stand-in with one app, one account in eu, and four users."""

    def __init__(
        self,
        *,
        talkdesk: Talkdesk,
        control: httpx.AsyncClient,
        http: httpx.AsyncClient,
        browser: httpx.AsyncClient,
        receiver: Receiver,
    ) -> None:
        self.talkdesk = talkdesk
        self.control = control
        self.http = http
        self.browser = browser
        self.receiver = receiver
        self.proxy = ""
        self.app: dict[str, Any] = {}
        self.account: dict[str, Any] = {}
        self.users: list[str] = []

    async def post(self, path: str, body: Any = None) -> Any:
        response = await self.control.post(path, json=body or {})
        assert response.is_success, response.text
        return response.json()

    def populate(self) -> None:
        app = add_app(
            self.talkdesk,
            NewApp(
                name="Demo",
                events_url=self.receiver.url,
                redirect_uris=[CALLBACK, f"{CALLBACK}?tenant=1"],
                scopes=[*DEFAULT_SCOPES, "scim"],
            ),
        )
        self.app = app_state(app)
        self.account, self.users = self.new_account("acme", "eu")

    def new_account(self, name: str, region: Region) -> tuple[dict[str, Any], list[str]]:
        """An account with four users; straight into the world, for the control API has tests of its own."""
        account = add_account(self.talkdesk, NewAccount(name=name, region=region))
        users = [
            add_user(
                self.talkdesk, account.id, NewUser(email=f"user{number}@example.com", name=f"User {number}")
            ).id
            for number in range(4)
        ]
        return account_state(account), users

    async def browse(self, url: str, *, form: Any = None, **options: Any) -> httpx.Response:
        """One request of the browser's (POST with a ``form``) to a name under .localhost."""
        at = urlsplit(url)
        method, headers = "GET" if form is None else "POST", {"Host": at.netloc}
        path = at._replace(scheme="", netloc="").geturl()
        return await self.browser.request(method, path, data=form, headers=headers, **options)

    async def sign_in(self, user_id: str, identity: str = "https://acme.id.eu.talkdesk.localhost") -> None:
        """The browser's user signs in to Talkdesk."""
        answer = await self.browse(f"{identity}/login", form={"user": user_id})
        assert answer.status_code == 303, answer.text

    async def switch(self, **changes: Any) -> None:
        response = await self.control.patch("/control/switches", json=changes)
        assert response.is_success, response.text

    async def advance(self, **span: float) -> None:
        seconds = sum(
            {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}[unit] * value
            for unit, value in span.items()
        )
        await self.post("/control/clock", {"advance_seconds": seconds})

    async def settle(self) -> None:
        """Wait until every delivery under way has ended."""
        await self.talkdesk.agenda.settle()

    def install_body(
        self, plan: str = "Trial", account: dict[str, Any] | None = None, users: list[str] | None = None
    ) -> dict[str, Any]:
        account, users = account or self.account, users or self.users[:3]
        return {"app_id": self.app["id"], "account_id": account["id"], "plan": plan, "users": users}

    async def install(
        self,
        *,
        plan: str = "Trial",
        account: dict[str, Any] | None = None,
        users: list[str] | None = None,
        approved: bool = False,
    ) -> Partner:
        installed = await self.post("/control/install", self.install_body(plan, account, users))
        await self.settle()
        partner = Partner(
            self,
            next(
                event
                for event in self.receiver.events("app.installed")
                if event["data"]["installation_id"] == installed["installation_id"]
            ),
        )
        if approved:
            assert (await partner.answer("approve")).status_code == 200
            await self.settle()
        return partner

    async def ask(self, partner: Partner, action: str, body: Any = None) -> str:
        """An admin's request about an installation, delivered: the event's id."""
        answer = await self.post(f"/control/installations/{partner.id}/{action}", body)
        await self.settle()
        return str(answer["event_id"])

    def ledger(self, kind: str | None = None) -> list[dict[str, Any]]:
        return [entry for entry in self.talkdesk.ledger.since(0) if kind in {None, entry["kind"]}]


@contextlib.asynccontextmanager
async def _open_desk(directory: Path) -> AsyncIterator[Desk]:
    talkdesk = Talkdesk(switches=Switches())
    async with contextlib.AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(Receiver().listen())
        where = await stack.enter_async_context(serve(talkdesk, directory=directory))
        trusting = ssl.create_default_context(cafile=str(where.ca_file))
        control = await stack.enter_async_context(
            httpx.AsyncClient(base_url=where.control, verify=trusting, trust_env=False, timeout=30)
        )
        http = await stack.enter_async_context(
            httpx.AsyncClient(proxy=where.proxy, verify=trusting, trust_env=False, timeout=30)
        )
        browser = await stack.enter_async_context(
            httpx.AsyncClient(base_url=where.browser, trust_env=False, timeout=30, verify=trusting)
        )
        made = Desk(talkdesk=talkdesk, control=control, http=http, browser=browser, receiver=receiver)
        made.proxy = where.proxy
        made.populate()
        yield made


@pytest_asyncio.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with _open_desk(tmp_path) as made:
        yield made


@pytest.fixture
def open_desk(tmp_path: Path) -> Callable[[str], AbstractAsyncContextManager[Desk]]:
    """For tests that compare two: each has a name."""

    def opened(name: str) -> AbstractAsyncContextManager[Desk]:
        directory = tmp_path / name
        directory.mkdir()
        return _open_desk(directory)

    return opened
