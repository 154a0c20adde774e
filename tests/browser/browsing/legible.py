"""Whether a page can be read by everybody: axe's rules, and nothing cut or sticking out sideways."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Literal

from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped] # has no annotations

if TYPE_CHECKING:
    from playwright.async_api import Page

#: Of a window, in CSS pixels: on a desk, and in a hand.
_WIDE, _NARROW = 1280, 390
_SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
#: By how much the page can be scrolled sideways, which elements cut their own text, and which stick out of
#: the card or row that they are in.
_CUT = """() => {
    const shown = [...document.querySelectorAll('main *')].filter(one =>
        !one.closest('.sr, select, iframe') && one.checkVisibility());
    const told = elements => elements.map(one => one.outerHTML.slice(0, 120));
    const right = one => one.getBoundingClientRect().right;
    return {
        sideways: document.documentElement.scrollWidth - innerWidth,
        cut: told(shown.filter(one => one.scrollWidth > one.clientWidth + 1
            && getComputedStyle(one).display !== 'inline' && getComputedStyle(one).overflowX !== 'visible')),
        out: told(shown.filter(one => {
            const card = one.parentElement.closest('.card, .entry');
            return card && right(one) > right(card) + 1;
        })),
    };
}"""


async def wrong_in_any_window(page: Page) -> dict[str, Any]:
    """What is wrong with the page, all details open, light or dark, wide or narrow; empty: nothing."""
    await page.locator("details").evaluate_all("all => all.forEach(one => { one.open = true; })")
    wrong = {}
    for scheme, width in itertools.product(_SCHEMES, (_WIDE, _NARROW)):
        await page.set_viewport_size({"width": width, "height": 900})
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        if found := await _wrong(page):
            wrong[f"{scheme}, {width} wide"] = found
    return wrong


async def _wrong(page: Page) -> dict[str, Any]:
    violations = (await Axe().run(page)).response["violations"]
    found = {
        "axe": [(one["id"], [node["html"][:160] for node in one["nodes"]]) for one in violations],
        **await page.evaluate(_CUT),
    }
    return found if found["axe"] or found["sideways"] > 0 or found["cut"] or found["out"] else {}
