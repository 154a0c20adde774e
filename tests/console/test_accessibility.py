"""Every page, light and dark, wide and narrow, in Chromium: axe finds nothing, and nothing sticks out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from playwright.async_api import expect

from browsing.legible import wrong_in_any_window
from showing.gallery import gallery
from talkdesk_sandbox.chromium import chromium
from talkdesk_sandbox.console import live
from talkdesk_sandbox.console.guard import OF_ACCOUNTS, OWN

if TYPE_CHECKING:
    from playwright.async_api import Page

    from showing.gallery import Stop

# Playwright leaves the pipes of its driver to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

#: Milliseconds that a form's answer may take on a busy machine; Playwright's own are five seconds.
_PATIENCE = 40_000


async def _look_at(page: Page, stop: Stop) -> None:
    """Go there, and open whatever can be opened."""
    await page.goto(stop.url)
    await page.locator("details").evaluate_all("all => all.forEach(one => { one.open = true; })")
    for label, value in stop.filled.items():
        one = page.get_by_label(label, exact=value != "on").last
        await (one.check() if value == "on" else one.fill(value))
    if stop.press:
        await page.get_by_role("button", name=stop.press, exact=True).click()
        await expect(page.get_by_role("alert"), stop.name).to_be_visible(timeout=_PATIENCE)


@pytest.mark.processes
async def test_axe_finds_nothing_and_no_text_is_cut_light_or_dark_wide_or_narrow(show: Any) -> None:
    rooms = await gallery(show)
    wrong: dict[str, Any] = {}
    async with chromium() as browser:
        context = await browser.new_context(reduced_motion="reduce")
        page = await context.new_page()
        for login, user in rooms.sign_in:
            await page.goto(login)
            await page.get_by_role("button", name=user).click()
            await page.get_by_text("is signed in").wait_for()
        for stop in rooms.stops:
            await _look_at(page, stop)
            if found := await wrong_in_any_window(page):
                wrong[stop.name] = found
        await context.close()
    assert wrong == {}


async def test_every_page_of_the_console_is_looked_at(show: Any) -> None:
    seen = [urlsplit(one.url).path for one in (await gallery(show)).stops]
    for module in {*OWN, *OF_ACCOUNTS} - {live}:
        for route in module.routes:
            assert isinstance(route, web.RouteDef)
            pattern = re.sub(r"\{\w+\}", "[^/]+", route.path)
            looked_at = any(re.fullmatch(pattern, path) for path in seen)
            # A mail is framed, and forms' own addresses lead back to the pages that they are on.
            elsewhere = route.path == "/mailbox/{id}/html" or route.handler.__name__ == "reopened"
            assert looked_at or route.method != "GET" or elsewhere, route.path
