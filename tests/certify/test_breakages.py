"""The certification can fail: whatever is broken, the checks that look at it fail, and no others."""

from __future__ import annotations

from typing import Any

import pytest

from certify_breaking.breakage import BREAKAGES, UNBROKEN, Breakage
from talkdesk_certify.checks import every_check
from turns import in_turn

#: By the words of its name with dashes. They are in the order of how long they take, the longest first.
TRIED = in_turn({one.name.replace(" ", "-"): one for one in BREAKAGES}, parts=8)


def test_every_check_is_failed_by_a_breakage_or_a_reason_says_why_not() -> None:
    failed = {name for one in BREAKAGES for name in one.fails}
    every = {check.id for check in every_check()}
    # A check of item 8 is one of items 1 to 6 in another account; two of it are a reseller's alone.
    own = {name for name in every if name.removeprefix("8.") == name or name.removeprefix("8.") not in every}
    assert {"8.2.no-bar", "8.3.no-bar"} == {name for name in own if name.startswith("8.")}
    assert failed <= own
    assert own - failed == set(UNBROKEN)
    assert all(UNBROKEN.values())


@pytest.mark.sandbox
@pytest.mark.asyncio(loop_scope="session")
# Playwright leaves the pipes of its driver to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("breakage", TRIED.values(), ids=TRIED)
async def test_what_is_broken_fails_its_checks_and_no_others(workshop: Any, breakage: Breakage) -> None:
    run = await workshop.walked(breakage)
    results = [check for item in run.items for check in item.checks]
    failed = {check.id for check in results if check.status == "fail"}
    assert failed == breakage.fails, [(one.id, one.detail) for one in results if one.status != "pass"]
    assert all(breakage.because in one.detail for one in results if one.status == "fail"), results
    # What is not looked at hangs on what failed: nothing else was left out.
    skipped = [one for one in results if one.status == "skipped"]
    assert all("did not pass" in one.detail for one in skipped), [(one.id, one.detail) for one in skipped]
    assert not run.passed
