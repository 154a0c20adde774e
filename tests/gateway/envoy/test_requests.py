"""What Envoy does with a request: who is asked, what the app gets of it, and what nobody may send."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

pytestmark = [pytest.mark.processes, pytest.mark.asyncio(loop_scope="module")]

HOST = "acme.apps.localhost"


def answering(
    status: int, text: str = "", **headers: str
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """A server that always answers this; ``_`` in names stands for ``-``."""

    async def answer(_: web.Request) -> web.Response:
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, text=text, headers=told, content_type="text/html")

    return answer


async def raw(edge: Any, request: str) -> str:
    """What comes back for these very bytes, until Envoy closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.envoy.ports["public"])
    writer.write(request.encode("latin-1"))
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    await writer.wait_closed()
    return answer.decode("latin-1")


async def test_the_decision_is_asked_with_the_whole_path_and_the_app_gets_what_it_says(edge: Any) -> None:
    answer = await edge.get("/a/b%2Fc//d?x=1&y=%20", headers={"cookie": "a=1", "origin": "https://x.example"})
    assert (answer.status, answer.text) == (200, "hello")
    (asked,) = edge.decision.heard
    assert (asked.method, asked.path) == ("GET", "/decide/a/b%2Fc//d?x=1&y=%20")
    assert asked.all("host") == [HOST]
    assert asked.all("cookie") == ["a=1"]
    assert asked.all("origin") == ["https://x.example"]
    assert asked.all("x-request-id") == [answer.headers["x-request-id"]]
    (got,) = edge.app.heard
    assert got.path == "/a/b%2Fc//d?x=1&y=%20"
    assert got.all("x-td-user") == ["user-1"]
    assert got.all("x-td-name") == ["Ada%20L."]
    assert got.all("x-td-email") == [""]
    for ours in ("x-td-upstream", "x-td-bar", "x-td-bar-csp", "x-td-status"):
        assert got.all(ours) == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_every_method_is_decided_upon(edge: Any, method: str) -> None:
    edge.decision.answer = answering(403, "no")
    answer = await edge.request(method, "/x", headers={"access-control-request-method": "PUT"})
    assert answer.status == 403
    assert [heard.method for heard in edge.decision.heard] == [method]
    assert edge.app.heard == []


async def test_a_gateway_that_pauses_is_waited_for(edge: Any) -> None:
    usual = edge.decision.answer

    async def after_a_pause(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.5)  # the gateway's pause: half of what one try may take
        answer: web.StreamResponse = await usual(request)
        return answer

    edge.decision.answer = after_a_pause
    answer = await edge.get()
    assert (answer.status, answer.text) == (200, "hello")
    assert len(edge.decision.heard) == 1


async def test_a_gateway_that_hangs_costs_a_third_of_the_patience_before_another_is_asked(edge: Any) -> None:
    usual, go_on = edge.decision.answer, asyncio.Event()

    async def hangs_once(request: web.Request) -> web.StreamResponse:
        if len(edge.decision.heard) == 1:
            await go_on.wait()
        answer: web.StreamResponse = await usual(request)
        return answer

    edge.decision.answer = hangs_once
    began = asyncio.get_running_loop().time()
    try:
        answer = await edge.get()
    finally:
        go_on.set()
    assert (answer.status, answer.text) == (200, "hello")
    assert len(edge.decision.heard) == 2
    assert len(edge.app.heard) == 1
    assert asyncio.get_running_loop().time() - began < 2


async def test_a_method_that_nobody_knows_is_decided_upon_too(edge: Any) -> None:
    edge.decision.answer = answering(403, "no")
    answer = await raw(edge, f"PURGE /x HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n")
    assert " 403 " in answer.splitlines()[0]
    assert edge.app.heard == []


async def test_a_tunnel_is_opened_to_nowhere(edge: Any) -> None:
    answer = await raw(edge, "CONNECT 127.0.0.1:22 HTTP/1.1\r\nhost: 127.0.0.1:22\r\n\r\n")
    assert " 404 " in answer.splitlines()[0]
    assert edge.decision.heard == edge.app.heard == edge.relay.heard == []


