"""The demo in a real browser, under its own strict policy."""

from __future__ import annotations

import re
from typing import Any

import pytest

from talkdesk_sandbox.chromium import chromium

pytestmark = pytest.mark.processes


async def test_the_tour_leads_through_the_page_while_clock_and_feed_run(place: Any) -> None:
    complaints: list[str] = []
    async with place.demo() as (url, _, demo), chromium() as browser:
        ada = await browser.new_context(extra_http_headers=place.token("u1"))
        page = await ada.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(url)
        await page.wait_for_selector("#events li")
        await page.locator("#clock", has_text=re.compile(r"^[0-9:]{8}$")).wait_for()

        tour = page.locator("#tour")
        assert await tour.is_visible()
        pointed = []
        while await tour.is_visible():
            shown = tour.locator(".slide.shown h2")
            assert await shown.count() == 1
            pointed.append(await page.locator(".pointed").count())
            assert len(pointed) < 10
            await tour.locator(".next").click()
        assert pointed == [0, 1, 1, 1]
        await page.locator(".pointed").wait_for(state="detached")  # its close is an event

        await page.reload()
        assert await tour.count() == 0
        await page.get_by_text("Show me around").click()
        await tour.wait_for(state="visible")
        await tour.get_by_text("Close").click()
        await tour.wait_for(state="hidden")
        assert complaints == []  # the clock complains of the end: it connects again
        demo.end()


async def test_the_page_works_without_scripts(place: Any) -> None:
    async with place.demo() as (url, _, _demo), chromium() as browser:
        ada = await browser.new_context(extra_http_headers=place.token("u1"), java_script_enabled=False)
        page = await ada.new_page()
        await page.goto(url)
        assert "Hello, Ada" in await page.inner_text("h1")
        tour = page.locator("#tour")
        assert await tour.locator(".slide h2").count() == 4
        await tour.get_by_text("Close").click()
        await tour.wait_for(state="hidden")
