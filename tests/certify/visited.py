"""Somebody with a window of the module's browser, and pages for them to visit."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from aiohttp import web

from serving import serving
from talkdesk_certify.reviewer.person import Person, window
from talkdesk_sandbox.chromium import chromium

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser

_up: list[Browser] = []


@contextlib.asynccontextmanager
async def browsing() -> AsyncIterator[None]:
    """A browser is up: to start one is most of what a test with a page or two would cost."""
    async with chromium() as browser:
        _up.append(browser)
        yield
        _up.remove(browser)


def browser_that_is_up() -> Browser:
    """The one of :func:`browsing`; windows of it share nothing."""
    (browser,) = _up
    return browser


@contextlib.asynccontextmanager
async def person_at(site: web.Application) -> AsyncIterator[tuple[Person, str]]:
    """The person, and where ``site`` is."""
    async with serving(site) as port, await window(browser_that_is_up()) as context:
        desk = await context.new_page()
        # A name, as apps have it: it is known to the browser alone.
        yield Person("Mara", "mara@acme.example", "", context, desk), f"http://app.localhost:{port}"


def pages(**said: str) -> web.Application:
    """A site with a page for each name, with that text in its body."""
    site = web.Application()

    async def answer(request: web.Request) -> web.Response:
        text = f"<!doctype html><title>App</title><body>{said[request.match_info['name']]}"
        return web.Response(text=text, content_type="text/html")

    site.router.add_get("/{name}", answer)
    return site
