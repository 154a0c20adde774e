"""WebSockets through the relay, between a real client and a real app: carried as they are, ended at once."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import hashlib
import json
import re
import struct
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import WSMsgType, web
from joserfc.jwk import OctKey
from pydantic import SecretStr

from serving import serving
from talkdesk_crds import key_ring, names
from talkdesk_gateway import relay as relay_module
from talkdesk_kube.resources import INSTALLATIONS, SECRETS, SERVICES, USER_SLICES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ORIGIN = "https://i1.apps.example.com"
#: RFC 6455: what a server's answer proves the handshake with.
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
HANDSHAKE = (
    "GET /echo HTTP/1.1",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


class App:
    """A tenant's app: ``/echo`` says everything back, ``/slow`` may not read; it remembers the ends."""

    def __init__(self) -> None:
        self.port = 0
        self.seen: list[dict[str, str]] = []
        self.closed: asyncio.Queue[int | None] = asyncio.Queue()
        self.heard = 0
        self.may_read = asyncio.Event()
        self.may_read.set()

    async def echo(self, request: web.Request) -> web.StreamResponse:
        self.seen.append({name.lower(): value for name, value in request.headers.items()})
        answer = web.WebSocketResponse(protocols=["chat.v2", "chat.v1"], autoping=True, max_msg_size=0)
        await answer.prepare(request)
        async for message in answer:
            self.heard += 1
            if message.type is WSMsgType.TEXT:
                if message.data == "bye":
                    await answer.close(code=4001, message=b"as you wish")
                    break
                await answer.send_str(message.data)
            else:
                await answer.send_bytes(message.data)
        self.closed.put_nowait(answer.close_code)
        return answer

    async def slow(self, request: web.Request) -> web.StreamResponse:
        answer = web.WebSocketResponse(max_msg_size=0)
        await answer.prepare(request)
        await self.may_read.wait()
        async for _ in answer:
            self.heard += 1
        return answer

    async def no(self, _: web.Request) -> web.Response:
        return web.Response(status=418, text="I take no sockets", headers={"x-td-sign-in": "/evil"})

    async def endless(self, request: web.Request) -> web.StreamResponse:
        """Takes no socket either, and answers with a stream."""
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        try:
            while True:
                await answer.write(b"data: more\n\n")
                await asyncio.sleep(0.01)
        except ConnectionError:
            return answer
        finally:
            self.closed.put_nowait(None)


@asynccontextmanager
async def served() -> AsyncIterator[App]:
    app, http = App(), web.Application()
    http.add_routes([web.get("/echo", app.echo), web.get("/slow", app.slow), web.get("/no", app.no)])
    http.add_routes([web.get("/endless", app.endless)])
    async with serving(http) as app.port:
        yield app


class Through:
    """A browser in front of the relay."""

    def __init__(self, it: Any, app: App, http: aiohttp.ClientSession) -> None:
        self.it, self.app, self.http = it, app, http

    async def connect(self, path: str = "/echo", *, cookie: str = "", **more: Any) -> Any:
        headers = {"Host": self.it.host, "Origin": ORIGIN, "Cookie": cookie or self.it.cookie()}
        headers |= more.pop("headers", {})
        url = f"ws://127.0.0.1:{self.it.relay.port}{path}"
        return await self.http.ws_connect(url, headers=headers, max_msg_size=0, **more)

    def count(self, name: str, **labels: str) -> float:
        return float(self.it.metrics.registry.get_sample_value(name, labels) or 0)


@pytest.fixture
def through(edge: Any) -> Any:
    @asynccontextmanager
    async def make() -> AsyncIterator[Through]:
        jar = aiohttp.DummyCookieJar()
        async with (
            served() as app,
            edge(serve=True, address="127.0.0.1", port=app.port) as it,
            aiohttp.ClientSession(cookie_jar=jar) as http,
        ):
            yield Through(it, app, http)

    return make


async def closing(socket: Any) -> int | None:
    """The code that the client hears, at most 5 s from now; None where the connection broke off."""
    async with asyncio.timeout(5):
        while True:
            message = await socket.receive()
            if message.type in {WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.ERROR}:
                code: int | None = socket.close_code
                return code


async def test_texts_bytes_and_subprotocols_go_both_ways(through: Any) -> None:
    async with through() as it:
        socket = await it.connect(protocols=["chat.v1", "chat.v2"])
        assert socket.protocol == "chat.v1"
        await socket.send_str("héllo")
        assert await socket.receive_str() == "héllo"
        await socket.send_bytes(bytes(range(256)) * 4096)
        assert await socket.receive_bytes() == bytes(range(256)) * 4096
        assert it.count("talkdesk_gateway_websockets") == 1
        await socket.close(code=4000)
        assert await asyncio.wait_for(it.app.closed.get(), 5) == 4000


