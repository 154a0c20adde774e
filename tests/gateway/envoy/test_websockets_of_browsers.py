"""WebSockets of a real browser, by HTTP/2 over TLS, through a real Envoy and the real relay to an app."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from serving import serving
from talkdesk_gateway.envoy import EnvoySettings, write
from talkdesk_sandbox.certificates import Authority
from talkdesk_sandbox.chromium import chromium
from talkdesk_sandbox.envoy import EnvoyProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from playwright.async_api import Page

pytestmark = [
    pytest.mark.processes,
    pytest.mark.asyncio(loop_scope="module"),
    # Playwright leaves the pipes of its driver to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

HOST = "i1.apps.localhost"
#: Opens a WebSocket and says twice what it is to say; what came of it.
TALK = """async ([path, words, protocols]) => {
    const told = {protocol: null, extensions: null, heard: [], code: null, reason: null};
    const socket = new WebSocket("wss://" + location.host + path, protocols);
    window.told = told;
    socket.onopen = () => {
        told.protocol = socket.protocol;
        told.extensions = socket.extensions;
        for (let i = 0; i < 2; i++) socket.send(words);
    };
    socket.onmessage = event => told.heard.push(event.data);
    await new Promise(done => {
        socket.onclose = event => { told.code = event.code; told.reason = event.reason; done(); };
        socket.addEventListener("message", () => told.heard.length === 2 && done());
    });
    return told;
}"""


class App:
    """A tenant's app: ``/`` is a page, ``/echo`` says everything back, ``/200`` takes no WebSocket."""

    def __init__(self) -> None:
        self.port = 0
        self.seen: list[dict[str, str]] = []

    async def page(self, _: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><title>app</title>", content_type="text/html")

    async def echo(self, request: web.Request) -> web.StreamResponse:
        self.seen.append({name.lower(): value for name, value in request.headers.items()})
        answer = web.WebSocketResponse(protocols=["chat.v1"])
        await answer.prepare(request)
        async for message in answer:
            await answer.send_str(message.data)
        return answer


@asynccontextmanager
async def served() -> AsyncIterator[App]:
    app, http = App(), web.Application()
    http.add_routes([web.get("/", app.page), web.get("/200", app.page), web.get("/echo", app.echo)])
    async with serving(http) as app.port:
        yield app


@dataclasses.dataclass
class Opened:
    """A page of the tenant's in the browser, and all that is behind it."""

    page: Page
    envoy: EnvoyProcess
    app: App
    gateway: Any

    async def talk(self, path: str, words: str, *protocols: str) -> dict[str, Any]:
        """What came of a WebSocket of the page's."""
        asked = self.page.evaluate(TALK, [path, words, protocols])
        told: dict[str, Any] = await asyncio.wait_for(asked, 20)
        return told


@pytest.fixture
def opened(tmp_path: Path, deciding: Callable[..., Any]) -> Callable[[], Any]:
    """The gateway with TLS, and a signed-in browser at the tenant."""

    @asynccontextmanager
    async def make() -> AsyncIterator[Opened]:
        authority = Authority(tmp_path, name="test", now=datetime.now(UTC))
        authority.issue("tls", common_name=HOST, hosts=[HOST])
        async with (
            served() as app,
            deciding(serve=True, address="127.0.0.1", port=app.port, baseDomain="apps.localhost") as gateway,
        ):
            await gateway.users({"u1": "e1"}, host=HOST)
            await gateway.caught_up()
            gateway.host = HOST
            settings = EnvoySettings(
                bind_address="127.0.0.1",
                port=0,
                metrics_port=0,
                drain_port=0,
                pod_name=f"test-{secrets.token_hex(6)}",
                gateway_hosts="127.0.0.1",
                web_port=gateway.decision.port,  # nobody asks for its pages here
                decision_port=gateway.decision.port,
                relay_port=gateway.relay.port,
                tls_certificate=tmp_path / "tls.crt",
                tls_key=tmp_path / "tls.key",
            )
            write(settings, tmp_path / "envoy.json")
            with EnvoyProcess.start(tmp_path / "envoy.json", tmp_path / "envoy") as envoy:
                origin = f"https://{HOST}:{envoy.ports['public']}"
                gateway.judge.origin = lambda _: origin
                async with chromium() as browser:
                    context = await browser.new_context(ignore_https_errors=True)
                    pairs = [pair.split("=", 1) for pair in gateway.cookie().split("; ")]
                    await context.add_cookies(
                        [{"name": name, "value": value, "url": origin} for name, value in pairs]
                    )
                    page = await context.new_page()
                    answer = await page.goto(origin)
                    assert answer is not None
                    assert answer.status == 200
                    yield Opened(page, envoy, app, gateway)

    return make


async def by_http2(envoy: EnvoyProcess, number: int) -> bool:
    """So many WebSockets went to the relay, and all by HTTP/2."""
    deadline = asyncio.get_running_loop().time() + 10
    while len(logged := [line for line in envoy.access() if line["route"] == "relay"]) < number:
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.01)
    return [line["protocol"] for line in logged] == ["HTTP/2"] * number


async def test_a_browsers_websockets_over_http2_are_opened_and_ended_when_access_ends(opened: Any) -> None:
    async with opened() as it:
        for number in (1, 2):
            told = await it.talk("/echo", f"héllo {number}", "chat.v9", "chat.v1")
            assert (told["protocol"], told["heard"]) == ("chat.v1", [f"héllo {number}"] * 2)
            assert told["extensions"].startswith("permessage-deflate")
        assert [seen["x-td-user"] for seen in it.app.seen] == ["u1", "u1"]
        assert len({seen["sec-websocket-key"] for seen in it.app.seen}) == 2
        assert it.gateway.metrics.registry.get_sample_value("talkdesk_gateway_websockets") == 2
        await it.gateway.users({}, host=HOST)
        await it.page.wait_for_function("window.told.code !== null")
        assert await it.page.evaluate("[told.code, told.reason]") == [1008, "access ended: not-licensed"]
        assert await by_http2(it.envoy, 2)


async def test_what_an_app_answers_instead_of_a_websocket_opens_none_over_http2(opened: Any) -> None:
    async with opened() as it:
        for path in ("/200", "/nowhere"):
            told = await it.talk(path, "hello")
            assert (told["protocol"], told["heard"], told["code"]) == (None, [], 1006)
        assert await by_http2(it.envoy, 2)
