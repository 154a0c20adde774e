"""The stand-in's bar in a real browser: on top and whole, whatever the page does to its own document."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from aiohttp import web
from PIL import Image

from talkdesk_sandbox.chromium import chromium
from talkdesk_sandbox.talkdesk.bar_api import routes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Page

pytestmark = [
    pytest.mark.processes,
    pytest.mark.asyncio(loop_scope="module"),
    # Playwright leaves the pipes of its driver to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

HEIGHT = 48
COLOR = (0x2A, 0x1A, 0x5E)
WORDS = 'data-account="acme" data-user="Ada &lt;Lovelace&gt;"'
PAGE = """<!doctype html><html><head><title>app</title>
<script src="/bar.js" {words} defer></script><style>{css}</style></head>
<body><p id="first" style="margin:0">first line</p>{body}<script>{script}</script></body></html>"""
HOSTILE = {
    "no style at all": {},
    "everything hidden": {
        "css": "* { display: none !important } html, body, #first { display: block !important }"
    },
    "everything transparent": {"css": "*, ::before { opacity: 0 !important; visibility: hidden !important }"},
    "everything moved": {"css": "* { transform: translateY(9em) !important; position: absolute !important }"},
    "named in the page's style": {"css": "talkdesk-bar { display: none !important; height: 0 !important }"},
    "by role": {
        "css": "[role=region] { z-index: -1 !important; top: 9em !important; width: 1px !important }"
    },
    "its own root": {"css": "html { padding: 0 !important; overflow: hidden !important; height: 100% }"},
    "covered later by the highest index": {
        "script": "onload=()=>{const over=document.createElement('div');over.style.cssText="
        "'position:fixed;inset:0;z-index:2147483647;background:#fff';document.documentElement.append(over)}"
    },
    "a scrolled page": {"body": '<div style="height:5000px"></div>', "script": "scrollTo(0, 3000)"},
    "the body replaced": {"script": "onload=()=>{document.body.replaceWith(document.createElement('body'))}"},
    "the root emptied": {
        "script": "onload=()=>document.documentElement.replaceChildren(document.createElement('body'))"
    },
    "the document written anew": {
        "script": "onload=()=>{document.open();document.write('<p id=first>anew</p>');document.close()}"
    },
    "taken away": {"script": "onload=()=>document.querySelector('talkdesk-bar').remove()"},
    "undressed": {
        "script": "onload=()=>{const b=document.querySelector('talkdesk-bar');b.removeAttribute('style');"
        "b.hidden=true;b.hidePopover();b.style.display='none'}"
    },
    "navigated in the page": {
        "script": "onload=()=>{history.pushState({},'','/else');document.body.innerHTML='<h1>else</h1>'}"
    },
}


class Site:
    """Pages that load the bar from their own host, under the policy they name."""

    def __init__(self, browser: Browser, url: str, pages: dict[str, tuple[str, str]]) -> None:
        self._browser, self._url, self._pages = browser, url, pages

    async def open(self, html: str, *, policy: str = "", width: int = 800) -> Page:
        path = f"/page/{len(self._pages)}"
        self._pages[path] = html, policy
        page = await self._browser.new_page(viewport={"width": width, "height": 400})
        await page.goto(self._url + path)
        return page


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site() -> AsyncIterator[Site]:
    pages: dict[str, tuple[str, str]] = {}

    async def serve(request: web.Request) -> web.Response:
        text, policy = pages[request.path]
        headers = {"Content-Security-Policy": policy} if policy else {}
        return web.Response(text=text, content_type="text/html", headers=headers)

    app = web.Application()
    app.add_routes(routes)
    app.router.add_get("/page/{number}", serve)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with chromium() as browser:
            yield Site(browser, f"http://app.localhost:{runner.addresses[0][1]}", pages)
    finally:
        await runner.cleanup()


def _page(**parts: str) -> str:
    return PAGE.format_map({"words": WORDS, "css": "", "body": "", "script": "", **parts})


async def _on_top(page: Page) -> bool:
    """Whether the bar is what is hit along its whole width, and nowhere below."""
    return bool(
        await page.evaluate(
            """([height]) => {
              const hit = (x, y) => document.elementFromPoint(x, y)?.localName === 'talkdesk-bar';
              const row = y => Array.from({length: Math.ceil(innerWidth / 8)}, (_, n) => hit(n * 8, y));
              const inside = [1, height / 2, height - 1].every(y => row(y).every(Boolean));
              return inside && !row(height + 1).some(Boolean);
            }""",
            [HEIGHT],
        )
    )


async def _painted(page: Page) -> bool:
    """Whether its edges have its colour along the whole width."""
    picture = Image.open(io.BytesIO(await page.screenshot(animations="disabled"))).convert("RGB")
    rows = (0, HEIGHT - 1)
    return all(picture.getpixel((x, y)) == COLOR for y in rows for x in range(picture.width))


async def _until_on_top(page: Page) -> None:
    await page.wait_for_function("document.readyState === 'complete'")
    for _ in range(200):
        if await _on_top(page) and await _painted(page):
            return
        await page.evaluate("() => new Promise(requestAnimationFrame)")
    raise AssertionError("the bar is not on top")


@pytest.mark.parametrize("parts", HOSTILE.values(), ids=HOSTILE)
async def test_it_is_on_top_along_its_whole_width_whatever_the_page_does(site: Site, parts: Any) -> None:
    page = await site.open(_page(**parts))
    try:
        await _until_on_top(page)
    finally:
        await page.close()


@pytest.mark.parametrize("width", [320, 800, 1600])
async def test_it_says_where_one_is_and_as_whom(site: Site, width: int) -> None:
    page = await site.open(_page(), width=width)
    try:
        bar = page.get_by_role("region", name="Talkdesk")
        assert await bar.count() == 1
        await _until_on_top(page)
        for word in ("Talkdesk", "acme", "Ada <Lovelace>"):
            assert await bar.get_by_text(word, exact=True).is_visible(), word
        assert await page.evaluate("document.querySelector('#first').getBoundingClientRect().top") >= HEIGHT
    finally:
        await page.close()


@pytest.mark.parametrize(
    "policy",
    ["default-src 'none'; script-src 'self'", "script-src 'self'; style-src 'none'; base-uri 'none'"],
)
async def test_a_strict_policy_lets_its_styles_be(site: Site, policy: str) -> None:
    page = await site.open(_page(), policy=f"{policy}; require-trusted-types-for 'script'")
    try:
        await _until_on_top(page)
    finally:
        await page.close()


async def test_a_page_as_high_as_the_window_stays_so(site: Site) -> None:
    page = await site.open(_page(css="html, body { height: 100%; margin: 0 }"))
    try:
        await _until_on_top(page)
        assert await page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    finally:
        await page.close()


async def test_a_page_that_takes_it_away_each_time_is_not_driven_into_a_loop(site: Site) -> None:
    script = (
        "window.taken=window.most=0;let now=0;const frame=()=>{now=0;requestAnimationFrame(frame)};frame();"
        "onload=()=>{new MutationObserver(()=>{const b=document.querySelector('talkdesk-bar');"
        "if(b){b.remove();window.taken++;window.most=Math.max(window.most,++now)}})"
        ".observe(document.documentElement,{childList:true});"
        "document.body.before(document.createComment(''))}"
    )
    page = await site.open(_page(script=script))
    try:
        await page.wait_for_function("window.taken > 20")  # it comes back, and the page still runs
        assert await page.evaluate("window.most") <= 2, "times in one frame"
    finally:
        await page.close()


async def test_loaded_twice_there_is_one_and_it_says_the_newest(site: Site) -> None:
    second = '<script src="/bar.js" data-account="umbrella" data-user="Bob" defer></script>'
    page = await site.open(_page(body=second))
    try:
        await _until_on_top(page)
        assert await page.locator("talkdesk-bar").count() == 1
        assert await page.get_by_text("umbrella").is_visible()
        assert await page.get_by_text("acme").count() == 0
    finally:
        await page.close()


async def test_a_frame_within_the_page_has_none_of_its_own(site: Site) -> None:
    inner = await site.open(_page())
    path = inner.url.partition("localhost")[2].partition("/")[2]
    await inner.close()
    page = await site.open(_page(body=f'<iframe src="/{path}"></iframe>'))
    try:
        await _until_on_top(page)
        assert await page.frame_locator("iframe").locator("#first").is_visible()
        assert await page.frame_locator("iframe").locator("talkdesk-bar").count() == 0
    finally:
        await page.close()


async def test_without_words_it_is_there_all_the_same(site: Site) -> None:
    page = await site.open(_page(words=""))
    try:
        await _until_on_top(page)
        said = "document.querySelector('talkdesk-bar').shadowRoot.textContent"
        assert await page.evaluate(said) == "Talkdesk"
    finally:
        await page.close()
