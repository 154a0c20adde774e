"""The real network: TLS with a private CA, behind a proxy that tunnels, on this machine."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import json
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from talkdesk_client import ClientOptions, TalkdeskClient, TransportError, UnexpectedAnswer, http_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

API, IDENTITY = "api.talkdesk.example", "acme.id.talkdesk.example"
TOKEN = "CANARY.token"


@dataclass(frozen=True)
class Authority:
    """A certificate authority of one test run and what it certified."""

    ca_file: Path
    context: ssl.SSLContext


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    directory = tmp_path_factory.mktemp("tls")
    now = datetime.now(UTC)

    def certificate(name: str, issuer: str, key: Any, *, ca: bool) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )

    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    ca = (
        certificate("CA", "CA", ca_key, ca=True)
        .add_extension(usage, critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    names = x509.SubjectAlternativeName([x509.DNSName(name) for name in (API, IDENTITY, "localhost")])
    leaf = (
        certificate("server", "CA", key, ca=False)
        .add_extension(names, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    ca_file, server = directory / "ca.pem", directory / "server.pem"
    ca_file.write_bytes(ca.public_bytes(Encoding.PEM))
    server.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + leaf.public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server)
    return Authority(ca_file=ca_file, context=context)


@contextlib.asynccontextmanager
async def _listening(handler: Any, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server on a free port; when the block ends, so have its connections."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        with contextlib.suppress(OSError, EOFError, asyncio.CancelledError, ssl.SSLError):
            await handler(reader, writer)
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass
class Origin:
    """Talkdesk, speaking HTTP/1.1: a token, then an installation."""

    heads: list[bytes] = field(default_factory=list)
    answers: list[bytes | None] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0"
            )
            await reader.readexactly(int(length.partition(b":")[2]))
            self.heads.append(head)
            writer.write(self._answer(head))
            await writer.drain()
            if self.answers and self.answers[0] is None:
                return

    def _answer(self, head: bytes) -> bytes:
        if head.startswith(b"POST /oauth/token"):
            return _http({"access_token": TOKEN, "expires_in": 600})
        if self.answers:
            return self.answers.pop(0) or b""
        return _http({"id": "installation-1"})


def _http(body: Any, status: str = "200 OK") -> bytes:
    content = json.dumps(body).encode()
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content


@dataclass
class Proxy:
    """A CONNECT proxy that sends every tunnel to one port."""

    port: int
    status: str = "200 Connection established"
    asked: list[str] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)
    #: Whether a tunnel has.
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n")[0].decode().split()
        assert method == "CONNECT"
        self.asked.append(target)
        self.heads.append(head)
        writer.write(f"HTTP/1.1 {self.status}\r\n\r\n".encode())
        await writer.drain()
        if not self.status.startswith("200"):
            return
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            await asyncio.wait(
                {
                    asyncio.ensure_future(_pump(reader, upstream_writer)),
                    asyncio.ensure_future(_pump(upstream_reader, writer)),
                },
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            upstream_writer.transport.abort()
            writer.transport.abort()
            self.ended.set()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()


@dataclass
class Network:
    origin: Origin
    proxy: Proxy
    proxy_url: str


@contextlib.asynccontextmanager
async def _network(authority: Authority, *, scheme: str) -> AsyncIterator[Network]:
    origin, to_proxy = Origin(), authority.context if scheme == "https" else None
    async with _listening(origin, tls=authority.context) as port:
        proxy = Proxy(port)
        async with _listening(proxy, tls=to_proxy) as proxy_port:
            yield Network(origin, proxy, f"{scheme}://localhost:{proxy_port}")


@pytest.fixture
async def network(authority: Authority) -> AsyncIterator[Network]:
    async with _network(authority, scheme="http") as network:
        yield network


@pytest.fixture
async def network_behind_tls(authority: Authority) -> AsyncIterator[Network]:
    """The proxy speaks TLS itself."""
    async with _network(authority, scheme="https") as network:
        yield network


OPTIONS = ClientOptions(retry_attempts=1, attempt_timeout=5.0)


async def test_requests_go_through_the_proxy_and_trust_the_given_authority_alone(
    network: Network, authority: Authority, ref: Any
) -> None:
    async with http_client(proxy=network.proxy_url, ca_file=authority.ca_file) as http:
        assert (await TalkdeskClient(http, OPTIONS).installation(ref)).id == "installation-1"
    assert network.proxy.asked == [f"{IDENTITY}:443", f"{API}:443"]
    assert f"authorization: bearer {TOKEN}".encode().lower() in network.origin.heads[-1].lower()


async def test_without_the_authority_nothing_is_sent(network: Network, ref: Any) -> None:
    async with http_client(proxy=network.proxy_url) as http:
        with pytest.raises(TransportError, match="certificate verify failed") as caught:
            await TalkdeskClient(http, OPTIONS).installation(ref)
    assert not caught.value.outcome_unknown
    assert network.origin.heads == []


async def test_a_certificate_for_another_host_is_refused(
    network: Network, authority: Authority, ref_with: Any
) -> None:
    foreign = ref_with(token_url="https://other.id.talkdesk.example/oauth/token")
    async with http_client(proxy=network.proxy_url, ca_file=authority.ca_file) as http:
        with pytest.raises(TransportError, match="certificate verify failed"):
            await TalkdeskClient(http, OPTIONS).installation(foreign)
    assert network.origin.heads == []


async def test_a_proxy_that_speaks_tls_is_trusted_by_the_given_authority_as_talkdesk_is(
    network_behind_tls: Network, authority: Authority, ref: Any
) -> None:
    network = network_behind_tls
    async with http_client(proxy=network.proxy_url, ca_file=authority.ca_file) as http:
        assert (await TalkdeskClient(http, OPTIONS).installation(ref)).id == "installation-1"
    assert network.proxy.asked == [f"{IDENTITY}:443", f"{API}:443"]


async def test_a_proxy_that_speaks_tls_is_asked_for_nothing_without_the_authority(
    network_behind_tls: Network, ref: Any
) -> None:
    async with http_client(proxy=network_behind_tls.proxy_url) as http:
        with pytest.raises(TransportError, match="certificate verify failed"):
            await TalkdeskClient(http, OPTIONS).installation(ref)
    assert network_behind_tls.proxy.asked == []


async def test_a_proxy_that_refuses_is_a_transport_error_and_nothing_was_sent(
    network: Network, authority: Authority, ref: Any
) -> None:
    network.proxy.status = "407 Proxy Authentication Required"
    async with http_client(proxy=network.proxy_url, ca_file=authority.ca_file) as http:
        with pytest.raises(TransportError, match="ProxyError"):
            await TalkdeskClient(http, OPTIONS).installation(ref)
    assert network.origin.heads == []


async def test_the_credentials_in_a_proxys_url_are_for_the_proxy_alone(
    network: Network, authority: Authority, ref: Any, debug_logs: pytest.LogCaptureFixture
) -> None:
    url = network.proxy_url.replace("://", "://someone:CANARY%40word@")
    async with http_client(proxy=url, ca_file=authority.ca_file) as http:
        assert (await TalkdeskClient(http, OPTIONS).installation(ref)).id == "installation-1"
    expected = b"proxy-authorization: basic " + base64.b64encode(b"someone:CANARY@word")
    assert [expected.lower() in head.lower() for head in network.proxy.heads] == [True, True]
    assert not any(b"proxy-authorization" in head.lower() for head in network.origin.heads)
    network.proxy.status = "407 Proxy Authentication Required"
    async with http_client(proxy=url, ca_file=authority.ca_file) as http:
        with pytest.raises(TransportError) as caught:
            await TalkdeskClient(http, OPTIONS).installation(ref)
    assert "CANARY" not in debug_logs.text + str(caught.value) + repr(http)


async def test_the_environments_proxies_and_authorities_are_ignored(
    network: Network, authority: Authority, ref: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
    async with http_client(proxy=network.proxy_url, ca_file=authority.ca_file) as http:
        await TalkdeskClient(http, OPTIONS).installation(ref)
    async with http_client(proxy=network.proxy_url) as http:
        with pytest.raises(TransportError, match="certificate verify failed"):
            await TalkdeskClient(http, OPTIONS).installation(ref)


async def test_a_connection_lost_after_a_change_was_sent_leaves_its_outcome_unknown(
    network: Network, authority: Authority, ref: Any
) -> None:
    network.origin.answers = [b"", None]
    async with http_client(proxy=network.proxy_url, ca_file=authority.ca_file) as http:
        with pytest.raises(TransportError) as caught:
            await TalkdeskClient(http, OPTIONS).answer(ref, "approve")
    assert caught.value.outcome_unknown
    assert sum(head.startswith(b"POST /apps/") for head in network.origin.heads) == 1


async def test_a_kept_connection_that_was_closed_meanwhile_is_not_asked_for_a_change(
    network: Network, authority: Authority, ref: Any
) -> None:
    """Two requests, of which Talkdesk closes each connection without a word."""
    network.origin.answers = [_http({"state": "completed"}), None]
    async with http_client(proxy=network.proxy_url, ca_file=authority.ca_file) as http:
        client = TalkdeskClient(http, OPTIONS)
        await client.answer(ref, "approve")
        network.origin.answers = [_http({"state": "completed"})]
        await asyncio.wait_for(network.proxy.ended.wait(), 10)
        for _ in range(100):  # each lets whatever has arrived be noticed
            await asyncio.sleep(0)
        await client.answer(ref, "approve")
    assert network.proxy.asked == [f"{IDENTITY}:443", f"{API}:443", f"{API}:443"]


async def test_an_answer_that_does_not_come_leaves_a_changes_outcome_unknown(
    network: Network, authority: Authority, ref: Any
) -> None:
    network.origin.answers = [b""]
    async with http_client(proxy=network.proxy_url, ca_file=authority.ca_file, timeout=0.3) as http:
        with pytest.raises(TransportError, match="ReadTimeout") as caught:
            await TalkdeskClient(http, OPTIONS).answer(ref, "approve")
    assert caught.value.outcome_unknown


async def test_a_host_that_takes_no_connection_in_time_was_sent_nothing(ref: Any) -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with _listening(silent) as port, http_client(proxy=f"http://127.0.0.1:{port}", timeout=0.3) as http:
        with pytest.raises(TransportError, match="ConnectTimeout") as caught:
            await TalkdeskClient(http, OPTIONS).answer(ref, "approve")
    assert not caught.value.outcome_unknown


async def test_an_answer_in_gzip_is_read_and_bounded_by_what_it_unfolds_to(
    network: Network, authority: Authority, ref: Any
) -> None:
    def packed(body: bytes) -> bytes:
        content = gzip.compress(body)
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(content)}\r\n\r\n"
        return head.encode() + content

    network.origin.answers = [packed(b'{"id": "installation-1"}'), packed(b" " * 50_000_000)]
    async with http_client(proxy=network.proxy_url, ca_file=authority.ca_file) as http:
        client = TalkdeskClient(http, OPTIONS)
        assert (await client.installation(ref)).id == "installation-1"
        with pytest.raises(UnexpectedAnswer, match="more than"):
            await client.installation(ref)
        network.origin.answers = []
        assert (await client.installation(ref)).id == "installation-1", "by another connection"


async def test_an_answer_that_is_no_http_is_an_error_and_a_changes_outcome_unknown(
    network: Network, authority: Authority, ref: Any
) -> None:
    network.origin.answers = [b"SSH-2.0-Talkdesk\r\n\r\n"]
    async with http_client(proxy=network.proxy_url, ca_file=authority.ca_file) as http:
        with pytest.raises(TransportError, match="RemoteProtocolError") as caught:
            await TalkdeskClient(http, OPTIONS).answer(ref, "approve")
    assert caught.value.outcome_unknown


async def test_cookies_of_one_customer_are_not_sent_for_another(
    network: Network, authority: Authority, ref: Any
) -> None:
    body = b'{"id": "installation-1"}'
    head = f"HTTP/1.1 200 OK\r\nSet-Cookie: crumb=1; Path=/\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    network.origin.answers = [head + body]
    async with http_client(proxy=network.proxy_url, ca_file=authority.ca_file) as http:
        client = TalkdeskClient(http, OPTIONS)
        await client.installation(ref)
        await client.installation(ref)
    assert not any(b"crumb" in head for head in network.origin.heads)


async def test_a_server_that_is_not_there_is_a_transport_error_of_a_request_never_sent(ref: Any) -> None:
    async with _listening(lambda *_: None) as port:
        pass
    async with http_client(proxy=f"http://127.0.0.1:{port}") as http:
        with pytest.raises(TransportError, match="ConnectError") as caught:
            await TalkdeskClient(http, OPTIONS).answer(ref, "approve")
    assert not caught.value.outcome_unknown


async def test_the_libraries_debug_logs_hold_no_secret_either(
    network: Network, authority: Authority, ref_with: Any, debug_logs: pytest.LogCaptureFixture
) -> None:
    ref = ref_with(client_secret="CANARY-secret")
    async with http_client(proxy=network.proxy_url, ca_file=authority.ca_file) as http:
        for method in ("client_secret_basic", "private_key_jwt"):
            await TalkdeskClient(http, ClientOptions(auth_method=method)).installation(ref)
    assert any(record.name.startswith("httpx") for record in debug_logs.records)
    assert "CANARY" not in debug_logs.text
    basic = next(head for head in network.origin.heads if b"basic " in head.lower())
    assert basic.lower().partition(b"basic ")[2].split(b"\r\n")[0].decode() not in debug_logs.text.lower()


@pytest.mark.parametrize(("ca_file", "kind"), [("missing.pem", OSError), ("empty.pem", ssl.SSLError)])
def test_an_authority_that_cannot_be_read_is_refused_at_the_start(
    tmp_path: Path, ca_file: str, kind: type[Exception]
) -> None:
    (tmp_path / "empty.pem").write_text("nothing here")
    with pytest.raises(kind):
        http_client(ca_file=tmp_path / ca_file)


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "127.0.0.1:3128"])
def test_a_proxy_that_is_no_http_url_is_refused_at_the_start(proxy: str) -> None:
    with pytest.raises(ValueError, match="proxy"):
        http_client(proxy=proxy)


async def test_every_timeout_is_set_and_redirects_are_off() -> None:
    async with http_client() as http:
        assert None not in (http.timeout.connect, http.timeout.read, http.timeout.write, http.timeout.pool)
        assert not http.follow_redirects
        assert not http.trust_env
    async with http_client(timeout=1.5) as http:
        assert http.timeout.read == 1.5
