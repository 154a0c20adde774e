"""A visit to the app: the documents that a click led over, and what is seen in the end."""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from playwright.async_api import Error as BrowserError

from talkdesk_certify.check import Failed
from talkdesk_certify.reviewer.drawn import settled

if TYPE_CHECKING:
    from playwright.async_api import Page, Request, Response

#: The status of a page that asks for nothing and goes on by itself, and how long that may take.
WAITING = 202
WAITING_SECONDS = 10.0
#: Roles whose names tell a user what a page wants.
SPEAKING: tuple[Literal["button", "link", "heading"], ...] = ("button", "link", "heading")
_LOGIN = re.compile(r"^\s*(log|sign)[ -]?in\b", re.IGNORECASE)
#: Whether the page shows the document that was answered with that status.
_SEEN = "status => performance.getEntriesByType('navigation')[0]?.responseStatus === status"
_LOGIN_PATH = re.compile(r"/(log|sign)[-_]?in(/|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Hop:
    """One document on the way."""

    status: int
    url: str

    def __str__(self) -> str:
        """Status, host and path: what a link carries stays out of reports."""
        parts = urlsplit(self.url)
        return f"{self.status} {parts.netloc}{parts.path}"


@dataclass
class Visit:
    """``hops`` are the documents in their order; the last of them is what ``page`` shows."""

    page: Page
    hops: list[Hop] = field(default_factory=list)

    @property
    def status(self) -> int:
        """Of what is seen; 0 where nothing answered."""
        return self.hops[-1].status if self.hops else 0

    @property
    def origin(self) -> str:
        """``scheme://host:port`` of what is seen."""
        return origin_of(self.page.url)

    @property
    def way(self) -> str:
        """Every hop, for a report."""
        return " → ".join(map(str, self.hops)) or "nothing answered"

    @property
    def told(self) -> str:
        """The end of the way, for a report."""
        waits = [hop for hop in self.hops if hop.status == WAITING]
        redirects = len(self.hops) - 1 - len(waits)
        told = f"{self.status} from {urlsplit(self.page.url).netloc}, after {redirects} redirects"
        return f"{told} and a page that went on by itself" if waits else told

    async def words(self) -> str:
        """What the app itself shows as text; the Talkdesk bar is no part of it."""
        return await self.page.locator("body").inner_text()

    async def entered(self) -> None:
        """The app answers with a page. Raises Failed."""
        if self.status != 200:
            said = " ".join((await self.words()).split())[:160]
            raise Failed(f"no page of the app: {self.way}. It says: {said!r}")

    async def unasked(self) -> None:
        """Redirects alone led here, and nothing asks who one is, once it is drawn. Raises Failed."""
        stops = [hop for hop in self.hops[:-1] if hop.status != WAITING and not 300 <= hop.status < 400]
        logins = [hop for hop in self.hops if _LOGIN_PATH.search(urlsplit(hop.url).path)]
        if stops or logins:
            raise Failed(f"somebody was asked on the way: {self.way}")
        await settled(self.page)
        if await self.page.locator('input[type="password"]:visible').count():
            raise Failed("the app asks for a password")
        for role in SPEAKING:
            found = self.page.get_by_role(role, name=_LOGIN)
            if await found.count():
                raise Failed(f"the app asks to sign in: {await found.first.inner_text()!r}")


class Listening:
    """Hears which documents a browser gets."""

    def __init__(self) -> None:
        self.hops: list[Hop] = []
        self._heard = asyncio.Event()

    def hear(self, response: Response) -> None:
        """Another answer of the browser's."""
        if response.request.is_navigation_request() and not _in_frame(response.request):
            self.hops.append(Hop(response.status, response.url))
            self._heard.set()

    def begins(self, url: str) -> None:
        """Forget what was heard before ``url``: there the page went by itself."""
        before = next((number for number, hop in enumerate(self.hops) if hop.url == url), 0)
        del self.hops[:before]

    async def settled(self, page: Page) -> None:
        """Wait while ``page`` says that it goes on by itself, as a customer would: for a few seconds."""
        if any(hop.status == WAITING for hop in self.hops):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WAITING_SECONDS):
                    while self.hops[-1].status == WAITING or 300 <= self.hops[-1].status < 400:
                        self._heard.clear()
                        await self._heard.wait()
            # What was heard is not yet what is seen: until then the page that went on counts as loaded.
            await page.wait_for_function(_SEEN, arg=self.hops[-1].status)
        await page.wait_for_load_state()


def _in_frame(request: Request) -> bool:
    """Whether a document asks for it as a part of itself."""
    try:
        return request.frame.parent_frame is not None
    except BrowserError:
        # A new tab's first document is asked for before the tab is known.
        return False


def origin_of(url: str) -> str:
    """``scheme://host:port`` of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
