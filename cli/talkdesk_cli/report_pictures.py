"""``python -m talkdesk_cli.report_pictures REPORT docs/images``: the report as the manual shows it."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from talkdesk_sandbox.chromium import chromium

if TYPE_CHECKING:
    from playwright.async_api import Browser

_PICTURES: tuple[tuple[str, int, Literal["light", "dark"], str | None], ...] = (
    ("report", 1280, "light", None),
    ("report-dark", 1280, "dark", None),
    ("report-narrow", 390, "light", None),
    ("questions", 1280, "light", "questions"),
    ("check", 1280, "light", "item-2"),
    ("check-narrow", 390, "dark", "item-4"),
)
_HIGH = 900
#: Pictures load when they come into view, if nobody asks for them.
_LOADED = "[...document.images].map(one => { one.loading = 'eager'; return one.complete }).every(Boolean)"


async def _take(browser: Browser, report: str, folder: Path) -> None:
    for name, width, scheme, at in _PICTURES:
        context = await browser.new_context(
            viewport={"width": width, "height": _HIGH}, color_scheme=scheme, reduced_motion="reduce"
        )
        page = await context.new_page()
        await page.goto(report)
        if at is not None:
            await page.evaluate("id => document.getElementById(id).scrollIntoView()", at)
        await page.wait_for_function(_LOADED)
        path = folder / f"certification-{name}.png"
        await page.screenshot(path=path, animations="disabled")
        print(path)  # noqa: T201 - whoever takes pictures wants to know where they are
        await context.close()


async def _main(report: str, folder: Path) -> None:
    async with chromium() as browser:
        await _take(browser, report, folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="talkdesk_cli.report_pictures", description=__doc__)
    parser.add_argument("report", type=Path)
    parser.add_argument("folder", type=Path)
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(_main((chosen.report.absolute() / "index.html").as_uri(), chosen.folder))
