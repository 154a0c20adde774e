"""What flows: server-sent events, WebSockets, uploads and downloads, HTTP/2, TLS, and how it all ends."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from talkdesk_sandbox.certificates import Authority
from talkdesk_sandbox.envoy import EnvoyProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [pytest.mark.processes, pytest.mark.asyncio(loop_scope="module")]

HOST = "acme.apps.localhost"
MEGABYTE = b"x" * 1024 * 1024
NAVIGATION = {"sec-fetch-dest": "document", "accept": "text/html"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_edge(tmp_path_factory: pytest.TempPathFactory, edges: Any) -> AsyncIterator[Any]:
    """Whose streams are short-lived."""
    changes = {"event_stream_seconds": 1.5, "idle_seconds": 0.5, "stream_seconds": 30, "drain_seconds": 1.0}
    async with edges(tmp_path_factory.mktemp("envoy"), **changes) as edge:
        yield edge


async def test_events_arrive_one_by_one_and_their_stream_ends_in_time(edge: Any) -> None:
    tell: asyncio.Queue[bytes] = asyncio.Queue()

    async def events(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        while True:
            await response.write(await tell.get())

    edge.app.answer = events
    clock = asyncio.get_running_loop().time
    began = clock()
    headers = {"host": HOST, "accept": "text/event-stream"}
    async with edge.client.get(edge.url("/events"), headers=headers) as response:
        assert response.status == 200
        for number in range(3):
            tell.put_nowait(b"data: %d\n\n" % number)
            assert await asyncio.wait_for(response.content.readany(), 5) == b"data: %d\n\n" % number
        # Nothing is said for longer than any other request may be silent.
        with pytest.raises(aiohttp.ClientPayloadError):
            await asyncio.wait_for(response.content.readany(), 10)
        assert 1.4 < clock() - began < 5
    # A browser connects again, and is asked again who it is.
    asked = len(edge.decision.heard)
    edge.decision.answer = _refuse
    assert (await edge.get("/events", headers={"accept": "text/event-stream"})).status == 401
    assert len(edge.decision.heard) == asked + 1


async def _refuse(_: web.Request) -> web.StreamResponse:
    return web.Response(status=401, headers={"x-td-sign-in": "/_td/start"})


async def test_other_streams_go_on_while_something_is_said(edge: Any) -> None:
    clock = asyncio.get_running_loop().time

    async def slow(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        began = clock()
        while clock() - began < 2:
            await response.write(b"x")
            await asyncio.sleep(0.1)  # the app's own pace
        return response

    edge.app.answer = slow
    assert set((await edge.get()).body) == {ord("x")}


async def test_websockets_go_to_the_relay_which_decides_itself(edge: Any) -> None:
    async def echo(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.data == "end":
                await socket.close(code=1008, message=b"signed out")
            else:
                await socket.send_str(message.data * 2)
        return socket

    edge.relay.answer = echo
    async with edge.client.ws_connect(
        edge.url("/ws?x=1"), headers={"host": HOST, "cookie": "a=1"}, protocols=["v2", "v1"]
    ) as socket:
        await socket.send_str("hi")
        assert await socket.receive_str(timeout=5) == "hihi"
        await socket.send_str("x" * 500_000)
        assert len(await socket.receive_str(timeout=10)) == 1_000_000
        await socket.send_str("end")
        closing = await socket.receive(timeout=5)
        assert (closing.type, closing.data, closing.extra) == (aiohttp.WSMsgType.CLOSE, 1008, "signed out")
    (asked,) = edge.relay.heard
    assert asked.path == "/ws?x=1"
    assert asked.all("host") == [HOST]
    assert asked.all("cookie") == ["a=1"]
    assert asked.all("sec-websocket-protocol") == ["v2,v1"]
    assert edge.decision.heard == edge.app.heard == []


async def test_a_refusal_of_the_relay_reaches_the_client(edge: Any) -> None:
    edge.relay.answer = _refuse
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await edge.client.ws_connect(edge.url("/ws"), headers={"host": HOST})
    assert refused.value.status == 401


async def test_a_quiet_websocket_stays(edge: Any) -> None:
    async def wait(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data)
        return socket

    edge.relay.answer = wait
    async with edge.client.ws_connect(edge.url("/ws"), headers={"host": HOST}) as socket:
        with pytest.raises(asyncio.TimeoutError):  # three times what another request may be silent
            await socket.receive(timeout=1.5)
        await socket.send_str("still here")
        assert await socket.receive_str(timeout=5) == "still here"


async def _upload(edge: Any) -> int:
    received = 0

    async def take(request: web.Request) -> web.StreamResponse:
        nonlocal received
        async for piece in request.content.iter_any():
            received += len(piece)
        return web.Response(text=str(received))

    async def body() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield MEGABYTE

    edge.app.answer = take
    answer = await edge.request("POST", "/upload", data=body())
    assert answer.text == str(received)
    return received


async def _download(edge: Any, request: dict[str, str], **headers: str) -> int:
    async def give(asked: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={name.replace("_", "-"): value for name, value in headers.items()}
        )
        response.content_length = 200 * len(MEGABYTE)
        await response.prepare(asked)
        for _ in range(200):
            await response.write(MEGABYTE)
        return response

    edge.app.answer = give
    got = 0
    async with edge.client.get(edge.url("/download"), headers={"host": HOST, **request}) as response:
        async for piece in response.content.iter_any():
            got += len(piece)
    return got


async def test_200_megabytes_go_either_way_in_little_memory(edge: Any) -> None:
    edge.bar()
    await edge.get(headers=NAVIGATION)  # whatever is allocated once is there
    before = edge.envoy.resident_bytes()
    sizes = {
        "upload": await _upload(edge),
        "download": await _download(edge, {}),
        "download by a link": await _download(
            edge, NAVIGATION, content_type="text/html", content_disposition="attachment"
        ),
        "no download of HTML": await _download(edge, NAVIGATION, content_type="application/zip"),
    }
    assert set(sizes.values()) == {200 * len(MEGABYTE)}
    page = await _download(edge, NAVIGATION, content_type="text/html")
    assert page == 200 * len(MEGABYTE) + len('<script src="/_td/bar.js" defer></script>')
    grown = (edge.envoy.resident_bytes(peak=True) - before) / 1e6
    print(f"Envoy: {before / 1e6:.0f} MB before, {grown:.1f} MB more at the most")
    assert grown < 20


async def test_http2_by_prior_knowledge_is_spoken_to_the_client_alone(edge: Any) -> None:
    answer = await curl("--http2-prior-knowledge", "-H", f"host: {HOST}", edge.url("/a?b=c"))
    assert answer == "hello 2 200"
    assert edge.app.heard[0].path == "/a?b=c"
    assert edge.app.heard[0].all("x-td-user") == ["user-1"]


async def test_http2_clients_set_none_of_our_headers_either(edge: Any) -> None:
    evil = [
        part
        for name in ("x-td-user", "X_TD_USER", "x_td-user", "x-td-upstream")
        for part in ("-H", f"{name}: evil")
    ]
    answer = await curl("--http2-prior-knowledge", "-H", f"host: {HOST}", *evil, edge.url())
    assert answer == "hello 2 200"
    for server in (edge.decision, edge.app):
        assert not [pair for pair in server.heard[0].headers if "evil" in pair[1]]


async def test_many_cookie_headers_of_http2_are_one(edge: Any) -> None:
    cookies = ["-H", "cookie: a=1", "-H", "cookie: b=2"]
    await curl("--http2-prior-knowledge", "-H", f"host: {HOST}", *cookies, edge.url())
    assert edge.decision.heard[0].all("cookie") == ["a=1; b=2"]


async def curl(*arguments: str) -> str:
    """Body, HTTP version and status."""
    program = shutil.which("curl")
    assert program is not None, "curl is missing: apt-get install curl"
    words = [
        program,
        "--silent",
        "--show-error",
        "--max-time",
        "10",
        "--write-out",
        " %{http_version} %{http_code}",
    ]
    process = await asyncio.create_subprocess_exec(
        *words, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, problem = await process.communicate()
    assert process.returncode == 0, problem.decode()
    return out.decode()


async def test_tls_is_spoken_with_http2_and_a_new_certificate_is_taken_up(tmp_path: Path, edges: Any) -> None:
    def issue(name: str) -> Path:
        """An authority of its own, and the certificate where Envoy looks, changed as kubelet does."""
        folder = tmp_path / name
        folder.mkdir()
        authority = Authority(folder, name=name, now=datetime.now(UTC))
        authority.issue("tls", common_name=HOST, hosts=[HOST])
        link = tmp_path / "..new"
        link.symlink_to(folder)
        link.rename(tmp_path / "..data")
        return folder / "ca.crt"

    first = issue("first")
    mount = tmp_path / "mount"
    mount.mkdir()
    (tmp_path / "..data").rename(mount / "..data")
    for name in ("tls.crt", "tls.key"):
        (mount / name).symlink_to(f"..data/{name}")
    changes = {"tls_certificate": mount / "tls.crt", "tls_key": mount / "tls.key"}
    async with edges(tmp_path / "envoy", **changes) as edge:
        port = edge.envoy.ports["public"]
        ask = ["--resolve", f"{HOST}:{port}:127.0.0.1", f"https://{HOST}:{port}/"]
        assert await curl("--cacert", str(first), *ask) == "hello 2 200"
        assert await curl("--cacert", str(first), "--http1.1", *ask) == "hello 1.1 200"
        with pytest.raises(AssertionError, match="alert"):
            await curl("--cacert", str(first), "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0", *ask)
        second = issue("second")
        (tmp_path / "..data").rename(mount / "..data")
        trusts = ssl.create_default_context(cafile=second)

        async def taken_up() -> bool:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusts, server_hostname=HOST)
            except ssl.SSLCertVerificationError:
                return False
            writer.close()
            return True

        deadline = asyncio.get_running_loop().time() + 10
        while not await taken_up():
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.05)


async def test_draining_lets_requests_end_and_asks_connections_to(tmp_path: Path, edges: Any) -> None:
    async with edges(tmp_path / "envoy", drain_seconds=1.0) as edge:
        go_on = asyncio.Event()

        async def slow(request: web.Request) -> web.StreamResponse:
            if request.raw_path == "/slow":
                await go_on.wait()
            return web.Response(text="done")

        edge.app.answer = slow
        under_way = asyncio.create_task(edge.get("/slow"))
        await edge.eventually(lambda: edge.app.heard)
        clock = asyncio.get_running_loop().time
        began = clock()
        draining = asyncio.create_task(_drain(edge))
        closing = set()
        while not draining.done():
            closing.add((await edge.get()).headers.get("connection"))
        assert await draining == 200
        assert clock() - began >= 1.0
        assert "close" in closing, "clients were told to go"
        go_on.set()
        answer = await under_way
        assert (answer.status, answer.text) == (200, "done")


async def _drain(edge: Any) -> int:
    async with aiohttp.ClientSession() as kubelet:
        for wrong in ("/", "/quitquitquit"):
            async with kubelet.get(edge.envoy.url(wrong, listener="drain")) as response:
                assert response.status == 404
        async with kubelet.get(edge.envoy.url("/drain", listener="drain")) as response:
            return response.status


async def test_a_load_balancers_word_counts_as_far_as_it_is_trusted(tmp_path: Path, edges: Any) -> None:
    async with edges(tmp_path / "envoy", trusted_hops=1) as edge:
        await edge.get(headers={"x-forwarded-for": "6.6.6.6, 203.0.113.9", "x-forwarded-proto": "http"})
        (got,) = edge.app.heard
        assert got.all("x-forwarded-for") == ["203.0.113.9"]
        assert got.all("x-forwarded-proto") == ["https"]


async def test_where_browsers_come_by_http_nothing_is_said_of_https(tmp_path: Path, edges: Any) -> None:
    async with edges(tmp_path / "envoy", public_scheme="http", public_port=8000) as edge:
        answer = await edge.get()
        assert "strict-transport-security" not in answer.headers
        assert edge.app.heard[0].all("x-forwarded-proto") == ["http"]
        assert edge.app.heard[0].all("host") == [f"{HOST}:8000"]


async def test_connections_beyond_the_limit_are_refused_but_probes_are_answered(
    tmp_path: Path, edges: Any
) -> None:
    async with edges(tmp_path / "envoy", max_connections=3) as edge:
        port = edge.envoy.ports["public"]
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        active = "^http.public.downstream_cx_active$"
        await edge.eventually(lambda: sum(edge.envoy.stats(active).values()) == 3)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        async with edge.client.get(edge.envoy.url("/ready", listener="metrics")) as response:
            assert response.status == 200
        for _, each in held:
            each.close()
        await edge.eventually(lambda: sum(edge.envoy.stats(active).values()) == 0)
        assert (await edge.get()).status == 200


def http2_client(port: int) -> dict[str, Any]:
    """Another Envoy that makes HTTP/2 of all that it gets, WebSockets included, as browsers do over TLS."""
    kind = "type.googleapis.com/envoy.extensions"
    manager = {
        "@type": f"{kind}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "front",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "http_filters": [
            {"name": "router", "typed_config": {"@type": f"{kind}.filters.http.router.v3.Router"}}
        ],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "edge", "timeout": "0s"}}],
                }
            ]
        },
    }
    options = {
        "@type": f"{kind}.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {"allow_connect": True}},
    }
    where = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    return {
        "admin": {"address": {"pipe": {"path": f"@front-{port}"}}},
        "static_resources": {
            "listeners": [
                {
                    "name": "public",
                    "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
                    "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
                }
            ],
            "clusters": [
                {
                    "name": "edge",
                    "type": "STATIC",
                    "typed_extension_protocol_options": {
                        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options
                    },
                    "load_assignment": {
                        "cluster_name": "edge",
                        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": where}}]}],
                    },
                }
            ],
        },
    }


async def test_websockets_over_http2_go_to_the_relay_too(edge: Any, tmp_path: Path) -> None:
    async def echo(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data * 2)
            await socket.close(code=1008, message=b"signed out")
        return socket

    edge.relay.answer = echo
    with EnvoyProcess.start(http2_client(edge.envoy.ports["public"]), tmp_path) as front:
        async with edge.client.ws_connect(front.url("/ws?x=1"), headers={"host": HOST}) as socket:
            await socket.send_str("hi")
            assert await socket.receive_str(timeout=5) == "hihi"
            closing = await socket.receive(timeout=5)
            assert (closing.type, closing.data) == (aiohttp.WSMsgType.CLOSE, 1008)
        assert front.stats("cluster.edge.upstream_cx_http2_total").popitem()[1] == 1
    (asked,) = edge.relay.heard
    assert (asked.method, asked.path, asked.all("upgrade")) == ("GET", "/ws?x=1", ["websocket"])
    assert edge.decision.heard == edge.app.heard == []
    logged = await edge.eventually(
        lambda: [
            line for line in edge.envoy.access() if line["route"] == "relay" and line["protocol"] == "HTTP/2"
        ]
    )
    assert len(logged) == 1
