"""Signing as Talkdesk may do it, and events in the documented shapes."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any, Literal

import httpx
import pytest
import pytest_asyncio
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from talkdesk_webhook.main import Webhook, webhook
from talkdesk_webhook.settings import WebhookSettings

if TYPE_CHECKING:
    from pathlib import Path

KeyForm = Literal["pem", "pem-base64", "spki", "point"]
SignatureForm = Literal["der", "raw"]

HASHES = {"sha512": hashes.SHA512(), "sha384": hashes.SHA384(), "sha256": hashes.SHA256()}
CURVES: dict[str, ec.EllipticCurve] = {
    "p256": ec.SECP256R1(),
    "p384": ec.SECP384R1(),
    "p521": ec.SECP521R1(),
    "secp256k1": ec.SECP256K1(),
}


@dataclass(frozen=True)
class Signer:
    """A signing key of Talkdesk's."""

    private: ec.EllipticCurvePrivateKey

    def public(self, form: KeyForm) -> str:
        """``public_key`` as the gateway answers it."""
        key = self.private.public_key()
        if form == "point":
            return base64.b64encode(key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)).decode()
        if form == "spki":
            return base64.b64encode(
                key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            ).decode()
        pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return pem.decode() if form == "pem" else base64.b64encode(pem).decode()

    def sign(self, body: bytes, *, form: SignatureForm = "der", hash_name: str = "sha512") -> str:
        """The signature header."""
        der = self.private.sign(body, ec.ECDSA(HASHES[hash_name]))
        if form == "der":
            return der.hex()
        size = (self.private.curve.key_size + 7) // 8
        return b"".join(number.to_bytes(size) for number in decode_dss_signature(der)).hex()


@pytest.fixture(scope="session")
def signers() -> dict[str, Signer]:
    """One signer a curve."""
    return {name: Signer(ec.generate_private_key(curve)) for name, curve in CURVES.items()}


EventMaker = Callable[..., dict[str, Any]]


@pytest.fixture
def make_event() -> EventMaker:
    """A function that makes the JSON of an event: its type, then fields of ``data``."""
    numbers = itertools.count(1)

    def make(
        event_type: str,
        *,
        envelope: dict[str, Any] | None = None,
        links: dict[str, Any] | None = None,
        **data: Any,
    ) -> dict[str, Any]:
        number = next(numbers)
        return {
            "id": f"{number:032x}",
            "created_at": f"2026-01-05T10:{number // 60:02}:{number % 60:02}Z",
            "api_version": "1",
            "type": event_type,
            "app_id": "a1",
            "app_version_id": "b2",
            "app_version_name": "1.4.0",
            "data": {"installation_id": "c3", "account_id": "d4", "account_name": "acme"} | data,
            "_links": {"root": {"href": "https://api.talkdeskapp.eu"}} | (links or {}),
        } | (envelope or {})

    return make


@pytest.fixture
def as_bytes() -> Callable[[Any], bytes]:
    """Compact JSON, as sent."""
    return lambda value: json.dumps(value, separators=(",", ":")).encode()


@pytest.fixture(scope="session")
def credentials() -> dict[str, str]:
    """The credentials part of ``data``."""
    return {
        "client_id": "e5",
        "client_secret": "s3cret",
        "private_key": "TUlHSEFnRUE=",
        "public_key": "TUZrd0V3WUg=",
        "key_id": "f6",
        "key_algorithm": "ES256",
    }


Eventually = Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]


@pytest.fixture
def eventually() -> Eventually:
    """A function that waits until a condition holds, at most half a minute: a process may have to start."""

    async def wait(condition: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(30):
            while True:
                if await condition():
                    return
                await asyncio.sleep(0.01)

    return wait


class Gateway:
    """A real key server over TLS, as a Talkdesk gateway: ``GET /events/signature-keys/{id}``."""

    def __init__(self, url: str, ca_file: Path) -> None:
        self.url = url
        self.ca_file = ca_file
        self.keys: dict[str, dict[str, Any]] = {}
        self.status = 200
        self.hangs: asyncio.Event | None = None
        self.asked: list[str] = []

    def publish(self, key_id: str, signer: Signer, form: KeyForm = "spki", **more: Any) -> None:
        """Let the gateway know a key."""
        self.keys[key_id] = {"public_key": signer.public(form), "key_id": key_id} | more

    async def answer(self, request: web.Request) -> web.Response:
        """The HTTP handler."""
        key_id = request.match_info["key_id"]
        self.asked.append(key_id)
        if self.hangs is not None:
            await self.hangs.wait()
        if self.status != 200:
            return web.json_response({"code": "x", "message": "x"}, status=self.status)
        if key_id not in self.keys:
            return web.json_response({"code": "not_found", "message": "no such key"}, status=404)
        return web.json_response(self.keys[key_id])


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that is its own authority, and its key: PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    x509.IPAddress(IPv4Address("127.0.0.1"))
    now = datetime.now(UTC)
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign",
         "encipher_only", "decipher_only"), False
    )  # fmt: skip
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, key_cert_sign=True, **usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(signed.public_bytes(Encoding.PEM))
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return cert_file, key_file


