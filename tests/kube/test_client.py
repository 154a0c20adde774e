"""What a healthy API server never answers: busy, expired, mute, cut. Against one that does so on purpose."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from talkdesk_kube import (
    Gone,
    NotFound,
    ServerError,
    Timeouts,
    TooManyRequests,
    Unauthorized,
    Unreachable,
)
from talkdesk_kube.client import BUSY_REPEATS
from talkdesk_kube.resources import CONFIG_MAPS, SECRETS

if TYPE_CHECKING:
    from pathlib import Path


def refusal(code: int, reason: str, **headers: str) -> web.Response:
    body = {"kind": "Status", "code": code, "reason": reason, "message": "m"}
    return web.json_response(body, status=code, headers={k.replace("_", "-"): v for k, v in headers.items()})


async def test_a_busy_server_is_asked_again_after_the_time_it_named(answering: Any) -> None:
    asked: list[float] = []

    async def handler(_: web.Request) -> web.Response:
        asked.append(time.monotonic())
        if len(asked) == 1:
            return refusal(429, "TooManyRequests", Retry_After="1")
        return web.json_response({"metadata": {"name": "a"}})

    kube = await answering(handler)
    assert (await kube.get(CONFIG_MAPS, "a", namespace="n"))["metadata"]["name"] == "a"
    assert len(asked) == 2
    assert asked[1] - asked[0] >= 1.0


@pytest.mark.parametrize(("wait", "requests"), [("0", 1 + BUSY_REPEATS), ("3600", 1), (None, 1)])
async def test_a_server_busy_for_long_is_the_callers_affair(
    answering: Any, wait: str | None, requests: int
) -> None:
    asked = 0

    async def handler(_: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return refusal(429, "TooManyRequests", **({} if wait is None else {"Retry_After": wait}))

    kube = await answering(handler)
    with pytest.raises(TooManyRequests):
        await kube.create(CONFIG_MAPS, {"metadata": {"name": "a"}}, namespace="n")
    assert asked == requests


async def test_a_refused_token_is_read_again_once_and_only_if_it_changed(
    answering: Any, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    seen: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request.headers["Authorization"])
        token.write_text("new")
        if seen[-1] == "Bearer new":
            return web.json_response({"metadata": {}})
        return refusal(401, "Unauthorized")

    kube = await answering(handler, user={"tokenFile": str(token)})
    await kube.get(CONFIG_MAPS, "a", namespace="n")
    assert seen == ["Bearer old", "Bearer new"]


async def test_an_unchanged_refused_token_is_not_tried_again(answering: Any) -> None:
    seen = 0

    async def handler(_: web.Request) -> web.Response:
        nonlocal seen
        seen += 1
        return refusal(401, "Unauthorized")

    kube = await answering(handler, user={"token": "canary-tok"})
    with pytest.raises(Unauthorized) as caught:
        await kube.get(CONFIG_MAPS, "a", namespace="n")
    assert seen == 1
    assert "canary-tok" not in str(caught.value) + repr(caught.value)


async def test_a_failing_server_and_a_foreign_answer_are_not_repeated(answering: Any) -> None:
    answers = [web.Response(status=500, text="boom"), web.Response(text="hello"), web.Response(text="[]")]

    async def handler(_: web.Request) -> web.Response:
        return answers.pop(0)

    kube = await answering(handler)
    for _ in range(3):
        with pytest.raises(ServerError):
            await kube.merge_patch(CONFIG_MAPS, "a", {}, namespace="n")
    assert answers == []


async def test_an_expired_continue_token_leads_to_one_list_in_one_piece(answering: Any) -> None:
    queries: list[dict[str, str]] = []

    async def handler(request: web.Request) -> web.Response:
        queries.append(dict(request.query))
        item = {"metadata": {"name": f"i{len(queries)}", "namespace": "n"}}
        if "continue" in request.query:
            return refusal(410, "Expired")
        more = {"continue": "t"} if "limit" in request.query else {}
        return web.json_response({"items": [item], "metadata": {"resourceVersion": "9", **more}})

    kube = await answering(handler)
    listing = await kube.list(CONFIG_MAPS, namespace="n")
    assert [item["metadata"]["name"] for item in listing.items] == ["i3"]
    assert listing.items[0]["kind"] == "ConfigMap"
    assert queries == [{"limit": "500"}, {"limit": "500", "continue": "t"}, {}]


async def test_a_server_that_does_not_answer_in_time_is_unreachable(answering: Any) -> None:
    release = asyncio.Event()

    async def handler(_: web.Request) -> web.Response:
        await release.wait()
        return web.json_response({})

    kube = await answering(handler, timeouts=Timeouts(request=0.05))
    with pytest.raises(Unreachable, match="no answer from the API server") as caught:
        await kube.create(SECRETS, {"stringData": {"x": "canary-3"}}, namespace="n")
    release.set()
    assert caught.value.transient
    assert "canary-3" not in str(caught.value)


async def test_an_answer_cut_in_the_middle_is_unreachable(answering: Any) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"metadata"')
        assert request.transport is not None
        request.transport.abort()
        return response

    kube = await answering(handler)
    with pytest.raises(Unreachable):
        await kube.get(CONFIG_MAPS, "a", namespace="n")


def line(kind: str, obj: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


async def test_a_watch_joins_events_that_arrive_in_pieces(answering: Any) -> None:
    large = {"metadata": {"name": "a", "resourceVersion": "2"}, "data": {"x": "é" * 300_000}}
    text = line("ADDED", large) + line("BOOKMARK", {"metadata": {"resourceVersion": "3"}})

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for start in range(0, len(text), 99_991):
            await response.write(text[start : start + 99_991])
        return response

    kube = await answering(handler)
    events = [event async for event in kube.watch(CONFIG_MAPS, resource_version="1")]
    assert [event.type for event in events] == ["ADDED", "BOOKMARK"]
    assert events[0].object == large


async def test_a_mute_watch_is_given_up(answering: Any) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(line("BOOKMARK", {"metadata": {"resourceVersion": "3"}}))
        await asyncio.Event().wait()
        return response

    kube = await answering(handler)
    async with aclosing(kube.watch(CONFIG_MAPS, resource_version="1", silence=0.05)) as events:
        assert (await anext(events)).type == "BOOKMARK"
        with pytest.raises(Unreachable):
            await anext(events)


@pytest.mark.parametrize(("code", "error"), [(410, Gone), (500, ServerError), (404, NotFound)])
async def test_an_error_within_a_watch_is_the_error_it_names(
    answering: Any, code: int, error: type[Exception]
) -> None:
    async def handler(_: web.Request) -> web.Response:
        status = {"kind": "Status", "code": code, "reason": "Expired", "message": "m"}
        return web.Response(body=line("ERROR", status))

    kube = await answering(handler)
    with pytest.raises(error):
        await anext(kube.watch(CONFIG_MAPS, resource_version="1"))


async def test_a_redirect_is_never_followed(answering: Any) -> None:
    paths: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        paths.append(request.path)
        raise web.HTTPTemporaryRedirect("/elsewhere")

    kube = await answering(handler)
    with pytest.raises(Exception, match="307"):
        await kube.get(CONFIG_MAPS, "a", namespace="n")
    assert len(paths) == 1
