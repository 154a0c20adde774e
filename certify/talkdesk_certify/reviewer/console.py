"""The sandbox's console: accounts and people are made there, and Talkdesk's clock is moved."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from talkdesk_certify.check import NotReached
from talkdesk_certify.reviewer.steady import Steady
from talkdesk_certify.reviewer.visit import origin_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from playwright.async_api import BrowserContext, Page


@dataclass(frozen=True)
class Account:
    """A customer at Talkdesk; ``host`` is the base URL of its pages."""

    name: str
    host: str


@dataclass
class Console:
    """``root`` is the console's address; ``context`` a window in which nobody is signed in."""

    root: str
    context: BrowserContext
    steady: Steady = field(default_factory=Steady)

    async def open(self, path: str = "") -> Page:
        """A page of the console, in a tab of its own."""
        page = await self.context.new_page()
        await page.goto(self.root.rstrip("/") + "/" + path)
        return page

    async def install_link(self, app: str) -> str:
        """The app's private-install link. Raises NotReached."""
        page = await self.open()
        row = page.get_by_role("listitem").filter(has_text=app)
        link = row.get_by_test_id("install-link").first
        if not await link.count():
            raise NotReached(f"the console at {self.root} shows no private-install link of {app}")
        url = await link.get_attribute("href")
        await page.close()
        return str(url)

    async def account(self, name: str) -> Account:
        """An account that is there. Raises NotReached."""
        page = await self.open()
        return await self._account(page, name)

    async def _account(self, page: Page, name: str) -> Account:
        """As the console's first ``page`` shows it, which is closed."""
        card = page.get_by_test_id(f"account-{name}")
        link = card.get_by_role("link", name=f"My Apps of {name}")
        if not await link.count():
            raise NotReached(f"the console at {self.root} shows no account {name}")
        host = origin_of(str(await link.get_attribute("href")))
        await page.close()
        return Account(name, host)

    async def new_account(self, name: str, region: str) -> Account:
        """A new customer without users; ``region`` as Talkdesk calls it: us, eu, ca."""
        page = await self.open()
        form = page.get_by_role("region", name="New account")
        await form.get_by_role("textbox", name="Name").fill(name)
        await form.get_by_label("Region").select_option(region)
        await form.get_by_role("button", name="Make the account").click()
        await page.get_by_test_id(f"account-{name}").wait_for()
        return await self._account(page, name)

    async def ends_trial(self, account: Account, app: str) -> None:
        """Talkdesk ends the trial of the app in that account. Raises NotReached where there is none."""
        page = await self.open("controls")
        section = page.get_by_role("region", name="What Talkdesk does to an installation")
        name = re.compile(re.escape(f"{account.name}: {app} ("))
        ours = section.get_by_role("option", name=name)
        if not await ours.count():
            raise NotReached(f"the console at {self.root} shows no installation of {app} in {account.name}")
        await section.get_by_label("Installation").select_option(await ours.first.get_attribute("value"))
        async with page.expect_navigation() as ended:
            await section.get_by_role("button", name="End the trial", exact=True).click()
        if (status := (await ended.value).status) != 200:
            raise NotReached(f"there is no trial to end: the console answered {status}")
        await page.close()

    async def new_users(self, account: Account, people: Iterable[tuple[str, str]]) -> None:
        """Somebody new in the account, one after another, by name and e-mail address."""
        page = await self.open()
        card = page.get_by_test_id(f"account-{account.name}")
        for name, email in people:
            await card.get_by_text("Add a user").click()
            await card.get_by_role("textbox", name="Name").fill(name)
            await card.get_by_role("textbox", name="E-mail").fill(email)
            async with page.expect_navigation():
                await card.get_by_role("button", name="Add the user").click()
        await page.close()

    async def moves_clock(self, seconds: int) -> None:
        """Let time pass at Talkdesk, once nobody is on their way."""
        page = await self.open("controls")
        section = page.get_by_role("region", name="Talkdesk\N{RIGHT SINGLE QUOTATION MARK}s clock")
        await section.get_by_role("spinbutton", name="Seconds").fill(str(seconds))
        async with self.steady.moving(), page.expect_navigation():
            await section.get_by_role("button", name="Move on").click()
        await page.close()
