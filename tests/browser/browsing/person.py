"""A person with a browser of their own, who comes to the app from Talkdesk."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from talkdesk_sandbox.story.observe import NotYet, eventually

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Page, Response

    from browsing.market import Customer

#: Screenshots are kept here; nothing reads them but people.
SHOTS = Path(__file__).parents[3] / "build" / "browser"
WIDTH, HEIGHT = 1280, 1080
_SECONDS = 20.0


@dataclass
class Person:
    """``context`` holds their cookies; ``shots`` is how the files of their screenshots begin."""

    context: BrowserContext
    shots: str
    taken: int = field(default=0)

    @classmethod
    async def of(cls, browser: Browser, shots: str) -> Person:
        """Somebody with an empty browser."""
        context = await browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
        context.set_default_timeout(_SECONDS * 1000)
        return cls(context, shots)

    async def shot(self, page: Page, name: str) -> bytes:
        """A screenshot of what is seen now, kept as ``<test>-<number>-<name>.png``."""
        self.taken += 1
        SHOTS.mkdir(parents=True, exist_ok=True)
        path = SHOTS / f"{self.shots}-{self.taken}-{re.sub(r'[^a-z0-9]+', '-', name.lower())}.png"
        return await page.screenshot(path=path, animations="disabled")

    async def signs_in(self, customer: Customer, user: str) -> Page:
        """At Talkdesk, as in the morning. The page stays at Talkdesk."""
        page = await self.context.new_page()
        await page.goto(f"{customer.talkdesk}/login?change=1")
        await page.locator(f'button[value="{customer.users[user]["id"]}"]').click()
        await page.get_by_text("is signed in to Talkdesk in this browser").wait_for()
        return page

    async def clicks_icon(self, talkdesk: Page, customer: Customer, user: str) -> Visit:
        """The icon of the app on ``talkdesk``, a page of Talkdesk's; the app opens in a new tab."""
        return await self.clicks(talkdesk, await customer.icon(user))

    async def clicks(self, page: Page, url: str) -> Visit:
        """A link to ``url`` on ``page``, which opens a new tab."""
        await page.evaluate(
            """url => {
                const link = document.createElement('a');
                Object.assign(link, {href: url, target: '_blank', textContent: 'open', id: 'link'});
                document.getElementById('link')?.remove();
                document.body.append(link);
            }""",
            url,
        )
        visit = Visit()
        self.context.on("response", visit.hear)
        try:
            async with self.context.expect_page() as opened:
                await page.locator("#link").click()
            visit.page = await opened.value
            await visit.page.wait_for_load_state()
        finally:
            self.context.remove_listener("response", visit.hear)
        return visit

    async def goes(self, page: Page, url: str) -> Visit:
        """Types ``url`` into the tab ``page``."""
        visit = Visit(page)
        self.context.on("response", visit.hear)
        try:
            await page.goto(url)
        finally:
            self.context.remove_listener("response", visit.hear)
        return visit

    async def close(self) -> None:
        """Close the browser window with all tabs."""
        await self.context.close()


class Visit:
    """The documents that a click led over: ``answers`` are (status, host, path), the last is what is seen."""

    page: Page

    def __init__(self, page: Page | None = None) -> None:
        if page is not None:
            self.page = page
        self.answers: list[tuple[int, str, str]] = []

    def hear(self, response: Response) -> None:
        """Another answer of the browser's."""
        if response.request.is_navigation_request():
            parts = urlsplit(response.url)
            self.answers.append((response.status, parts.hostname or "", parts.path))

    @property
    def status(self) -> int:
        """Of the document that is seen."""
        return self.answers[-1][0]

    @property
    def origin(self) -> str:
        """``scheme://host:port`` of the page."""
        parts = urlsplit(self.page.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def hosts(self) -> list[str]:
        """Those that answered on the way."""
        return [host for _, host, _ in self.answers]

    def assert_without_a_click(self) -> None:
        """Redirects alone led to the page: nobody was asked for anything."""
        on_the_way = [status for status, _, _ in self.answers[:-1]]
        assert all(300 <= status < 400 for status in on_the_way), self.answers
        assert not any(path.startswith("/login") for _, _, path in self.answers), self.answers
        assert self.status == 200, self.answers


async def who(page: Page) -> dict[str, Any]:
    """The user whom the app sees behind a background request of ``page``. Raises AssertionError if none."""
    answer = await page.evaluate("fetch('/whoami').then(async r => [r.status, r.ok ? await r.json() : null])")
    assert answer[0] == 200, answer
    user: dict[str, Any] = answer[1]["user"]
    return user


async def all_refused(page: Page) -> None:
    """Wait until every gateway refuses what the open ``page`` asks for, and both are asked."""

    async def refused() -> None:
        statuses = await page.evaluate(
            "Promise.all(Array.from({length: 8}, () => new Promise(done => {"
            "const x = new XMLHttpRequest(); x.open('HEAD', '/whoami', false); x.send(); done(x.status)})))"
        )
        if any(status not in (401, 403) for status in statuses):
            raise NotYet(f"the answers are {statuses}")

    await eventually(refused, within=_SECONDS)
