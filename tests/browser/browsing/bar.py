"""Talkdesk's bar, as a hand and an eye find it: hit at points along its width, and by the pixels."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from PIL import Image

from browsing.person import HEIGHT, WIDTH

if TYPE_CHECKING:
    from playwright.async_api import Page

    from browsing.person import Person

BAR_HEIGHT = 48
COLOR = (0x2A, 0x1A, 0x5E)
_HIT = """points => points.map(([x, y]) => document.elementFromPoint(x, y)?.closest('talkdesk-bar') !== null
    && document.elementFromPoint(x, y) !== null)"""


async def assert_bar(person: Person, page: Page, name: str, *, says: str, first: str = "header") -> None:
    """The bar is at the top from edge to edge, says ``says``, and the app begins below. Kept as ``name``.

    :param first: a selector of the app's first element.
    """
    await page.locator("talkdesk-bar").wait_for()
    columns = [*range(0, WIDTH, 10), WIDTH - 1]
    hit = await page.evaluate(_HIT, [[x, y] for x in columns for y in (0, BAR_HEIGHT // 2, BAR_HEIGHT - 1)])
    assert all(hit), "something else is in the bar's place"
    below = await page.evaluate(_HIT, [[x, BAR_HEIGHT + 1] for x in columns])
    assert not any(below), "the bar covers the app"
    picture = Image.open(io.BytesIO(await person.shot(page, name))).convert("RGB")
    assert picture.size == (WIDTH, HEIGHT)
    assert {picture.getpixel((x, y)) for x in range(WIDTH) for y in (0, 1, BAR_HEIGHT - 1)} == {COLOR}
    words = {picture.getpixel((x, y)) for x in range(WIDTH // 2) for y in range(BAR_HEIGHT)}
    assert len(words) > 8, "nothing is written in the bar"
    assert COLOR not in {picture.getpixel((x, BAR_HEIGHT)) for x in range(WIDTH)}
    bar = page.get_by_role("region", name="Talkdesk")
    assert await bar.get_by_text(says, exact=True).is_visible()
    top = await page.locator(first).first.evaluate("element => element.getBoundingClientRect().top")
    assert top >= BAR_HEIGHT


async def assert_no_bar(person: Person, page: Page, name: str) -> None:
    """There is none, and no room is left for one. Kept as ``name``."""
    picture = Image.open(io.BytesIO(await person.shot(page, name))).convert("RGB")
    assert COLOR not in {picture.getpixel((x, y)) for x in range(0, WIDTH, 3) for y in range(BAR_HEIGHT)}
    assert await page.locator("talkdesk-bar, #talkdesk-bar").count() == 0
    assert await page.evaluate("document.querySelector('header').getBoundingClientRect().top") == 0
