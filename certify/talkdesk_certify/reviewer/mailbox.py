"""The mailbox of everybody in the sandbox: what came for somebody, and what it says."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from talkdesk_certify.check import Failed
from talkdesk_certify.reviewer.prose import ADDRESS, LINK, prose

if TYPE_CHECKING:
    from playwright.async_api import Page

    from talkdesk_certify.reviewer.console import Console

#: How long after the dialogue's message a mail may take.
MAIL_SECONDS = 20.0


@dataclass(frozen=True)
class Mail:
    """One mail as it was read."""

    subject: str
    text: str

    def useful(self, *, to: str, app: str) -> str:
        """It says what happened, whom to ask and what to do next. Raises Failed."""
        missing = []
        if app.casefold() not in prose(f"{self.subject} {self.text}").casefold():
            missing.append(f"the app's name ({app})")
        if not [one for one in ADDRESS.findall(self.text) if one.casefold() != to.casefold()]:
            missing.append("a contact (an e-mail address)")
        if not LINK.search(self.text):
            missing.append("a link to go on")
        if missing:
            raise Failed(f"the mail “{self.subject}” lacks {' and '.join(missing)}")
        return f"“{self.subject}”"


@dataclass
class Mailbox:
    """Of ``address``. ``page`` is where it was looked at."""

    console: Console
    address: str
    page: Page | None = None

    async def number(self, number: int) -> Mail:
        """The mail with that number, from 1, once it has come. Raises Failed where it does not."""
        page = self.page = self.page or await self.console.context.new_page()
        deadline = asyncio.get_running_loop().time() + MAIL_SECONDS
        while True:
            await page.goto(self.console.root.rstrip("/") + "/mailbox")
            mails = page.get_by_role("navigation", name="Mails").get_by_role("link")
            mine = mails.filter(has_text=self.address)
            if (found := await mine.count()) >= number:
                break
            if asyncio.get_running_loop().time() > deadline:
                raise Failed(f"no mail about it came for {self.address} within {MAIL_SECONDS:g} s")
            await asyncio.sleep(0.3)
        await mine.nth(found - number).click()  # the newest is first
        article = page.get_by_role("article")
        subject = await article.get_by_role("heading").inner_text()
        if await (plain := page.get_by_role("link", name="Plain text")).count():
            await plain.click()
        text = await page.get_by_label("Text of the mail").inner_text()
        if await (looks := page.get_by_role("link", name="As it looks")).count():
            await looks.click()
            letter = await page.locator("iframe").get_attribute("src")
            await page.goto(self.console.root.rstrip("/") + str(letter))  # for the screenshot: all of it
        return Mail(subject, text)
