"""The report's page in Chromium, with all that a run may bring: everybody can read it, wide or narrow."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import cycle, groupby
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from browsing.legible import wrong_in_any_window
from talkdesk_certify.checks import every_check
from talkdesk_certify.report import write
from talkdesk_certify.result import Certification, CheckResult, ItemResult
from talkdesk_certify.walk import SHOTS
from talkdesk_sandbox.chromium import chromium

if TYPE_CHECKING:
    from pathlib import Path

    from talkdesk_certify.check import Check
    from talkdesk_certify.result import Status

pytestmark = [
    pytest.mark.processes,
    # Playwright leaves the pipes of its driver to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
_STATUSES: tuple[Status, ...] = ("pass", "pass", "fail", "skipped")
_UNBROKEN = "https://app.example/" + "anaddresswithoutanyplacetobreakit" * 8
_LONG = "What was seen takes more than a line to tell, as it does where a page says much. " * 6


def _result(check: Check, status: Status, folder: Path) -> CheckResult:
    shot = f"{SHOTS}/{check.id}.jpeg"
    # Of some checks there is no picture, and some pictures are not of the usual size.
    with_picture = status != "skipped" and not check.id.endswith("success-message")
    if with_picture:
        size = (300, 2000) if check.id.endswith("mail") else (1280, 900)
        Image.new("RGB", size, "#5b2ddb").save(folder / shot)
    return CheckResult(
        id=check.id,
        title=check.title if len(check.id) % 2 else f"{check.title} {_UNBROKEN}",
        status=status,
        detail=_UNBROKEN if status == "fail" else _LONG,
        how=check.how,
        fix=f"{check.fix} {_UNBROKEN}",
        seconds=12345.6,
        screenshot=shot if with_picture else None,
    )


@pytest.fixture
def report(tmp_path: Path) -> str:
    """The page's address: of a run with failures, checks that were left out, long words and pictures."""
    (tmp_path / SHOTS).mkdir()
    statuses = cycle(_STATUSES)
    items = [
        ItemResult(
            id=number,
            title=f"An item with a title {_UNBROKEN if number == '3' else 'that is told'}",
            checks=tuple(_result(check, next(statuses), tmp_path) for check in checks),
            seconds=98765.4,
        )
        for number, checks in groupby(every_check(), lambda check: check.id.partition(".")[0])
    ]
    run = Certification(
        app=f"Callboard {_UNBROKEN}",
        target=_UNBROKEN,
        began=datetime(2026, 11, 29, 12, 0, tzinfo=UTC),
        seconds=98765.4,
        items=tuple(items),
    )
    assert {one.status for item in run.items for one in item.checks} == set(_STATUSES)
    assert [bool(one.shown_by) for one in run.questions].count(False) >= 2
    write(run, tmp_path)
    return (tmp_path / "index.html").as_uri()


async def test_axe_finds_nothing_in_a_report_and_no_text_is_cut(report: str) -> None:
    async with chromium() as browser:
        page = await browser.new_page(reduced_motion="reduce")
        await page.goto(report)
        shown = "all => Promise.all(all.map(one => { one.loading = 'eager'; return one.decode() }))"
        await page.locator("img").evaluate_all(shown)
        assert await wrong_in_any_window(page) == {}