async def test_compression_is_between_the_two_ends(through: Any) -> None:
    async with through() as it:
        socket = await it.connect(compress=15)
        assert socket.compress == 15
        await socket.send_str("again " * 10_000)
        assert await socket.receive_str() == "again " * 10_000
        await socket.close()


async def test_the_apps_own_close_code_reaches_the_client(through: Any) -> None:
    async with through() as it:
        socket = await it.connect()
        await socket.send_str("bye")
        assert await closing(socket) == 4001


async def test_pings_are_answered_by_the_app(through: Any) -> None:
    async with through() as it:
        socket = await it.connect(autoping=False)
        await socket.ping(b"are you there?")
        message = await asyncio.wait_for(socket.receive(), 5)
        assert (message.type, message.data) == (WSMsgType.PONG, b"are you there?")
        await socket.close()


async def test_the_app_is_told_who_it_is_and_gets_nothing_that_is_ours(through: Any) -> None:
    async with through() as it:
        socket = await it.connect(
            cookie=f"theme=dark; {it.it.cookie()}",
            headers={"X-Td-User": "root", "x_td_role": "admin", "x-td-upstream": "10.9.9.9:1"},
        )
        await socket.close()
        seen = it.app.seen[0]
        assert (seen["x-td-user"], seen["x-td-role"], seen["x-td-name"]) == ("u1", "user", "User%20u1")
        assert seen["x-td-identity"].count(".") == 2
        assert (seen["cookie"], seen["host"], seen["origin"]) == ("theme=dark", it.it.host, ORIGIN)
        assert "x_td_role" not in seen
        assert "x-td-upstream" not in seen


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("removed", 1008),
        ("signed out", 1008),
        ("suspended", 1008),
        ("uninstalled", 1008),
        ("deleted", 1008),
        ("slice deleted", 1008),
        ("service deleted", 1008),
        ("service moved", 1012),
    ],
)
async def test_whatever_ends_access_closes_both_ends_at_once(through: Any, change: str, code: int) -> None:
    async with through() as it:
        socket = await it.connect()
        await socket.send_str("still here")
        assert await socket.receive_str() == "still here"
        edge = it.it
        left = {"at": "2026-01-06T10:00:00.000000Z", "rank": 90, "event": "e-2"}
        match change:
            case "removed":
                await edge.users({"u2": "e1"})
            case "signed out":
                await edge.users({"u1": "e2"})
            case "suspended":
                await edge.users({"u1": "e1"}, access="Refused")
            case "uninstalled":
                await edge.users({"u1": "e1"}, talkdesk={"uninstalled": left})
            case "deleted":
                await edge.server.delete(INSTALLATIONS, "i1")
            case "slice deleted":
                await edge.server.delete(USER_SLICES, "i1-1-0")
            case "service deleted":
                await edge.server.delete(SERVICES, "web", namespace="td-i1")
            case "service moved":
                await edge.server.put(edge.objects.service(address="127.0.0.9", port=it.app.port))
        assert await closing(socket) == code
        assert await asyncio.wait_for(it.app.closed.get(), 5) == code


async def test_another_users_removal_and_other_installations_changes_leave_it_open(through: Any) -> None:
    async with through() as it:
        socket = await it.connect()
        await it.it.users({"u1": "e1", "u2": "e2"})
        await it.it.users({"u1": "e1"})
        await it.it.server.put(it.it.objects.user_slice("i2", {}))
        await it.it.caught_up()
        await socket.send_str("still here")
        assert await socket.receive_str() == "still here"
        await socket.close()


@pytest.mark.parametrize("made_anew", [False, True])
async def test_whoever_takes_the_session_keys_away_closes_both_ends_at_once(
    through: Any, made_anew: bool
) -> None:
    async with through() as it:
        socket, edge = await it.connect(), it.it
        if made_anew:
            edge.session_key = OctKey.generate_key(256).as_dict(private=True)
            await edge.make_keys()
        else:
            await edge.server.delete(SECRETS, names.session_keys_name("td"))
        assert await closing(socket) == 1008
        assert await asyncio.wait_for(it.app.closed.get(), 5) == 1008


async def test_a_routine_turn_of_the_keys_leaves_it_open(through: Any) -> None:
    async with through() as it:
        socket, edge = await it.connect(), it.it
        ring = edge.keys.session_keys()
        jwk = SecretStr(json.dumps(OctKey.generate_key(256).as_dict(private=True)))
        await edge.put_session_keys((*ring, key_ring.Key("k2", edge.now, jwk)))
        await edge.caught_up()
        assert [key.id for key in edge.keys.session_keys()] == ["k1", "k2"]
        await socket.send_str("still here")
        assert await socket.receive_str() == "still here"
        await socket.close()