IDENTITY = ("x-td-user", "x-td-identity", "x-td-upstream", "x-td-bar", "x-td-status", "x-td-role")
SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": lambda name: f"{name}: evil",
    "upper case": lambda name: f"{name.upper()}: evil",
    "mixed case": lambda name: f"{name.title()}: evil",
    "twice": lambda name: f"{name}: evil\r\n{name}: evil2",
    "empty first": lambda name: f"{name}:\r\n{name}: evil",
    "underscores": lambda name: f"{name.replace('-', '_')}: evil",
    "some underscores": lambda name: f"{name.replace('-', '_', 1)}: evil\r\nX_TD-USER: evil",
    "another name of ours": lambda name: f"{name}-more: evil",
    "named by connection": lambda name: f"connection: {name}, close\r\n{name}: evil",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_no_client_sets_our_headers_in_any_spelling(edge: Any, spelling: str) -> None:
    lines = "\r\n".join(SPELLINGS[spelling](name) for name in IDENTITY)
    answer = await raw(edge, f"GET / HTTP/1.1\r\nhost: {HOST}\r\n{lines}\r\nconnection: close\r\n\r\n")
    if spelling == "named by connection":  # refused as a whole
        assert " 400 " in answer.splitlines()[0]
        assert edge.decision.heard == edge.app.heard == []
        return
    for server in (edge.decision, edge.app):
        (heard,) = server.heard
        assert not [pair for pair in heard.headers if "evil" in pair[1]]
    got = edge.app.heard[0]
    assert got.all("x-td-user") == ["user-1"]
    assert {name for name, _ in got.headers if name.lower().startswith(("x-td", "x_td"))} == {
        "x-td-installation",
        "x-td-account",
        "x-td-user",
        "x-td-name",
        "x-td-email",
        "x-td-role",
        "x-td-plan",
        "x-td-identity",
    }


@pytest.mark.parametrize("where", ["/_td/start", "websocket"])
async def test_gateway_and_relay_get_none_of_our_headers_from_clients_either(edge: Any, where: str) -> None:
    upgrade = (
        "connection: upgrade\r\nupgrade: websocket\r\n" if where == "websocket" else "connection: close\r\n"
    )
    path = "/" if where == "websocket" else where
    lines = "\r\n".join(f"{name}: evil\r\n{name.replace('-', '_')}: evil" for name in IDENTITY)
    edge.relay.answer = answering(403, "no", connection="close")
    await raw(edge, f"GET {path} HTTP/1.1\r\nhost: {HOST}\r\n{upgrade}{lines}\r\n\r\n")
    heard = (edge.relay if where == "websocket" else edge.web).heard[0]
    assert not [pair for pair in heard.headers if "evil" in pair[1]]


@pytest.mark.parametrize(
    "line", ["x-td-user : evil", " x-td-user: evil", "x-td-user\x0b: evil", "x-td-user\x00: evil"]
)
async def test_what_is_no_header_is_no_request(edge: Any, line: str) -> None:
    answer = await raw(edge, f"GET / HTTP/1.1\r\nhost: {HOST}\r\na: b\r\n{line}\r\nconnection: close\r\n\r\n")
    if answer.startswith("HTTP/1.1 400"):
        assert edge.app.heard == []
    else:  # a folded line is part of the value before it
        assert edge.app.heard[0].all("x-td-user") == ["user-1"]


async def test_trailers_add_no_headers(edge: Any) -> None:
    body = "0\r\nx-td-user: evil\r\n\r\n"
    await raw(
        edge,
        f"POST / HTTP/1.1\r\nhost: {HOST}\r\ntransfer-encoding: chunked\r\ntrailer: x-td-user\r\n"
        f"connection: close\r\n\r\n{body}",
    )
    assert edge.app.heard[0].all("x-td-user") == ["user-1"]


async def test_lengths_that_contradict_each_other_are_no_request(edge: Any) -> None:
    smuggled = "GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n"
    for lengths in (
        f"content-length: {len(smuggled)}\r\ntransfer-encoding: chunked",
        "content-length: 5\r\ncontent-length: 6",
        "transfer-encoding: chunked, identity",
        "transfer-encoding:\x0bchunked",
    ):
        await raw(
            edge, f"POST / HTTP/1.1\r\nhost: {HOST}\r\n{lengths}\r\nconnection: close\r\n\r\n{smuggled}"
        )
    paths = [heard.path for heard in (*edge.app.heard, *edge.decision.heard)]
    assert not [path for path in paths if "smuggled" in path]


async def test_a_client_cannot_choose_where_it_goes(edge: Any, server_class: Any) -> None:
    other = server_class(answering(200, "the other"))
    await other.start()
    try:
        target = f"127.0.0.1:{other.port}"
        chosen = (
            "x-td-upstream",
            "x-envoy-original-dst-host",
            "x-envoy-original-path",
            "x-envoy-upstream-alt-stat-name",
        )
        answer = await edge.get(headers=[(name, target) for name in chosen])
        assert answer.text == "hello"
        assert other.heard == []
        # A decision without an address leads nowhere, whatever the client says.
        edge.decision.answer = edge.to("")
        answer = await edge.get(headers=[(name, target) for name in chosen])
        assert answer.status == 503
        assert other.heard == []
    finally:
        await other.stop()


