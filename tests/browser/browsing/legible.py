"""Whether a page can be read by everybody: axe's rules, and nothing cut or sticking out sideways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped] # has no annotations

if TYPE_CHECKING:
    from playwright.async_api import Page

#: Of a window, in CSS pixels: on a desk, and in a hand.
_WIDE, _NARROW = 1280, 390
#: What hangs on colours, which are nine tenths of axe's work, and are the same in either width.
_COLOURS = ("color-contrast", "link-in-text-block")
#: Where a page is looked at, by which of axe's rules, and whether its text is: no scheme moves any.
_WINDOWS: tuple[tuple[Literal["light", "dark"], int, dict[str, Any], bool], ...] = (
    ("light", _WIDE, {}, True),
    ("light", _NARROW, {"rules": {name: {"enabled": False} for name in _COLOURS}}, True),
    ("dark", _WIDE, {"runOnly": list(_COLOURS)}, False),
)
#: What axe finds alone: of its whole answer, most tells what is as it should be.
_AXE = """options => axe.run({resultTypes: ['violations'], ...options}).then(({violations}) =>
    violations.map(one => [one.id, one.nodes.map(node => node.html.slice(0, 160))]))"""
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
    await page.evaluate(Axe().axe_script)
    wrong = {}
    for scheme, width, rules, text in _WINDOWS:
        await page.set_viewport_size({"width": width, "height": 900})
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found = {"axe": await page.evaluate(_AXE, rules), **(await page.evaluate(_CUT) if text else {})}
        if found["axe"] or found.get("sideways", 0) > 0 or found.get("cut") or found.get("out"):
            wrong[f"{scheme}, {width} wide"] = found
    return wrong