async def test_the_end_of_the_session_ends_it_without_any_change(through: Any) -> None:
    async with through() as it:
        almost = it.it.now - timedelta(days=7) + timedelta(milliseconds=200)
        cookie = it.it.cookie(it.it.session(began=almost))
        socket = await it.connect(cookie=cookie)
        it.it.now += timedelta(milliseconds=200)
        assert await closing(socket) == 1008


async def test_where_only_the_idle_limit_passed_the_client_is_asked_to_connect_again(through: Any) -> None:
    async with through() as it:
        edge = it.it
        almost = edge.now - timedelta(hours=12) + timedelta(milliseconds=200)
        session = edge.session(began=almost, used=almost)
        socket = await it.connect(cookie=edge.cookie(session))
        edge.now += timedelta(milliseconds=200)
        assert await closing(socket) == 1012
        # Used meanwhile, by pages and requests beside it: the newer cookie opens it again. Else nothing does.
        again = await it.connect(cookie=edge.cookie(dataclasses.replace(session, used=edge.now)))
        await again.close()
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await it.connect(cookie=edge.cookie(session))
        assert refused.value.status == 401


async def test_silence_of_kubernetes_ends_it_after_the_stated_time(
    through: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "LOOK_SECONDS", 0.05)
    async with through() as it:
        socket = await it.connect()
        it.it.silence += 10**6
        assert await closing(socket) == 1008


async def test_it_ends_while_messages_stream_both_ways_with_the_close_between_two_frames(
    through: Any,
) -> None:
    async with through() as it:
        socket = await it.connect()
        heard = 0

        async def talk() -> None:
            for number in range(100_000):
                await socket.send_bytes(number.to_bytes(4, "big") * 5000)

        talking = asyncio.create_task(talk())
        async with asyncio.timeout(10):
            while heard < 50:
                message = await socket.receive()
                assert message.data == heard.to_bytes(4, "big") * 5000
                heard += 1
            await it.it.users({})
            while (message := await socket.receive()).type is WSMsgType.BINARY:
                assert message.data == heard.to_bytes(4, "big") * 5000
                heard += 1
        assert (message.type, message.data) == (WSMsgType.CLOSE, 1008)
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)
        assert await asyncio.wait_for(it.app.closed.get(), 5) == 1008


async def test_an_app_that_does_not_read_holds_the_client_back(through: Any) -> None:
    async with through() as it:
        it.app.may_read.clear()
        socket = await it.connect("/slow")
        sent = 0

        async def talk() -> None:
            nonlocal sent
            for _ in range(4096):
                await socket.send_bytes(b"x" * 65536)
                sent += 1

        talking = asyncio.create_task(talk())
        before = -1
        async with asyncio.timeout(20):
            while sent == 0 or sent != before:
                before = sent
                await asyncio.sleep(0.2)
        assert sent < 1024, "256 MiB did not go anywhere"
        it.app.may_read.set()
        await asyncio.wait_for(talking, 20)
        await socket.close()


@pytest.mark.parametrize(
    ("headers", "cookie", "status"),
    [
        ({"Origin": "https://i2.apps.example.com"}, "", 403),
        ({"Origin": "null"}, "", 403),
        ({}, "none=1", 401),
        ({"Host": "elsewhere.example.com"}, "", 404),
    ],
)
async def test_a_handshake_that_may_not_be_is_answered_and_the_app_never_hears_of_it(
    through: Any, headers: dict[str, str], cookie: str, status: int
) -> None:
    async with through() as it:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await it.connect(cookie=cookie, headers=headers)
        assert refused.value.status == status
        assert it.app.seen == []
        if status == 401:
            assert refused.value.headers is not None
            assert refused.value.headers["x-td-sign-in"] == "/_td/start"


async def test_an_upgrade_without_origin_is_refused(through: Any) -> None:
    async with through() as it:
        reader, writer = await asyncio.open_connection("127.0.0.1", it.it.relay.port)
        lines = [*HANDSHAKE, f"Host: {it.it.host}", f"Cookie: {it.it.cookie()}"]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.1 403 ")
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\nHost: i1.apps.example.com\r\n\r\n",
        b"POST / HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nContent-Length: 5\r\n\r\nhello",
        b"GET / HTTP/1.1\r\nUpgrade: h2c\r\nSec-WebSocket-Key: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Key: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nbroken\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"x: " + b"y" * 200_000 + b"\r\n\r\n",
    ],
)
async def test_what_is_no_handshake_is_answered_400(through: Any, raw: bytes) -> None:
    async with through() as it:
        reader, writer = await asyncio.open_connection("127.0.0.1", it.it.relay.port)
        writer.write(raw)
        assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 400 ")
        writer.close()
        await writer.wait_closed()