@pytest_asyncio.fixture
async def gateway(certificate: tuple[Path, Path], signers: dict[str, Signer]) -> AsyncIterator[Gateway]:
    """A gateway that knows the key ``k1`` (P-256, SPKI)."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    found = Gateway("", certificate[0])
    app = web.Application()
    app.router.add_get("/events/signature-keys/{key_id}", found.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    found.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    found.publish("k1", signers["p256"])
    yield found
    if found.hangs is not None:
        found.hangs.set()
    await runner.cleanup()


class CountingApiServer:
    """Answers 404 to the readiness question and 500 to everything else, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.kubeconfig: Path | None = None

    async def answer(self, request: web.Request) -> web.Response:
        """The HTTP handler."""
        if request.path.endswith("/x-readiness"):
            body = {"kind": "Status", "code": 404, "reason": "NotFound", "message": "not found"}
            return web.json_response(body, status=404)
        self.asked.append(f"{request.method} {request.path}")
        return web.json_response({"kind": "Status", "code": 500, "reason": "InternalError"}, status=500)


@pytest_asyncio.fixture
async def counting_api(tmp_path: Path, certificate: tuple[Path, Path]) -> AsyncIterator[CountingApiServer]:
    """Such a server, and a kubeconfig for it."""
    server = CountingApiServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    # Not needed for http, but without it the public CAs are loaded, which takes longer than the test.
    cluster = {
        "server": f"http://127.0.0.1:{runner.addresses[0][1]}",
        "certificate-authority": str(certificate[0]),
    }
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    server.kubeconfig = tmp_path / "kubeconfig"
    server.kubeconfig.write_text(json.dumps(config))
    yield server
    await runner.cleanup()


class Deliveries:
    """Talkdesk's side of a running webhook: signs and sends."""

    def __init__(self, http: httpx.AsyncClient, running: Webhook, signer: Signer) -> None:
        self.http = http
        self.running = running
        self.signer = signer
        self.url = f"http://127.0.0.1:{running.port}"

    async def send(
        self, body: Any, *, signature: str | None = None, key_id: str = "k1", **more: Any
    ) -> httpx.Response:
        """POST ``body`` (bytes, or anything JSON can hold), signed unless a ``signature`` is given."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {
            "X-Hub-Ecdsa-Signature": self.signer.sign(raw) if signature is None else signature,
            "X-Hub-Ecdsa-Signature-Id": key_id,
            "Content-Type": "application/json",
        } | more.pop("headers", {})
        return await self.http.post(f"{self.url}/events", content=raw, headers=headers, **more)

    async def metric(self, name: str, **labels: str) -> float:
        """A sample from ``/metrics``; 0.0 where there is none."""
        answer = await self.http.get(f"http://127.0.0.1:{self.running.metrics_port}/metrics")
        for family in text_string_to_metric_families(answer.text):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return float(sample.value)
        return 0.0


StartWebhook = Callable[..., Awaitable[Deliveries]]


@pytest_asyncio.fixture
async def start_webhook(gateway: Gateway, signers: dict[str, Signer]) -> AsyncIterator[StartWebhook]:
    """A function that starts the whole webhook against an API server, until the test ends."""
    trust = ssl.create_default_context(cafile=gateway.ca_file)  # far quicker to load than the public CAs
    async with AsyncExitStack() as stack:

        async def start(kubeconfig: Path, *, namespace: str = "td", **more: Any) -> Deliveries:
            values = {
                "namespace": namespace,
                "release": "td",
                "credentials_namespace": f"{namespace}-credentials",
                "pod_name": "webhook-0",
                "bind_address": "127.0.0.1",
                "port": 0,
                "metrics_port": 0,
                "kubeconfig": kubeconfig,
                "gateways": (gateway.url,),
                "ca_file": gateway.ca_file,
            }
            settings = WebhookSettings(**values | more)
            running = await stack.enter_async_context(webhook(settings, registry=CollectorRegistry()))
            http = await stack.enter_async_context(
                httpx.AsyncClient(verify=trust, trust_env=False, timeout=30)
            )
            return Deliveries(http, running, signers["p256"])

        yield start
