"""A visit ends where a customer's does: at the page that is seen in the end, however one got there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from talkdesk_certify.check import Failed
from talkdesk_certify.reviewer.person import Person, window
from talkdesk_sandbox.chromium import chromium

if TYPE_CHECKING:
    from talkdesk_certify.reviewer.visit import Visit

pytestmark = [
    pytest.mark.processes,
    # Playwright leaves the pipes of its driver to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
#: How long each step on the way takes: longer than a browser needs to go on (seconds).
_STEP = 0.3


def _site() -> web.Application:
    async def waits(_: web.Request) -> web.Response:
        text = "<h1>One moment</h1><script>onload = () => setTimeout(() => location = '/on', 50)</script>"
        return web.Response(status=202, text=text, content_type="text/html")

    async def on(_: web.Request) -> web.Response:
        await asyncio.sleep(_STEP)
        raise web.HTTPSeeOther("/enter")

    async def enter(_: web.Request) -> web.Response:
        await asyncio.sleep(_STEP)
        raise web.HTTPSeeOther("/app")

    async def app(_: web.Request) -> web.Response:
        await asyncio.sleep(_STEP)
        # What an app does with its address afterwards is its own business.
        text = "<h1>Here we are</h1><script>history.replaceState(null, '', '/somewhere')</script>"
        return web.Response(text=text, content_type="text/html")

    async def login(_: web.Request) -> web.Response:
        return web.Response(text="<a href='/app'>Sign in</a>", content_type="text/html")

    site = web.Application()
    for handler in (waits, on, enter, app, login):
        site.router.add_get(f"/{handler.__name__}", handler)
    return site


async def _opened(path: str) -> tuple[Visit, str, str]:
    """The visit, the words that are seen, and what is found to be asked ("" for nothing)."""
    runner = web.AppRunner(_site())
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        async with chromium() as browser:
            context = await window(browser)
            person = Person("Mara", "mara@acme.example", "", context, await context.new_page())
            visit = await person.opens(f"http://{host}:{port}{path}")
            words = await visit.words()
            try:
                await visit.entered()
                await visit.unasked()
            except Failed as failed:
                return visit, words, str(failed)
            return visit, words, ""
    finally:
        await runner.cleanup()


async def test_a_page_that_goes_on_by_itself_is_waited_out_over_all_redirects_that_follow() -> None:
    visit, words, asked = await _opened("/waits")
    assert [hop.status for hop in visit.hops] == [202, 303, 303, 200]
    assert "Here we are" in words
    assert asked == ""
    assert visit.told.endswith("after 2 redirects and a page that went on by itself")


async def test_a_page_that_asks_for_a_click_is_where_the_visit_ends() -> None:
    visit, _, asked = await _opened("/login")
    assert [hop.status for hop in visit.hops] == [200]
    assert "somebody was asked on the way" in asked
