"""Whatever is down, slow or gone: a page with a reference for people, a line for programs, never nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.processes, pytest.mark.asyncio(loop_scope="module")]

PAGE = {"accept": "text/html,application/xhtml+xml"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_edge(tmp_path_factory: pytest.TempPathFactory, edges: Any) -> AsyncIterator[Any]:
    """With little patience."""
    changes = {"decision_seconds": 0.5, "connect_seconds": 0.3, "idle_seconds": 1.0, "page_seconds": 1.0}
    async with edges(tmp_path_factory.mktemp("envoy"), **changes) as edge:
        yield edge


def assert_page(answer: Any, status: int = 503) -> None:
    assert answer.status == status
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-request-id"] in answer.text
    assert f"Status {status}" in answer.text
    if status == 503:
        assert answer.headers["retry-after"] == "5"


def assert_line(answer: Any, status: int = 503) -> None:
    assert answer.status == status
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text == (
        f"{status}: the request could not be answered. Reference: {answer.headers['x-request-id']}\n"
    )


async def assert_told(edge: Any, status: int = 503, path: str = "/") -> None:
    """A page for a person, a line for a program."""
    assert_page(await edge.get(path, headers=PAGE), status)
    assert_line(await edge.get(path, headers={"accept": "application/json"}), status)
    assert_line(await edge.request("POST", path, data=b"x"), status)


async def test_no_decision_because_the_gateway_is_down(edge: Any) -> None:
    await edge.decision.stop()
    try:
        await assert_told(edge)
        assert edge.app.heard == []
    finally:
        await edge.decision.start()
    assert (await edge.get(headers=PAGE)).text == "hello"


async def test_no_decision_in_time(edge: Any) -> None:
    go_on = asyncio.Event()

    async def slow(_: web.Request) -> web.StreamResponse:
        await go_on.wait()
        return web.Response()

    edge.decision.answer = slow
    try:
        await assert_told(edge)
        assert edge.app.heard == []
    finally:
        go_on.set()


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_decision_that_fails_is_none(edge: Any, status: int) -> None:
    async def broken(_: web.Request) -> web.StreamResponse:
        return web.Response(
            status=status, text="internal words", headers={"x-td-user": "u", "x-td-status": "503"}
        )

    edge.decision.answer = broken
    answer = await edge.get(headers=PAGE)
    assert_page(answer)
    assert "internal words" not in answer.text
    assert edge.app.heard == []


async def test_a_decision_that_is_cut_off_is_asked_for_again(edge: Any) -> None:
    usual, times = edge.decision.answer, []

    async def cut(request: web.Request) -> web.StreamResponse:
        times.append(1)
        if len(times) == 1:
            assert request.transport is not None
            request.transport.abort()
        return await usual(request)

    edge.decision.answer = cut
    answer = await edge.request("POST", data=b"x")
    assert answer.text == "hello"
    assert len(times) == 2
    assert len(edge.app.heard) == 1


async def test_the_apps_service_was_deleted(edge: Any, server_class: Any) -> None:
    async def gone(_: web.Request) -> web.StreamResponse:
        return web.Response(text="still here")

    server = server_class(gone)
    await server.start()
    edge.decision.answer = edge.to(f"127.0.0.1:{server.port}")
    assert (await edge.get()).text == "still here"
    await server.stop()
    await assert_told(edge)


@pytest.mark.parametrize("upstream", ["", "nonsense", "10.0.0.1", "app.example:80", "127.0.0.1:99999"])
async def test_an_address_that_is_none(edge: Any, upstream: str) -> None:
    edge.decision.answer = edge.to(upstream)
    await assert_told(edge)


async def test_the_app_cuts_a_connection(edge: Any) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    edge.app.answer = cut
    assert_page(await edge.get(headers=PAGE))
    assert len(edge.app.heard) == 2, "a GET is tried once more"
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        edge.app.heard.clear()
        assert (await edge.request(method, data=b"x")).status == 503
        assert len(edge.app.heard) == 1, f"{method} may have been carried out"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/_td/callback?code=c&state=s"), ("GET", "/_td/enter?ticket=t"), ("POST", "/_td/sign-out")],
)
async def test_a_step_of_a_sign_in_that_is_cut_off_is_not_tried_again(
    edge: Any, method: str, path: str
) -> None:
    """Codes and tickets serve once: a second attempt could only spoil what the first has done."""

    async def cut(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    edge.web.answer = cut
    assert_page(await edge.request(method, path, headers=PAGE))
    assert [(one.method, one.path) for one in edge.web.heard] == [(method, path)]


async def test_the_app_says_nothing_for_too_long(edge: Any) -> None:
    go_on = asyncio.Event()

    async def silent(_: web.Request) -> web.StreamResponse:
        await go_on.wait()
        return web.Response()

    edge.app.answer = silent
    try:
        assert_page(await edge.get(headers=PAGE), 504)
    finally:
        go_on.set()


async def test_the_gateways_pages_are_down(edge: Any) -> None:
    await edge.web.stop()
    try:
        await assert_told(edge, path="/_td/start")
    finally:
        await edge.web.start()


async def test_the_relay_is_down(edge: Any) -> None:
    await edge.relay.stop()
    try:
        headers = {"connection": "upgrade", "upgrade": "websocket", **PAGE}
        assert_page(await edge.get(headers=headers))
    finally:
        await edge.relay.start()


async def test_an_error_page_of_the_apps_is_the_apps(edge: Any) -> None:
    async def broken(_: web.Request) -> web.StreamResponse:
        return web.Response(status=503, text="the app's own words", content_type="text/html")

    edge.app.answer = broken
    answer = await edge.get(headers=PAGE)
    assert (answer.status, answer.text) == (503, "the app's own words")


async def test_headers_that_are_too_many_or_too_long(edge: Any) -> None:
    assert (await edge.get(headers=[(f"x-{number}", "1") for number in range(120)])).status == 431
    assert (await edge.get(headers={"x-long": "x" * 70000})).status == 431
    assert (await edge.get(headers={"x-long": "x" * 40000})).status == 200


async def test_an_upgrade_to_something_else_is_answered_without_it(edge: Any) -> None:
    answer = await edge.get(
        headers={"connection": "upgrade, http2-settings", "upgrade": "h2c", "http2-settings": ""}
    )
    assert answer.text == "hello"
    answer = await edge.get(headers={"connection": "upgrade", "upgrade": "sneaky", **PAGE})
    assert_page(answer, 403)
    assert edge.relay.heard == []
