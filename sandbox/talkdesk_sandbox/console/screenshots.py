"""``python -m talkdesk_sandbox.console.screenshots docs/images``: the console as the manual shows it.

A whole sandbox, its story played, a customer who installs by the dialogue, and a picture of each page.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from talkdesk_kube.pod import configure_logging
from talkdesk_sandbox.chromium import chromium
from talkdesk_sandbox.environment import running
from talkdesk_sandbox.story.neighbours import move_in
from talkdesk_sandbox.story.opening import open_story
from talkdesk_sandbox.story.script import play

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Literal

    from playwright.async_api import Browser, Page

    from talkdesk_sandbox.environment import Environment

_WIDE, _HIGH = 1280, 900
_NARROW, _TALL = 390, 844
_MILLISECONDS = 60_000


@dataclass(frozen=True)
class Camera:
    """Where pictures go, and which browser takes them."""

    browser: Browser
    folder: Path

    @contextlib.asynccontextmanager
    async def page(
        self, *, scheme: Literal["light", "dark"] = "light", width: int = _WIDE, height: int = _HIGH
    ) -> AsyncIterator[Page]:
        """A window of somebody with no cookies."""
        context = await self.browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
        )
        context.set_default_timeout(_MILLISECONDS)
        try:
            yield await context.new_page()
        finally:
            await context.close()

    async def take(self, page: Page, name: str) -> None:
        """Keep what is seen as ``console-<name>.png``."""
        path = self.folder / f"console-{name}.png"
        await page.screenshot(path=path, animations="disabled")
        print(path)


async def install(page: Page, console: str, account: str, *, camera: Camera | None = None) -> None:
    """Ada of ``account`` installs the app for herself and Ben, and waits for the answer."""
    await page.goto(console)
    if camera:
        await camera.take(page, "accounts")
    await page.get_by_test_id(f"account-{account}").get_by_role("button", name="Sign in as Ada").click()
    await page.get_by_role("link", name="Marketplace", exact=True).click()
    await page.get_by_role("link", name="Callboard").click()
    await page.get_by_role("link", name="Install Callboard").click()
    if camera:
        await camera.take(page, "install")
    await page.get_by_role("button", name="Next: users").click()
    await page.get_by_role("checkbox", name="Ben").check()
    await page.get_by_role("button", name="Install Callboard").click()
    await page.locator('[data-state="succeeded"]').wait_for()
    if camera:
        await camera.take(page, "installed")


async def take_all(environment: Environment, browser: Browser, folder: Path) -> None:
    """Every picture; what is there already is overwritten."""
    console = environment.stand_in.console
    camera = Camera(browser, folder)
    async with camera.page() as page:
        await install(page, console, "northwind", camera=camera)
        await page.get_by_role("link", name="My Apps", exact=True).first.click()
        await camera.take(page, "my-apps")
        await page.get_by_role("link", name="Manage Callboard").click()
        await camera.take(page, "manage")
        await page.goto(f"{console}timeline")
        await page.get_by_label("Installation").select_option(index=1)
        await page.get_by_role("button", name="Show").click()
        await page.locator(".entry.transition").first.wait_for()
        await camera.take(page, "timeline")
        for name in ("kubernetes", "mailbox", "controls"):
            await page.goto(f"{console}{name}")
            await camera.take(page, name)
    async with camera.page(scheme="dark") as page:
        await page.goto(f"{console}timeline?kind=delivery")
        await page.locator(".entry summary").first.click()
        await camera.take(page, "timeline-dark")
    async with camera.page(width=_NARROW, height=_TALL) as page:
        await page.goto(console)
        await camera.take(page, "accounts-narrow")
        await page.goto(f"{console}timeline")
        await page.locator(".entry").first.wait_for()
        await camera.take(page, "timeline-narrow")


async def _play_and_take(environment: Environment, folder: Path) -> bool:
    async with open_story(environment) as story:
        results = await play(
            story, tell=lambda result: print(f"{'ok' if result.ok else 'no'}  {result.name}")
        )
        if not all(result.ok for result in results):
            return False
        await move_in(story)
        async with chromium() as browser:
            await take_all(environment, browser, folder)
    return True


def main(arguments: list[str] | None = None) -> None:
    """Take the pictures; ends with 1 where the story could not be played."""
    parser = argparse.ArgumentParser(prog="talkdesk_sandbox.console.screenshots", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args(arguments).folder
    configure_logging(level="warning", format="text")
    folder.mkdir(parents=True, exist_ok=True)
    with running(cluster_in_console=True, tell=lambda what, _: print(f"up  {what}")) as environment:
        if not asyncio.run(_play_and_take(environment, folder)):
            sys.exit(1)


if __name__ == "__main__":
    main()
