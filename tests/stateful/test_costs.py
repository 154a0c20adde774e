"""docs/costs.md is what is counted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from turmoil.costs import life
from turmoil.costs_page import ranges, read, rendered, untrue
from turmoil.round import begin, end

if TYPE_CHECKING:
    from typing import Any

    from turmoil.costs import Costs

    Ground = Any

PAGE = Path(__file__).parents[2] / "docs" / "costs.md"
WORDS = yaml.safe_load(Path(__file__).with_name("costs.yaml").read_text())
#: Lives that a page is written from.
LIVES = 4


def _words() -> dict[str, Any]:
    return {name: WORDS[name] for name in ("head", "why")}


async def _one(ground: Ground) -> dict[str, Costs]:
    made = await begin(ground.arena, apps=1, accounts=1)
    try:
        return {step: costs async for step, costs in life(made)}
    finally:
        await end(made)


def test_the_page_on_costs_says_what_is_counted(ground: Ground) -> None:
    if os.environ.get("COSTS") == "write":
        lives = [ground.loop.run(_one(ground)) for _ in range(LIVES)]
        PAGE.write_text(rendered(ranges(lives), **_words()))
    page = read(PAGE.read_text())
    assert rendered(page, **_words()) == PAGE.read_text(), "written by hand? make costs writes it"
    assert untrue(page, ground.loop.run(_one(ground)), exact=WORDS["exact"], busy=WORDS["busy"]) == []
