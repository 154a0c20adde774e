"""A person with a browser window of their own."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from playwright.async_api import Error as BrowserError

from talkdesk_certify.check import Failed
from talkdesk_certify.reviewer.steady import Steady
from talkdesk_certify.reviewer.visit import Listening, Visit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from playwright.async_api import Browser, BrowserContext, Locator, Page, ProxySettings

WIDTH, HEIGHT = 1280, 900
#: How long a page may take to show what is waited for.
PATIENCE_SECONDS = 20.0
#: How often an address is typed; what interrupted it once may come to its end in the next try.
_TRIES = 5
#: Playwright's words for it, and Chromium's where nothing of the first was there yet; neither has a class.
_INTERRUPTED = ("interrupted by another navigation", "net::ERR_ABORTED")


async def window(browser: Browser, *, proxy: str | None = None, state: Path | None = None) -> BrowserContext:
    """A window without cookies, or with those of ``state``; it goes through ``proxy``."""
    # Without the bypass a browser goes to names of this machine by itself.
    through: ProxySettings | None = {"server": proxy, "bypass": "<-loopback>"} if proxy else None
    context = await browser.new_context(
        viewport={"width": WIDTH, "height": HEIGHT}, proxy=through, storage_state=state
    )
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    return context


async def rest(page: Page) -> None:
    """Leave a page of the console's: it looks at itself again whenever anything happens anywhere."""
    if not page.is_closed():
        await page.goto("about:blank")


@dataclass
class Person:
    """A user of a Talkdesk account at ``host`` (a base URL); ``desk`` is their tab at Talkdesk.

    ``link`` is where the app's icon led, once they saw it.
    """

    name: str
    email: str
    host: str
    context: BrowserContext
    desk: Page
    steady: Steady = field(default_factory=Steady)
    link: str | None = None

    @classmethod
    async def signed_in(
        cls, context: BrowserContext, *, name: str, email: str, host: str, steady: Steady
    ) -> Person:
        """Somebody who signs in to Talkdesk, as in the morning."""
        desk = await context.new_page()
        person = cls(name=name, email=email, host=host, context=context, desk=desk, steady=steady)
        query = urlencode({"change": "1", "find": email})
        await desk.goto(f"{host}/login?{query}")
        await desk.get_by_role("button").filter(has_text=email).click()
        await desk.get_by_text("is signed in to Talkdesk in this browser").wait_for()
        return person

    async def apps(self) -> Page:
        """Their My Apps, as it is now."""
        await self.desk.goto(f"{self.host}/apps")
        return self.desk

    def icon(self, app: str) -> Locator:
        """The app's icon in My Apps."""
        return self.desk.get_by_role("link", name=f"Open {app}")

    def gear(self, app: str) -> Locator:
        """The app's gear in My Apps."""
        return self.desk.get_by_role("link", name=f"Manage {app}")

    async def launches(self, app: str) -> Visit:
        """Clicks the app's icon. Raises Failed where there is none."""
        await self.apps()
        icon = self.icon(app)
        if not await icon.count():
            raise Failed(f"My Apps of {self.name} has no icon of {app}")
        self.link = await icon.get_attribute("href")
        visit = await self.clicks(icon)
        await rest(self.desk)
        return visit

    async def clicks(self, link: Locator) -> Visit:
        """Clicks a link that opens a new tab."""
        async with self._listening(self.context) as listening:
            async with self.context.expect_page() as opened:
                await link.click()
            page = await opened.value
            await page.wait_for_load_state()
            await listening.settled(page)
        return Visit(page, listening.hops)

    async def opens(self, url: str, page: Page | None = None) -> Visit:
        """Types an address into a new tab, or into ``page``; again where that went elsewhere meanwhile."""
        page = page or await self.context.new_page()
        async with self._listening(page) as listening:
            await _typed(page, url, listening)
            await listening.settled(page)
        return Visit(page, listening.hops)

    @contextlib.asynccontextmanager
    async def _listening(self, where: BrowserContext | Page) -> AsyncIterator[Listening]:
        listening = Listening()
        where.on("response", listening.hear)
        try:
            async with self.steady.acting():
                yield listening
        finally:
            where.remove_listener("response", listening.hear)


async def _typed(page: Page, url: str, listening: Listening) -> None:
    """Types an address into ``page``; what is heard begins with it."""
    for left in reversed(range(_TRIES)):
        try:
            answer = await page.goto(url)
            break
        except BrowserError as error:
            # A page that was cut off may go elsewhere by itself in the very moment.
            if not left or not any(words in str(error) for words in _INTERRUPTED):
                raise
            await page.wait_for_load_state()
            listening.hops.clear()
    asked = answer.request if answer else None
    while asked and asked.redirected_from:
        asked = asked.redirected_from
    if asked:
        listening.begins(asked.url)
