"""``/_td/bar.js`` as the gateway serves it: to whoever is signed in, and to no other origin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest_asyncio
from aiohttp import web

from talkdesk_gateway.bar.handler import handle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BAR = {"script": "https://cdn.example/bar.js", "attributes": {"data-user": "${user.id}"}}


@pytest_asyncio.fixture
async def served(world: Any) -> AsyncIterator[Any]:
    """A gateway whose tenant has a bar."""
    async with world.serving(world.parts(), web.get("/_td/bar.js", handle)):
        world.put(users={"u1": "e1"}, app={"bar": BAR})
        yield world


async def test_who_is_signed_in_gets_the_bar_in_their_own_name(served: Any) -> None:
    browser = served.browser()
    await browser.follow(served.launch_url())
    answer = await browser.get(served.url("/_td/bar.js"))
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert '"data-user": "u1"' in answer.text
    # It names a user: no shared cache keeps it, no sibling tenant's page loads it.
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_it_is_not_sent_twice_to_the_same_user(served: Any) -> None:
    browser = served.browser()
    await browser.follow(served.launch_url())
    first = await browser.get(served.url("/_td/bar.js"))
    again = await browser.get(served.url("/_td/bar.js"), If_None_Match=first.headers["ETag"])
    assert (again.status_code, again.content) == (304, b"")
    stranger = await served.browser().get(served.url("/_td/bar.js"), If_None_Match=first.headers["ETag"])
    assert stranger.status_code == 200


async def test_a_stranger_gets_it_without_any_name(served: Any) -> None:
    answer = await served.browser().get(served.url("/_td/bar.js"))
    assert answer.status_code == 200
    assert '{"user": null, "bar": null}' in answer.text


async def test_a_host_that_is_no_tenant_has_none(served: Any) -> None:
    answer = await served.browser().get(served.url("/_td/bar.js", host="nobody.apps.example.com"))
    assert answer.status_code == 404