async def test_a_clients_word_on_retries_and_times_is_not_heard(edge: Any) -> None:
    edge.app.answer = answering(500, "broken")
    await edge.request("POST", headers={"x-envoy-retry-on": "5xx", "x-envoy-max-retries": "5"})
    assert len(edge.app.heard) == 1
    assert not [pair for pair in edge.app.heard[0].headers if pair[0].lower().startswith("x-envoy-retry")]


async def test_the_app_is_told_one_address_and_how_browsers_came(edge: Any) -> None:
    await told_as_browsers_came(edge, client="127.0.0.1")


async def test_behind_a_load_balancer_the_app_is_told_the_same_by_its_word_alone(
    tmp_path: Path, edges: Any
) -> None:
    async with edges(tmp_path / "envoy", trusted_hops=1, public_port=8443) as edge:
        await told_as_browsers_came(edge, client="203.0.113.9")


async def told_as_browsers_came(edge: Any, *, client: str) -> None:
    """Whatever a client, and a load balancer after it, say of where a request came from."""
    told = {
        "x-forwarded-for": "6.6.6.6, 203.0.113.9",
        "x-forwarded-host": "evil.example",
        "x-forwarded-proto": "http",
        "x-forwarded-port": "1",
        "x-forwarded-prefix": "/evil",
        "X-Forwarded-User": "root",
        "x-forwarded-ssl": "on",
        "forwarded": "for=6.6.6.6",
        "X-Real-IP": "6.6.6.6",
    }
    right = {
        "x-forwarded-for": [client],
        "x-forwarded-proto": ["https"],
        "x-forwarded-host": [f"{HOST}:8443"],
        "x-forwarded-port": ["8443"],
    }
    upgrade = {"connection": "Upgrade", "upgrade": "websocket"}
    for path, server, more in (("/", edge.app, {}), ("/_td/x", edge.web, {}), ("/", edge.relay, upgrade)):
        server.heard.clear()
        await edge.get(path, headers=told | more)
        (got,) = server.heard
        assert {name: got.all(name.lower()) for name in told if got.all(name.lower())} == right
    assert edge.app.heard[0].all("host") == [f"{HOST}:8443"]


@pytest.mark.parametrize("host", [f"{HOST}:1234", f"{HOST}:8443", HOST.upper(), HOST])
async def test_decisions_are_by_host_without_port(edge: Any, host: str) -> None:
    await raw(edge, f"GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")
    assert [name.lower() for name in edge.decision.heard[0].all("host")] == [HOST]


async def test_cookies_are_what_the_decision_leaves_of_them(edge: Any) -> None:
    upstream = f"127.0.0.1:{edge.app.port}"
    edge.decision.answer = edge.to(upstream, cookie="theirs=1")
    await edge.get(headers=[("cookie", "__Host-td-session=s; theirs=1"), ("cookie", "__Host-td-use=u")])
    assert edge.app.heard[0].all("cookie") == ["theirs=1"]
    edge.app.heard.clear()
    edge.decision.answer = edge.to(upstream, **{"x-envoy-auth-headers-to-remove": "cookie"})
    await edge.get(headers=[("cookie", "__Host-td-session=s"), ("cookie", "__Host-td-use=u")])
    assert edge.app.heard[0].all("cookie") == []


async def test_a_renewed_cookie_reaches_the_client_beside_the_apps_own(edge: Any) -> None:
    edge.decision.answer = edge.to(
        f"127.0.0.1:{edge.app.port}", **{"set-cookie": "__Host-td-use=new; Secure"}
    )
    edge.app.answer = answering(200, "x", set_cookie="theirs=2")
    answer = await edge.get()
    assert sorted(answer.headers.getall("set-cookie")) == ["__Host-td-use=new; Secure", "theirs=2"]


@pytest.mark.parametrize("status", [303, 401, 403, 404, 421])
async def test_a_refusal_is_the_decisions_answer_word_for_word(edge: Any, status: int) -> None:
    edge.decision.answer = answering(
        status,
        "<p>why</p>",
        location="/_td/start?to=%2F",
        x_td_sign_in="/_td/start",
        content_security_policy="default-src 'none'",
        set_cookie="a=b",
        cache_control="no-store",
    )
    answer = await edge.get(headers={"accept": "text/html"})
    assert (answer.status, answer.text) == (status, "<p>why</p>")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["location"] == "/_td/start?to=%2F"
    assert answer.headers["x-td-sign-in"] == "/_td/start"
    assert answer.headers["content-security-policy"] == "default-src 'none'"
    assert answer.headers["set-cookie"] == "a=b"
    assert edge.app.heard == []


