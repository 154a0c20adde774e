"""A Talkdesk on a string: each test says what it answers, and sees what it was asked."""

from __future__ import annotations

import base64
import functools
import json
import logging
import queue
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from talkdesk_client import (
    ClientOptions,
    Credentials,
    Hosts,
    InstallationRef,
    TalkdeskClient,
    authorize_url,
    http_client,
    token_url,
)
from talkdesk_client.clock import Clock
from talkdesk_sandbox.plain import NO_TLS
from talkdesk_sandbox.talkdesk import StandIn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
ROOT = "https://api.talkdesk.example"
TOKEN_URL = "https://acme.id.talkdesk.example/oauth/token"
SCOPES = ["openid", "refresh_token", "account:read", "users:read", "apps:read", "apps:write"]
HOSTS = Hosts(api="api.talkdesk.example", identity="id.talkdesk.example")

Handler = Callable[[httpx.Request], httpx.Response | Awaitable[httpx.Response]]


@dataclass
class ManualClock:
    """Time that passes only when someone sleeps, or when the test says so."""

    seconds: float = 1000.0
    epoch: float = 1_780_000_000.0
    slept: list[float] = field(default_factory=list)
    luck: float = 0.0

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds

    def clock(self) -> Clock:
        return Clock(
            monotonic=lambda: self.seconds,
            wall=lambda: self.epoch + self.seconds,
            sleep=self.sleep,
            chance=lambda: self.luck,
        )


