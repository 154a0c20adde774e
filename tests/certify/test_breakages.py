"""The certification can fail: whatever is broken, the checks that look at it fail, and no others."""

from __future__ import annotations

from typing import Any

import pytest

from certify_breaking.breakage import BREAKAGES, Breakage

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.asyncio(loop_scope="session"),
    # Playwright leaves the pipes of its driver to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.mark.parametrize("breakage", [pytest.param(one, id=one.name.replace(" ", "-")) for one in BREAKAGES])
async def test_what_is_broken_fails_its_checks_and_no_others(workshop: Any, breakage: Breakage) -> None:
    run = await workshop.walked(breakage)
    results = [check for item in run.items for check in item.checks]
    failed = {check.id for check in results if check.status == "fail"}
    assert failed == breakage.fails, [(one.id, one.detail) for one in results if one.status != "pass"]
    # What is not looked at hangs on what failed: nothing else was left out.
    skipped = [one for one in results if one.status == "skipped"]
    assert all("did not pass" in one.detail for one in skipped), [(one.id, one.detail) for one in skipped]
    assert not run.passed