async def test_a_page_that_the_decision_wants_as_a_503_is_one(edge: Any) -> None:
    edge.decision.answer = answering(403, "<p>later</p>", x_td_status="503")
    answer = await edge.get(headers={"accept": "text/html"})
    assert (answer.status, answer.text) == (503, "<p>later</p>")
    assert answer.headers["retry-after"] == "5"
    assert "x-td-status" not in answer.headers


async def test_only_the_gateway_tells_the_bars_script_to_sign_in(edge: Any) -> None:
    edge.app.answer = answering(401, "mine", x_td_sign_in="/_td/evil")
    answer = await edge.get()
    assert (answer.status, answer.text) == (401, "mine")
    assert "x-td-sign-in" not in answer.headers


async def test_sign_in_pages_are_the_gateways_without_a_decision(edge: Any) -> None:
    edge.web.answer = answering(200, "sign-in")
    for path in ("/_td/start?to=%2F", "/x/../_td/start", "/_td/"):
        answer = await edge.get(path)
        assert answer.text == "sign-in"
    assert edge.decision.heard == edge.app.heard == []


@pytest.mark.parametrize(
    "path", ["/_td", "/_tdx", "/x/_td/start", "//_td/start", "/_TD/start", "/_td%2Fstart", "/;/_td/"]
)
async def test_all_other_paths_are_decided_upon(edge: Any, path: str) -> None:
    await raw(edge, f"GET {path} HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n")
    assert [heard.path for heard in edge.decision.heard] == ["/decide" + path]
    assert [heard.path for heard in edge.app.heard] == [path]
    assert edge.web.heard == []


async def test_browsers_are_told_to_come_by_https_whoever_answers(edge: Any) -> None:
    edge.web.answer = answering(200, "x")
    answers = [await edge.get(), await edge.get("/_td/x")]
    edge.decision.answer = answering(403, "no")
    answers.append(await edge.get())
    edge.decision.answer = answering(500, "broken")
    answers.append(await edge.get())
    assert [answer.status for answer in answers] == [200, 200, 403, 503]
    assert {answer.headers["strict-transport-security"] for answer in answers} == {"max-age=31536000"}


async def test_the_access_log_has_a_line_a_request_and_no_secret_in_it(edge: Any) -> None:
    secret = "s3cr3t-canary"
    headers = {
        "cookie": f"__Host-td-session={secret}",
        "authorization": f"Bearer {secret}",
        "x-td-user": secret,
        "referer": f"https://x.example/?code={secret}",
        "x-api-key": secret,
    }
    answer = await edge.get(f"/log/b?token={secret}", headers=headers)
    await edge.get(f"/_td/log?code={secret}&state={secret}", headers=headers)
    edge.decision.answer = answering(303, "", location=f"/_td/start?to={secret}", set_cookie=secret)
    await edge.get(f"/log?{secret}", headers=headers)

    def logged() -> list[dict[str, Any]]:
        return [line for line in edge.envoy.access() if "log" in (line["path"] or "")]

    await edge.eventually(lambda: len(logged()) == 3)
    lines = logged()
    assert secret not in edge.envoy.output.read_text() + edge.envoy.log.read_text()
    assert [line["path"] for line in lines] == ["/log/b", "/_td/log", "/log"]
    assert lines[0]["request_id"] == answer.headers["x-request-id"]
    assert (lines[0]["status"], lines[0]["user"], lines[0]["route"]) == (200, "user-1", "safe")


async def test_client_decision_and_app_know_a_request_by_the_same_id_of_ours(edge: Any) -> None:
    answer = await edge.get(headers={"x-request-id": "mine"})
    assert answer.headers["x-request-id"] != "mine"
    assert edge.app.heard[0].all("x-request-id") == [answer.headers["x-request-id"]]


async def test_metrics_and_readiness_are_let_out_and_nothing_else_of_the_admin_interface(edge: Any) -> None:
    async def status(path: str, method: str = "GET") -> tuple[int, str]:
        async with edge.client.request(method, edge.envoy.url(path, listener="metrics")) as response:
            return response.status, await response.text()

    assert (await status("/ready"))[0] == 200
    code, metrics = await status("/stats/prometheus")
    assert code == 200
    assert "envoy_http_downstream_rq_total" in metrics
    for path in (
        "/",
        "/config_dump",
        "/quitquitquit",
        "/stats",
        "/ready/../config_dump",
        "/logging",
        "/certs",
    ):
        assert (await status(path))[0] == 404
        assert (await status(path, "POST"))[0] == 404
    assert (await status("/ready", "POST"))[0] == 404


async def test_the_admin_interface_is_on_no_network(edge: Any) -> None:
    bootstrap = json.loads((edge.envoy.log.parent / "envoy.json").read_text())
    assert bootstrap["admin"]["address"]["pipe"]["path"].startswith("@talkdesk-envoy-test-")
    assert set(edge.envoy.ports) == {"public", "metrics", "drain"}
