"""The Talkdesk bar, as a hand and an eye find it: hit at points along its width, and by the pixels."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from PIL import Image, ImageChops
from playwright.async_api import TimeoutError as LateError

from talkdesk_certify.check import Failed
from talkdesk_certify.reviewer.drawn import APPEARS_SECONDS, settled

if TYPE_CHECKING:
    from playwright.async_api import FloatRect, Page

    from talkdesk_certify.target import Bar

_STEP = 10
#: Which of the points are not the bar's.
_MISSED = """([selector, points]) => points.filter(
    ([x, y]) => !document.elementFromPoint(x, y)?.closest(selector))"""
#: Whether the bar alone is shown: what is not the bar's is hidden, by a sheet that no policy refuses.
_ALONE = """([selector, alone]) => {
    const known = Symbol.for('certify.alone');
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter(sheet => sheet !== window[known]);
    if (!alone) return;
    const sheet = window[known] = new CSSStyleSheet();
    sheet.replaceSync(`:root *:not(${selector}, ${selector} *) { visibility: hidden !important }
        ${selector}, ${selector} * { visibility: visible !important }`);
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
}"""
#: What of the app is in the bar's place: words and controls, by their text.
_BENEATH = """([selector, height]) => [...document.body.querySelectorAll('*')].filter(element => {
    if (element.closest(selector)) return false;
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    if (!own && !element.matches('button, input, select, textarea, img')) return false;
    const box = element.getBoundingClientRect();
    return box.width && box.height && box.top < height && box.bottom > 0 && box.right > 0
        && element.checkVisibility({checkOpacity: true, checkVisibilityCSS: true});
}).map(element => (element.innerText || element.tagName).trim().slice(0, 40))"""


async def bar_is_seen(page: Page, bar: Bar) -> str:
    """From edge to edge, with nothing over it, a second after the page has loaded. Raises Failed."""
    try:
        await page.locator(bar.selector).first.wait_for(timeout=APPEARS_SECONDS * 1000)
    except LateError as late:
        raise Failed("there is no Talkdesk bar") from late
    await settled(page)
    await page.evaluate("window.scrollTo(0, 0)")
    size = page.viewport_size or {"width": 0, "height": 0}
    columns = [*range(0, size["width"], _STEP), size["width"] - 1]
    points = [[x, y] for x in columns for y in (0, bar.height // 2, bar.height - 1)]
    missed = await page.evaluate(_MISSED, [bar.selector, points])
    if missed:
        raise Failed(
            f"something else is in the bar's place at {len(missed)} of {len(points)} points, "
            f"first at {missed[0]}"
        )
    clip: FloatRect = {"x": 0, "y": 0, "width": size["width"], "height": bar.height}
    as_it_is = _image(await page.screenshot(clip=clip, animations="disabled"))
    await page.evaluate(_ALONE, [bar.selector, True])
    alone = _image(await page.screenshot(clip=clip, animations="disabled"))
    await page.evaluate(_ALONE, [bar.selector, False])
    if (box := ImageChops.difference(as_it_is, alone).getbbox()) is not None:
        raise Failed(f"the app paints over the bar, in {box} (left, top, right, bottom)")
    if len(as_it_is.getcolors(maxcolors=size["width"] * bar.height) or ()) < 2:
        raise Failed("nothing is written in the bar")
    if bar.plain:
        edge = {as_it_is.getpixel((x, y)) for x in range(size["width"]) for y in (0, 1, bar.height - 1)}
        if len(edge) > 1:
            raise Failed(f"the bar's edges are not of one colour: {len(edge)} colours")
    return f"{len(points)} points along {size['width']} pixels are the bar's, and nothing is painted over it"


async def bar_covers_nothing(page: Page, bar: Bar) -> str:
    """The app begins below it. Raises Failed."""
    beneath = await page.evaluate(_BENEATH, [bar.selector, bar.height])
    if beneath:
        raise Failed(f"the bar lies over what belongs to the app: {beneath[0]!r}")
    return f"the app begins below the bar's {bar.height} pixels"


async def no_bar(page: Page, bar: Bar) -> str:
    """There is none, a second after the page has loaded. Raises Failed."""
    await settled(page)
    named = page.get_by_role("region", name=bar.name, exact=True) if bar.name else page.locator(bar.selector)
    if await page.locator(bar.selector).count() or await named.count():
        raise Failed("a Talkdesk bar is shown")
    return "no Talkdesk bar is shown"


def _image(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png)).convert("RGB")