async def test_an_app_that_takes_no_websocket_answers_for_itself(through: Any) -> None:
    async with through() as it:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await it.connect("/no")
        assert refused.value.status == 418
        assert refused.value.headers is not None
        assert "x-td-sign-in" not in refused.value.headers


@asynccontextmanager
async def spoken(
    it: Through, *answers: str, heads: list[str] | None = None, accept: str = ""
) -> AsyncIterator[asyncio.Queue[bytes]]:
    """The tenant's app says these heads to a handshake; the queue gets what it hears until it is left.

    ``heads`` gets the handshake; ``accept`` is what to prove it with instead of the truth.
    """
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        key = re.search(r"(?i)^sec-websocket-key: (\S+)", request, re.MULTILINE)
        assert key is not None
        if heads is not None:
            heads.append(request)
        proof = base64.b64encode(hashlib.sha1(f"{key[1]}{GUID}".encode()).digest()).decode()  # noqa: S324 -- RFC 6455
        for answer in answers:
            lines = [f"HTTP/1.1 {answer}"]
            if answer.startswith("101"):
                lines += ["Connection: Upgrade", "Upgrade: websocket"]
                lines.append(f"Sec-WebSocket-Accept: {accept or proof}")
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        heard.put_nowait(await reader.read())
        writer.close()

    server = await asyncio.start_server(say, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await it.it.server.put(it.it.objects.app(service={"name": "web", "port": port}))
    await it.it.server.put(it.it.objects.service(address="127.0.0.1", port=port))
    await it.it.caught_up()
    async with server:
        yield heard


async def handshake(
    it: Through, *more: str, then: bytes = b"", of: tuple[str, ...] = HANDSHAKE
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A handshake by hand, ``more`` lines in it, and ``then`` in the same breath."""
    reader, writer = await asyncio.open_connection("127.0.0.1", it.it.relay.port)
    lines = [*of, f"Host: {it.it.host}", f"Origin: {ORIGIN}", f"Cookie: {it.it.cookie()}", *more]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + then)
    return reader, writer


#: As Envoy makes one of a browser's over HTTP/2 (RFC 8441), which has no key.
#: A masked frame with two bytes.
HI = b"\x82\x82abcdhi"
KEYLESS = ("GET /echo HTTP/1.1", "Content-Length: 0", "Connection: Upgrade", "Upgrade: websocket")


@pytest.mark.parametrize("version", ["", "Sec-WebSocket-Version: 13"])
async def test_a_handshake_without_a_key_gets_one_towards_the_app(through: Any, version: str) -> None:
    heads: list[str] = []
    more = ("Sec-WebSocket-Protocol: chat.v1", "Sec-WebSocket-Extensions: permessage-deflate")
    told = "101 Switching Protocols\r\nSec-WebSocket-Protocol: chat.v1"
    async with through() as it, spoken(it, told, heads=heads) as heard:
        for _ in range(2):
            lines = more if not version else (*more, version)
            reader, writer = await handshake(it, *lines, of=KEYLESS, then=HI)
            async with asyncio.timeout(5):
                answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                assert answer.startswith("http/1.1 101 ")
                assert "sec-websocket-accept" not in answer, "it answers what the client did not ask"
                assert "\r\nsec-websocket-protocol: chat.v1\r\n" in answer
                writer.write_eof()
                assert await heard.get() == HI
            writer.close()
    keys = [re.findall(r"(?im)^sec-websocket-key: (\S+)\r$", head) for head in heads]
    assert [len(base64.b64decode(key)) for (key,) in keys] == [16, 16]
    assert keys[0] != keys[1]
    for head in heads:
        assert re.findall(r"(?im)^sec-websocket-version: (.*)\r$", head) == ["13"]
        assert "permessage-deflate" in head


@pytest.mark.parametrize(
    ("answer", "accept"),
    [
        ("101 Switching Protocols", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ("101 Switching Protocols\r\nSec-WebSocket-Accept: x", ""),
        # To a client over HTTP/2 any 2xx says that the WebSocket is open.
        ("200 OK\r\nContent-Length: 0", ""),
        ("204 No Content", ""),
    ],
)
async def test_an_app_that_does_not_prove_that_it_took_our_key_is_a_503(
    through: Any, answer: str, accept: str
) -> None:
    async with through() as it, spoken(it, answer, accept=accept):
        reader, writer = await handshake(it, of=KEYLESS)
        assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.1 503 ")
        writer.close()
        await writer.wait_closed()


async def test_a_refusal_of_the_apps_reaches_a_client_without_a_key(through: Any) -> None:
    async with through() as it, spoken(it, "418 I'm a Teapot\r\nContent-Length: 0"):
        reader, writer = await handshake(it, of=KEYLESS)
        assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 418 ")
        writer.close()
        await writer.wait_closed()


EARLY = ("103 Early Hints\r\nLink: </style.css>", "102 Processing", "100 Continue")


async def test_a_websocket_is_looked_after_although_its_app_said_something_before_it(through: Any) -> None:
    async with through() as it, spoken(it, *EARLY, "101 Switching Protocols"):
        reader, writer = await handshake(it)
        async with asyncio.timeout(5):
            await reader.readuntil(b"HTTP/1.1 101 Switching Protocols\r\n")
            await reader.readuntil(b"\r\n\r\n")
            assert it.count("talkdesk_gateway_websockets") == 1
            await it.it.users({})
            frame = await reader.readexactly(4)
        assert (frame[0], struct.unpack(">H", frame[2:])) == (0x88, (1008,))
        writer.close()


async def test_an_app_that_says_much_before_its_answer_is_a_503(through: Any) -> None:
    async with through() as it, spoken(it, *EARLY * 3, "101 Switching Protocols"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await it.connect()
        assert refused.value.status == 503


async def test_an_app_that_takes_no_websocket_hears_nothing_that_follows_the_handshake(through: Any) -> None:
    async with through() as it, spoken(it, "200 OK\r\nContent-Length: 0") as heard:
        second = b"GET /admin HTTP/1.1\r\nHost: x\r\nx-td-role: admin\r\n\r\n"
        reader, writer = await handshake(it, then=second)
        async with asyncio.timeout(5):
            assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
            writer.write(second)
            writer.write_eof()
            await reader.read()
            assert await heard.get() == b""
        writer.close()
        await writer.wait_closed()


async def streaming(it: Through) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A handshake that the app answers with a stream, which has begun."""
    reader, writer = await handshake(it, of=("GET /endless HTTP/1.1", *HANDSHAKE[1:]))
    async with asyncio.timeout(5):
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        await reader.readuntil(b"data: more")
    return reader, writer


@pytest.mark.parametrize("change", ["removed", "signed out", "suspended", "keys deleted", "gateway ends"])
async def test_a_stream_that_an_app_answers_a_handshake_with_is_cut_when_access_ends(
    through: Any, change: str
) -> None:
    async with through() as it, asyncio.TaskGroup() as beside:
        reader, writer = await streaming(it)
        match change:
            case "removed":
                await it.it.users({})
            case "signed out":
                await it.it.users({"u1": "e2"})
            case "suspended":
                await it.it.users({"u1": "e1"}, access="Refused")
            case "keys deleted":
                await it.it.server.delete(SECRETS, names.session_keys_name("td"))
            case "gateway ends":
                beside.create_task(it.it.relay.close())
        rest = await asyncio.wait_for(reader.read(), 1)
        # Neither said to be whole nor followed by a frame: to this client it was never a WebSocket.
        assert not rest.endswith(b"\r\n0\r\n\r\n")
        assert b"\x88" not in rest
        await asyncio.wait_for(it.app.closed.get(), 5)
        writer.close()


async def test_a_stream_that_an_app_answers_a_handshake_with_has_a_longest_life(
    through: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "ANSWER_SECONDS", 0.2)
    async with through() as it:
        reader, writer = await streaming(it)
        await asyncio.wait_for(reader.read(), 5)
        await asyncio.wait_for(it.app.closed.get(), 5)
        writer.close()


async def test_an_app_that_is_not_there_is_a_503_with_a_page(through: Any) -> None:
    async with through() as it:
        await it.it.server.put(it.it.objects.app(service={"name": "web", "port": 1}))
        await it.it.server.put(it.it.objects.service(address="127.0.0.1", port=1))
        await it.it.caught_up()
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await it.connect()
        assert refused.value.status == 503


async def test_when_the_gateway_ends_both_ends_are_told_that_it_goes_away(through: Any) -> None:
    async with through() as it:
        socket = await it.connect()
        ending = asyncio.create_task(it.it.relay.close())
        assert await closing(socket) == 1001
        assert await asyncio.wait_for(it.app.closed.get(), 5) == 1001
        await asyncio.wait_for(ending, 5)
