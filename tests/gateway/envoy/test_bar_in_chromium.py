"""The bar in a real browser, through a real Envoy: seen along its whole width, whatever the page does."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from aiohttp import web
from PIL import Image

from talkdesk_crds.app import TalkdeskApp
from talkdesk_crds.installation import TalkdeskInstallation
from talkdesk_gateway.bar import bar_script, csp_sources
from talkdesk_gateway.tenancy import Tenancy
from talkdesk_sandbox.chromium import chromium

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from playwright.async_api import Browser, Page

pytestmark = [
    pytest.mark.processes,
    pytest.mark.asyncio(loop_scope="module"),
    # Playwright leaves the pipes of its driver to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

HEIGHT = 48
COLOR = (0x2A, 0x1A, 0x5E)
# Bars as naive as can be: none of them looks after itself.
_STYLE = "{position:'fixed',top:0,left:0,right:0,height:'48px',background:'#2a1a5e',zIndex:2147483647}"
_MADE = f"const bar=document.createElement('div');bar.className='stub-bar';Object.assign(bar.style,{_STYLE});"
BARS = {
    "in its place": f"{_MADE}bar.dataset.account=document.currentScript.dataset.account;"
    "document.currentScript.after(bar)",
    "under the body": f"{_MADE}bar.dataset.account=document.currentScript.dataset.account;"
    "document.body.append(bar)",
    "the stand-in": files("talkdesk_sandbox.talkdesk").joinpath("pages", "bar.js").read_text(),
}
INLINE = "window.ran=true"
HASH = base64.b64encode(hashlib.sha256(INLINE.encode()).digest()).decode()

APP = """<!doctype html><html><head><title>app</title>{meta}
<script nonce="r4nd0m">window.ran=true</script>
<script>window.other=true</script>
<style nonce="r4nd0m">html,body{{height:100%;margin:0}} * {{box-sizing:border-box}}</style></head>
<body><p id="first" style="margin:0">first line</p></body></html>"""
META = '<meta http-equiv="Content-Security-Policy" content="{}">'
STRICT = "; object-src 'none'; base-uri 'none'"
PAGES: dict[str, tuple[str, str]] = {
    # name: (policy in a header, policy in a meta element)
    "plain": ("", ""),
    "nonce": ("script-src 'nonce-r4nd0m'; style-src 'nonce-r4nd0m'" + STRICT, ""),
    "hash": (f"default-src 'none'; script-src 'sha256-{HASH}'", ""),
    "nonce and strict-dynamic": (
        "default-src 'self'; script-src 'nonce-r4nd0m' 'strict-dynamic'" + STRICT,
        "",
    ),
    "hash and strict-dynamic": (f"script-src 'sha256-{HASH}' 'strict-dynamic'" + STRICT, ""),
    "no scripts at all": ("default-src 'none'; script-src 'none'", ""),
    "nothing at all": ("default-src 'none'", ""),
    "in a meta element": ("", f"default-src 'none'; script-src 'sha256-{HASH}'"),
    "strict-dynamic in a meta element": ("", "script-src 'nonce-r4nd0m' 'strict-dynamic'"),
    "trusted types": ("require-trusted-types-for 'script'; trusted-types app; script-src 'nonce-r4nd0m'", ""),
}


class Site:
    """A tenant whose app, gateway and bar are scripted; the bar's loader is the product's."""

    def __init__(self, edge: Any, cdn: Any, browser: Browser) -> None:
        self.edge, self.cdn, self.browser = edge, cdn, browser
        self.origin = f"http://acme.apps.localhost:{edge.envoy.ports['public']}"
        self.user: str | None = "u1"
        self.page_headers: dict[str, str] = {}
        self.page_text = APP.format(meta="")
        self.saved: list[bytes] = []
        app = {
            "appId": "a1",
            "regions": {"eu": {"api": "api.talkdeskapp.eu", "identity": "talkdeskid.eu"}},
            "baseDomain": "apps.localhost",
            "service": {"name": "web", "port": 8080},
            "template": [],
            "bar": {
                "script": f"http://cdn.localhost:{cdn.port}/bar.js?v=1",
                "attributes": {"data-account": "${account.name}", "data-user": "${user.id}"},
                "height": HEIGHT,
            },
        }
        link = {"at": None, "rank": 10, "event": "e"}
        installation = {
            "appId": "a1",
            "accountId": "acc",
            "installationId": "i1",
            "region": "eu",
            "talkdesk": {"accountName": {**link, "name": 'Acme "&<b>'}},
        }
        made = {"namespace": "td", "creationTimestamp": datetime(2026, 1, 1, tzinfo=UTC).isoformat()}
        parsed = TalkdeskInstallation.model_validate(
            {"metadata": {"name": "i1", **made}, "spec": installation}
        )
        self.reseller = False
        self._tenancy = Tenancy(
            installation=parsed,
            app=TalkdeskApp.model_validate({"metadata": {"name": "a", **made}, "spec": app}),
            host="acme.apps.localhost",
            upstream=None,
            user=lambda _: None,
        )

    @property
    def tenancy(self) -> Tenancy:
        """Of a customer or, with ``reseller``, of an account whose pages are to have no bar."""
        spec = self._tenancy.app.spec.model_copy(update={"resellers": ["acc"] if self.reseller else []})
        return replace(self._tenancy, app=self._tenancy.app.model_copy(update={"spec": spec}))

    def prepare(self, bar: str = "in its place") -> None:
        """Everything as usual."""
        self.reseller = False
        self.user, self.page_headers, self.page_text, self.saved = "u1", {}, APP.format(meta=""), []
        for server in (self.edge.decision, self.edge.web, self.edge.app, self.cdn):
            server.forget()
        self.edge.decision.answer = self._decide
        self.edge.web.answer = self._gateway
        self.edge.app.answer = self._app

        async def script(_: web.Request) -> web.Response:
            return web.Response(text=BARS[bar], content_type="text/javascript")

        self.cdn.answer = script

    async def _decide(self, request: web.Request) -> web.StreamResponse:
        if self.user is None and request.headers.get("sec-fetch-mode") != "navigate":
            return web.Response(status=401, headers={"x-td-sign-in": "/_td/start"})
        bar, more = self.tenancy.app.spec.bar, {}
        assert bar is not None
        if self.tenancy.shows_bar:
            more = {"x-td-bar": "1", "x-td-bar-csp": csp_sources(bar, self.origin)}
        return await self.edge.to(f"127.0.0.1:{self.edge.app.port}", **more)(request)

    async def _gateway(self, request: web.Request) -> web.StreamResponse:
        if request.raw_path == "/_td/bar.js":
            return web.Response(text=bar_script(self.tenancy, "u1"), content_type="text/javascript")
        if request.raw_path == "/_td/session":
            if self.user is None:
                return web.Response(status=401, headers={"x-td-sign-in": "/_td/start"})
            return web.json_response({"user": {"id": self.user, "name": "Ada"}, "ends": 60})
        if request.raw_path.startswith("/_td/start"):
            self.user = self.signs_in_as
            return web.Response(status=303, headers={"location": "/"})
        return web.Response(status=404)

    signs_in_as = "u1"

    async def _app(self, request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            self.saved.append(await request.content.read())
            return web.Response(text="saved")
        return web.Response(text=self.page_text, content_type="text/html", headers=self.page_headers)

    async def open(self) -> Page:
        """The app in a browser of its own, once the bar is there."""
        context = await self.browser.new_context(viewport={"width": 1000, "height": 600})
        page = await context.new_page()
        await page.goto(self.origin + "/")
        if not self.reseller:
            await page.wait_for_selector("talkdesk-bar, .stub-bar", state="attached")
        return page


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_site(shared_edge: Any, server_class: Any) -> AsyncIterator[Site]:
    async def nothing(_: web.Request) -> web.StreamResponse:
        return web.Response(status=404)

    cdn = server_class(nothing)
    await cdn.start()
    async with chromium() as browser:
        yield Site(shared_edge, cdn, browser)
    await cdn.stop()


@pytest.fixture
def site(shared_site: Site) -> Site:
    shared_site.prepare()
    return shared_site


async def assert_seen(page: Page, shot: Path, *, first: str | None = "#first") -> None:
    """The bar is what a click hits and what the eye sees, from edge to edge; the page begins below it."""
    points = [[x, y] for x in (*range(0, 1000, 9), 999) for y in (0, 24, HEIGHT - 1)]
    missed = await page.evaluate(
        """points => points.filter(([x, y]) => {
            const hit = document.elementFromPoint(x, y);
            return !(hit && hit.closest('talkdesk-bar, .stub-bar'));
        })""",
        points,
    )
    assert missed == []
    picture = await page.screenshot(path=shot)
    pixels = Image.open(io.BytesIO(picture)).convert("RGB")
    assert all(pixels.getpixel((x, y)) == COLOR for x in range(1000) for y in (1, HEIGHT - 2))
    assert pixels.getpixel((500, HEIGHT + 2)) == (255, 255, 255)
    if first is not None:
        top = await page.evaluate(
            "selector => document.querySelector(selector).getBoundingClientRect().top", first
        )
        assert HEIGHT <= top <= HEIGHT + 16  # where the page's policy forbids its style, a paragraph's margin


@pytest.mark.parametrize("bar", BARS)
@pytest.mark.parametrize("name", PAGES)
async def test_the_bar_is_seen_along_its_whole_width(site: Site, tmp_path: Path, name: str, bar: str) -> None:
    site.prepare(bar)
    header, meta = PAGES[name]
    site.page_headers = {"content-security-policy": header} if header else {}
    site.page_text = APP.format(meta=META.format(meta) if meta else "")
    page = await site.open()
    await assert_seen(page, tmp_path / "opened.png")
    # The policy still holds for the page itself.
    allowed = (
        not header.startswith("default-src 'none'; script-src 'none'") and header != "default-src 'none'"
    )
    assert await page.evaluate("window.ran === true") is allowed
    assert await page.evaluate("window.other === true") is (not (header or meta))
    told = await page.evaluate("document.querySelector('script[data-account]').dataset.account")
    assert told == 'Acme "&<b>'
    await page.context.close()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "shift_jis"])
async def test_the_bar_is_seen_on_pages_in_other_encodings(site: Site, tmp_path: Path, encoding: str) -> None:
    words = APP.format(meta="").replace("first line", "最初の行")
    kind = "text/html" if encoding == "utf-16" else f"text/html; charset={encoding.replace('16-', '16')}"

    async def page_in_it(_: web.Request) -> web.StreamResponse:
        return web.Response(body=words.encode(encoding), headers={"content-type": kind})

    site.edge.app.answer = page_in_it
    page = await site.open()
    await assert_seen(page, tmp_path / "opened.png")
    assert await page.locator("#first").inner_text() == "最初の行"
    await page.context.close()


CHANGES = {
    "a new address": "history.pushState({}, '', '/elsewhere')",
    "the body's content replaced": "document.body.innerHTML = '<p id=first style=\"margin:0\">again</p>'",
    "the body replaced": "const b = document.createElement('body'); b.style.margin = 0;"
    "b.innerHTML = '<p id=first style=\"margin:0\">again</p>'; document.body.replaceWith(b)",
    "the root's attributes removed": "for (const a of [...document.documentElement.attributes])"
    " document.documentElement.removeAttribute(a.name)",
    "all but head and body removed": "for (const c of [...document.documentElement.children])"
    " if (!['HEAD','BODY'].includes(c.tagName)) c.remove()",
    "a header of the app's on top": "const h = document.createElement('header');"
    "h.style = 'position:fixed;top:0;left:0;right:0;height:20px;background:red;z-index:2147483647';"
    "document.body.append(h)",
    "another look": "const s = new CSSStyleSheet();"
    "s.replaceSync('div{display:none;opacity:.1} html{padding:0;margin:0}');"
    "document.adoptedStyleSheets = [...document.adoptedStyleSheets, s]",
}


# A bar must look after its own looks: nobody else knows what they should be.
_BEYOND_US = {
    ("another look", "under the body"),
    ("another look", "in its place"),
    ("a header of the app's on top", "under the body"),
}


@pytest.mark.parametrize(
    ("change", "bar"),
    [(change, bar) for change in CHANGES for bar in BARS if (change, bar) not in _BEYOND_US],
)
async def test_the_bar_stays_whatever_the_app_does_to_its_page(
    site: Site, tmp_path: Path, change: str, bar: str
) -> None:
    site.prepare(bar)
    page = await site.open()
    for _ in range(2):
        await page.evaluate(f"() => {{ {CHANGES[change]} }}")
        await page.evaluate("() => new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")
        await assert_seen(page, tmp_path / "changed.png")
    await page.context.close()


SEND = {
    "fetch": "fetch('/save', {method: 'POST', body: 'work'}).then(async r => [r.status, await r.text()])",
    "fetch of a Request": "fetch(new Request('/save', {method: 'POST', body: 'work'}))"
    ".then(async r => [r.status, await r.text()])",
    "XMLHttpRequest": """new Promise(done => {
        const x = new XMLHttpRequest(); window.events = [];
        for (const e of ['loadstart', 'readystatechange', 'load', 'error', 'loadend'])
            x.addEventListener(e, () => window.events.push(e + x.readyState));
        x.onload = () => done([x.status, x.responseText]);
        x.open('POST', '/save'); x.setRequestHeader('x-mine', '1'); x.send('work');
    })""",
}


@pytest.mark.parametrize("how", SEND)
async def test_work_that_meets_the_sessions_end_is_saved_after_signing_in_again(
    site: Site, tmp_path: Path, how: str
) -> None:
    page = await site.open()
    await page.evaluate("window.draft = 'unsaved'")
    site.user = None
    saving = asyncio.create_task(page.evaluate(SEND[how]))
    button = page.get_by_role("button", name="Sign in again")
    await button.wait_for()
    await page.screenshot(path=tmp_path / "signed-out.png")
    assert not saving.done()
    assert site.saved == []
    async with page.context.expect_page() as opened:
        await button.click()
    other = await opened.value
    assert await asyncio.wait_for(saving, 20) == [200, "saved"]
    assert site.saved == [b"work"]
    if not other.is_closed():
        await other.wait_for_event("close")
    assert await page.evaluate("window.draft") == "unsaved"
    assert await button.count() == 0
    if how == "XMLHttpRequest":
        expected = ["readystatechange1", "loadstart1"]
        expected += ["readystatechange2", "readystatechange3", "readystatechange4", "load4", "loadend4"]
        assert await page.evaluate("window.events") == expected
        assert site.edge.app.heard[-1].all("x-mine") == ["1"]
    await page.context.close()


async def test_a_request_is_sent_again_in_browsers_that_do_not_show_its_body(site: Site) -> None:
    page = await site.open()
    await page.evaluate("() => { Object.defineProperty(Request.prototype, 'body', {get: () => undefined}) }")
    site.user = None
    saving = asyncio.create_task(page.evaluate(SEND["fetch of a Request"]))
    async with page.context.expect_page():
        await page.get_by_role("button", name="Sign in again").click()
    assert await asyncio.wait_for(saving, 20) == [200, "saved"]
    assert site.saved == [b"work"]
    await page.context.close()


async def test_a_request_whose_body_was_read_fails_as_it_would_without_us(site: Site) -> None:
    page = await site.open()
    told = await page.evaluate(
        """async () => {
            const request = new Request('/save', {method: 'POST', body: 'work'});
            await request.text();
            return fetch(request).then(() => 'sent', problem => problem.name);
        }"""
    )
    assert told == "TypeError"
    await page.context.close()


async def test_the_bar_stays_where_several_signs_say_at_once_that_somebody_is_back(
    site: Site, tmp_path: Path
) -> None:
    site.prepare("under the body")
    page = await site.open()
    site.user = None
    saving = asyncio.create_task(page.evaluate(SEND["fetch"]))
    await page.get_by_role("button", name="Sign in again").wait_for()
    site.user = "u1"
    asked = len([heard for heard in site.edge.web.heard if heard.path == "/_td/session"])
    await page.evaluate("() => { for (let i = 0; i < 3; i++) dispatchEvent(new Event('focus')) }")
    assert await asyncio.wait_for(saving, 20) == [200, "saved"]
    await page.wait_for_load_state("networkidle")
    assert len([heard for heard in site.edge.web.heard if heard.path == "/_td/session"]) == asked + 3
    await page.evaluate("() => { " + CHANGES["the body's content replaced"] + " }")
    await page.evaluate("() => new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")
    await assert_seen(page, tmp_path / "changed.png")
    await page.context.close()


OWN = '<script src="/_td/bar.js" defer></script>'


async def test_a_page_that_shows_no_bar_is_helped_over_a_sessions_end_by_a_loader_of_its_own(
    site: Site, tmp_path: Path
) -> None:
    site.reseller = True
    assert "bar.js" not in await (await site.open()).content(), "the page is left as it is"
    site.page_text = APP.format(meta=OWN)
    page = await site.open()
    assert await page.locator("talkdesk-bar, .stub-bar, #talkdesk-bar").count() == 0
    site.user = None
    saving = asyncio.create_task(page.evaluate(SEND["fetch"]))
    async with page.context.expect_page():
        await page.get_by_role("button", name="Sign in again").click()
    assert await asyncio.wait_for(saving, 20) == [200, "saved"]
    assert site.saved == [b"work"]
    await page.screenshot(path=tmp_path / "no-bar.png")
    await page.context.close()


async def test_a_loader_of_the_pages_own_beside_ours_makes_no_second_bar(site: Site, tmp_path: Path) -> None:
    site.page_text = APP.format(meta=OWN)
    page = await site.open()
    await assert_seen(page, tmp_path / "opened.png")
    assert await page.locator("script[src='/_td/bar.js']").count() == 2
    assert await page.locator("talkdesk-bar, .stub-bar").count() == 1
    site.user = None
    saving = asyncio.create_task(page.evaluate(SEND["fetch"]))
    dismiss = page.get_by_role("button", name="Dismiss")
    await dismiss.wait_for()
    assert await dismiss.count() == 1
    await dismiss.click()
    assert await asyncio.wait_for(saving, 10) == [401, ""]
    await page.context.close()


@pytest.mark.parametrize("how", SEND)
async def test_who_does_not_want_to_sign_in_again_gets_the_refusal(site: Site, how: str) -> None:
    page = await site.open()
    site.user = None
    saving = asyncio.create_task(page.evaluate(SEND[how]))
    await page.get_by_role("button", name="Dismiss").click()
    assert await asyncio.wait_for(saving, 10) == [401, ""]
    assert site.saved == []
    await page.context.close()


ABORTED = {
    "fetch": "fetch('/save', {method: 'POST', body: 'work', signal})",
    "fetch of a Request": "fetch(new Request('/save', {method: 'POST', body: 'work', signal}))",
}


@pytest.mark.parametrize("how", ABORTED)
async def test_a_fetch_that_the_page_aborts_while_the_notice_stands_ends_at_once(
    site: Site, how: str
) -> None:
    page = await site.open()
    site.user = None
    await page.evaluate(
        f"""() => {{
            window.control = new AbortController();
            const signal = window.control.signal;
            window.told = {ABORTED[how]}.then(answer => answer.status, problem => problem.message);
        }}"""
    )
    other = asyncio.create_task(page.evaluate(SEND["fetch"]))
    dismiss = page.get_by_role("button", name="Dismiss")
    await dismiss.wait_for()
    await page.evaluate("window.control.abort(new Error('not needed any more'))")
    assert await asyncio.wait_for(page.evaluate("window.told"), 5) == "not needed any more"
    assert not other.done()
    async with page.context.expect_page():
        await page.get_by_role("button", name="Sign in again").click()
    assert await asyncio.wait_for(other, 20) == [200, "saved"]
    assert site.saved == [b"work"], "what was aborted is not sent"
    await page.context.close()


async def test_work_of_one_user_is_never_saved_as_another(site: Site) -> None:
    page = await site.open()
    site.user, site.signs_in_as = None, "u2"
    try:
        saving = asyncio.create_task(page.evaluate(SEND["fetch"]))
        await page.get_by_role("button", name="Sign in again").click()
        await page.get_by_text("You are now signed in as Ada.").wait_for()
        assert not saving.done()
        assert site.saved == []
        await page.get_by_role("button", name="Dismiss").click()
        assert await asyncio.wait_for(saving, 10) == [401, ""]
        assert site.saved == []
    finally:
        site.signs_in_as = "u1"
    await page.context.close()


async def test_a_401_of_the_apps_own_is_the_apps(site: Site) -> None:
    page = await site.open()

    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.Response(status=401, headers={"x-td-sign-in": "/_td/start"})

    site.edge.app.answer = refuse
    assert await page.evaluate(SEND["fetch"]) == [401, ""]
    assert await page.get_by_role("alert").count() == 0
    await page.context.close()


async def test_frames_and_what_scripts_fetch_have_no_bar(site: Site) -> None:
    page = await site.open()
    inside = await page.evaluate(
        """() => new Promise(done => {
            const frame = document.createElement('iframe'); frame.src = '/frame';
            frame.onload = () => done(frame.contentDocument.documentElement.outerHTML);
            document.body.append(frame);
        })"""
    )
    fetched = await page.evaluate("fetch('/partial').then(r => r.text())")
    assert "bar.js" not in inside
    assert "bar.js" not in fetched
    await page.context.close()
