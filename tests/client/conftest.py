"""A Talkdesk on a string: each test says what it answers, and sees what it was asked."""

from __future__ import annotations

import base64
import functools
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
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
    http_client,
)
from talkdesk_client.clock import Clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
ROOT = "https://api.talkdesk.example"
TOKEN_URL = "https://acme.id.talkdesk.example/oauth/token"
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