@dataclass
class Talkdesk:
    """Answers token requests by itself; the rest in the order it was told, the last answer for good.

    ``answers`` and ``token_answers`` hold responses, exceptions to raise, or functions of the request.
    """

    answers: list[httpx.Response | Exception | Handler] = field(default_factory=list)
    token_answers: list[httpx.Response | Exception | Handler] = field(default_factory=list)
    asked: list[httpx.Request] = field(default_factory=list)
    token_asked: list[httpx.Request] = field(default_factory=list)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        for_token = request.url.host.endswith("id.talkdesk.example")
        (self.token_asked if for_token else self.asked).append(request)
        queue = self.token_answers if for_token else self.answers
        if not queue:
            assert for_token, f"nothing was arranged for {request.method} {request.url}"
            return self.token(f"token-{len(self.token_asked)}")
        answer = queue.pop(0) if len(queue) > 1 else queue[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
        result = answer(request)
        return result if isinstance(result, httpx.Response) else await result

    @staticmethod
    def token(value: str, **more: Any) -> httpx.Response:
        return httpx.Response(
            200, json={"access_token": value, "token_type": "Bearer", "expires_in": 600} | more
        )

    @staticmethod
    def form(request: httpx.Request) -> dict[str, str]:
        """A form-encoded body, each field once."""
        return {name: values[0] for name, values in parse_qs(request.content.decode()).items()}

    @property
    def scopes(self) -> list[str | None]:
        """Scopes asked for, request by request."""
        return [self.form(request).get("scope") for request in self.token_asked]

    @property
    def bearers(self) -> list[str]:
        """Tokens the API saw, request by request."""
        return [request.headers["Authorization"].removeprefix("Bearer ") for request in self.asked]


@dataclass(frozen=True)
class PrivateKeys:
    """One private key for each algorithm, made once."""

    by_algorithm: dict[str, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey]

    def __getitem__(self, algorithm: str) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
        return self.by_algorithm[algorithm]

    def base64(self, algorithm: str) -> str:
        """As an event carries it: Base64 PKCS#8, no armour, one line."""
        der = self[algorithm].private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return base64.b64encode(der).decode()


@pytest.fixture
def debug_logs(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Everything that is logged: a command that ran in this process may have quietened the libraries."""
    for logger in ("", "aiohttp", "httpx"):
        caplog.set_level(logging.DEBUG, logger=logger)
    return caplog


@pytest.fixture(scope="session")
def private_keys() -> PrivateKeys:
    large = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return PrivateKeys(
        {
            "ES256": ec.generate_private_key(ec.SECP256R1()),
            "ES384": ec.generate_private_key(ec.SECP384R1()),
            "ES512": ec.generate_private_key(ec.SECP521R1()),
            "PS256": large,
            "PS384": large,
            "PS512": large,
        }
    )


@pytest.fixture
def talkdesk() -> Talkdesk:
    return Talkdesk()


@pytest.fixture
def manual_clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def ref_with(private_keys: PrivateKeys) -> Callable[..., InstallationRef]:
    """An installation; keyword arguments replace parts of the reference or of its credentials."""

    def make(**parts: Any) -> InstallationRef:
        credentials = {
            "client_id": "client-1",
            "client_secret": "client-secret",
            "private_key": private_keys.base64("ES256"),
            "key_id": "key-1",
            "key_algorithm": "ES256",
        }
        of_ref = {"app_id": "app-1", "account_id": "account-1", "installation_id": "installation-1"} | {
            "root": ROOT,
            "token_url": TOKEN_URL,
        }
        for name, value in parts.items():
            (credentials if name in credentials else of_ref)[name] = value
        hosts = of_ref.pop("hosts", HOSTS)
        return InstallationRef(hosts=hosts, credentials=Credentials(**credentials), **of_ref)

    return make


@pytest.fixture
def ref(ref_with: Callable[..., InstallationRef]) -> InstallationRef:
    return ref_with()


@functools.cache
def _options(**options: Any) -> ClientOptions:
    """Settings are read from the environment once for each set of them: it takes longer than most tests."""
    return ClientOptions(**options)


@pytest.fixture
def connect(talkdesk: Talkdesk, manual_clock: ManualClock) -> Callable[..., Any]:
    """``async with connect(option=value) as client``: a client of ``talkdesk`` on ``manual_clock``."""

    @asynccontextmanager
    async def make(**options: Any) -> AsyncIterator[TalkdeskClient]:
        async with (
            http_client(transport=httpx.MockTransport(talkdesk)) as http,
            TalkdeskClient(http, _options(**options), clock=manual_clock.clock()) as client,
        ):
            yield client

    return make


@pytest.fixture
def an_installation() -> httpx.Response:
    """``GET …/installations/installation-1`` as documented."""
    return httpx.Response(
        200,
        json={
            "id": "installation-1",
            "app_id": "app-1",
            "account_id": "account-1",
            "scopes": ["apps:read", "apps:write"],
            "auto_provision_filters": [{"filter": "none", "match": None}],
            "created_at": "2026-01-05T10:00:00Z",
            "_embedded": {
                "created_by": {"id": "user-1", "email": "ada@example.com", "name": "Ada"},
                "state": {"state": "installing", "reason": None, "updated_at": "2026-01-05T10:00:00Z"},
            },
        },
    )


class Receiver:
    """The partner's webhook: accepts every event and hands it to the test."""

    def __init__(self) -> None:
        events: queue.Queue[dict[str, Any]] = queue.Queue()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(204)
                self.end_headers()
                events.put(json.loads(body))

            def log_message(self, *_: object) -> None:
                pass

        self.events = events
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"

    def next(self, kind: str) -> dict[str, Any]:
        """The next event of type ``kind``; others before it are passed over."""
        while True:
            event = self.events.get(timeout=20)
            if event["type"] == kind:
                return event


class Market:
    """One stand-in with an account and an app; installs the app and reads what Talkdesk then says."""

    callback = "https://launch.example/_td/callback"

    def __init__(self, stand_in: StandIn, receiver: Receiver) -> None:
        self.stand_in, self.receiver = stand_in, receiver
        self.defaults = stand_in.get("/control/switches")
        self.app = stand_in.post(
            "/control/apps",
            {
                "name": "demo",
                "events_url": receiver.url,
                "launch_url": "https://launch.example/_td/launch",
                "redirect_uris": [self.callback],
                "scopes": [*SCOPES, "scim"],
            },
        )
        self.count = 0
        self.browser = httpx.Client(trust_env=False, verify=NO_TLS)

    def switch(self, **switches: Any) -> None:
        self.stand_in.patch("/control/switches", switches)

    def fault(self, **fault: Any) -> None:
        self.stand_in.post("/control/faults", fault)

    def install(self, *, users: int = 3, plan: str = "Standard", region: str = "eu") -> InstallationRef:
        """A new account, ``users`` of its users, and the app installed for them."""
        self.count += 1
        account = self.stand_in.post("/control/accounts", {"name": f"acme{self.count}", "region": region})
        made = [
            self.stand_in.post(
                f"/control/accounts/{account['id']}/users",
                {"email": f"u{number}@example.com", "name": f"U {number}"},
            )["id"]
            for number in range(users + 1)
        ]
        self.spare = made.pop()
        self.stand_in.post(
            "/control/install",
            {
                "app_id": self.app["id"],
                "account_id": account["id"],
                "plan": plan,
                "users": made,
                "created_by": made[0],
            },
        )
        self.users = made
        event = self.receiver.next("app.installed")
        self.authorization = event["_links"]["authorization"]["href"]
        return self.reference(event, region=region)

    def browse(self, url: str, *, form: Mapping[str, str] | None = None) -> httpx.Response:
        """One request of the browser's (POST with a ``form``); a name under .localhost is this machine."""
        at = httpx.URL(url)
        own = httpx.URL(self.stand_in.browser).copy_with(raw_path=at.raw_path)
        host = {"Host": at.netloc.decode()}
        return self.browser.request("GET" if form is None else "POST", own, data=form, headers=host)

    def sign_in(self, user_id: str) -> None:
        """The browser's user signs in to Talkdesk, at the account of the last install."""
        page = self.authorization.replace("/oauth/authorize", "/login")
        assert self.browse(page, form={"user": user_id}).status_code == 303

    def authorized(self, ref: InstallationRef, **more: Any) -> dict[str, str]:
        """What the browser brings to the callback after it was sent to Talkdesk."""
        asked = {"client_id": ref.credentials.client_id, "redirect_uri": self.callback, "nonce": "n"}
        asked |= {"state": "the state", "scopes": ("openid",)}
        answer = self.browse(authorize_url(ref.hosts, self.authorization, **(asked | more)))
        assert answer.status_code == 302, answer.text
        location = httpx.URL(answer.headers["Location"])
        assert str(location).startswith(f"{self.callback}?")
        return dict(location.params)

    def reference(self, event: dict[str, Any], *, region: str) -> InstallationRef:
        """What the operator makes of an event that carries credentials."""
        links = {name: link["href"] for name, link in event["_links"].items()}
        return InstallationRef(
            app_id=event["app_id"],
            account_id=event["data"]["account_id"],
            installation_id=event["data"]["installation_id"],
            root=links["root"],
            token_url=token_url(links),
            hosts=Hosts(**self.stand_in.regions[region]),
            credentials=Credentials(**event["data"]),
        )

    def control(self, ref: InstallationRef, action: str, **body: Any) -> None:
        self.stand_in.post(f"/control/installations/{ref.installation_id}/{action}", body)

    def seen(self, ref: InstallationRef, kind: str = "api") -> list[dict[str, Any]]:
        """The ledger's entries of ``kind`` about an installation."""
        return [
            entry
            for entry in self.stand_in.ledger()
            if entry["kind"] == kind and entry.get("installation_id") == ref.installation_id
        ]

    @asynccontextmanager
    async def client(self, *, skew: float = 0.0, **options: Any) -> AsyncIterator[TalkdeskClient]:
        """One whose clock is ``skew`` seconds ahead of the stand-in's."""
        settings = ClientOptions(**({"retry_first": 0.01, "retry_longest": 0.02} | options))
        async with (
            http_client(proxy=self.stand_in.proxy, ca_file=self.stand_in.ca_file) as http,
            TalkdeskClient(http, settings, clock=Clock(wall=lambda: time.time() + skew)) as client,
        ):
            yield client


@pytest.fixture(scope="module")
def _running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    receiver = Receiver()
    thread = threading.Thread(
        target=receiver.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
    )
    thread.start()
    try:
        with StandIn.start(tmp_path_factory.mktemp("talkdesk") / "stand-in") as stand_in:
            market = Market(stand_in, receiver)
            with market.browser:
                yield market
    finally:
        receiver.server.shutdown()
        receiver.server.server_close()
        thread.join(timeout=5)


@pytest.fixture
def market(_running: Market) -> Iterator[Market]:
    """The stand-in with every switch at its default before and after."""
    yield _running
    _running.switch(**_running.defaults)
    _running.stand_in._json("DELETE", "/control/faults")
