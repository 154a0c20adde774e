"""Talkdesk's dialogues: installing an app, and managing it by the gear. Each ends in a message."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from playwright.async_api import TimeoutError as LateError

from talkdesk_certify.check import Failed

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

    from talkdesk_certify.reviewer.console import Account

#: The most that a customer waits for what is to happen in near real-time.
NEAR_REAL_TIME_SECONDS = 10.0
#: When waiting for the message is given up.
MESSAGE_SECONDS = 60.0
_FREE = re.compile(r"\bfree\b", re.IGNORECASE)
_PRICE = re.compile(r"\$\s*[1-9]")


@dataclass(frozen=True)
class Ending:
    """The message at a dialogue's end; ``seconds`` from the click on its last button to the message.

    ``at`` is when it was there, by the event loop's clock.
    """

    succeeded: bool
    message: str
    seconds: float
    at: float

    def success(self) -> str:
        """What it says. Raises Failed where it is no success."""
        if not self.succeeded:
            raise Failed(f"the dialogue ended otherwise: {self.message}")
        return f"“{self.message}”"

    def near_real_time(self) -> str:
        """How long it took. Raises Failed where that was too long."""
        told = f"{self.seconds:.1f} s from the click to the message (at most {NEAR_REAL_TIME_SECONDS:g} s)"
        if self.seconds > NEAR_REAL_TIME_SECONDS:
            raise Failed(told)
        return told


async def ending(page: Page, button: Locator) -> Ending:
    """Click the dialogue's last button and wait for its message. Raises Failed where none comes."""
    began = time.perf_counter()
    await button.click()
    over = page.locator('[data-testid="outcome"]:not([data-state="waiting"])')
    try:
        await over.wait_for(timeout=MESSAGE_SECONDS * 1000)
    except LateError as late:
        raise Failed(
            f"no message within {MESSAGE_SECONDS:g} s: the dialogue still waits for the app"
        ) from late
    seconds = time.perf_counter() - began
    text = " ".join((await over.get_by_role("status").inner_text()).split())
    succeeded = await over.get_attribute("data-state") == "succeeded"
    return Ending(succeeded, text, seconds, asyncio.get_running_loop().time())


async def choose_account(page: Page, account: Account) -> None:
    """On the page of a private-install link."""
    await page.get_by_role("link", name=re.compile(rf"^{re.escape(account.name)}\b")).click()


async def choose_free_plan(page: Page) -> str:
    """The first plan that costs nothing. Raises Failed where there is none."""
    free = page.get_by_role("radio", name=_FREE)
    if not await free.count():
        raise Failed("the dialogue offers no free plan")
    await free.first.check()
    name = str(await free.first.get_attribute("value"))
    await page.get_by_role("button", name="Next: users").click()
    await page.get_by_role("group", name=re.compile("^Who will use")).wait_for()
    return name


async def choose_paid_plan(page: Page) -> str:
    """On the gear's page of plans; does not confirm. Raises Failed where there is none."""
    paid = page.get_by_role("radio", name=_PRICE)
    if not await paid.count():
        raise Failed("the dialogue offers no paid plan")
    await paid.first.check()
    return str(await paid.first.get_attribute("value"))


def user(page: Page, email: str) -> Locator:
    """A user's box in a dialogue."""
    return page.get_by_role("checkbox", name=re.compile(re.escape(email)))
