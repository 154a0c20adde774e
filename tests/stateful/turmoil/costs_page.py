"""``docs/costs.md``: written from what was counted, and read again to be compared with what is counted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from turmoil.costs import Costs

#: (fewest, most) times.
Range = tuple[int, int]
Page = dict[str, dict[str, Range]]

_CHANGES_A_DEPLOYMENT = "operator: patch deployments"
_ROW = re.compile(r"\| (?P<what>[^|]+) \| (?P<few>\d+)(?: to (?P<many>\d+))? \|")


def ranges(lives: Sequence[Mapping[str, Costs]]) -> Page:
    """Fewest and most times of each request in each step."""
    page: Page = {}
    for step in lives[0]:
        counted = [life[step] for life in lives]
        requests = sorted({what for one in counted for what in one}, key=_order)
        page[step] = {
            what: (min(one[what] for one in counted), max(one[what] for one in counted)) for what in requests
        }
    return page


def rendered(page: Page, *, head: str, why: Mapping[str, str]) -> str:
    """The page's text. KeyError names a request that nobody explains."""
    parts = [head]
    for step, requests in page.items():
        few, many = (sum(one[end] for one in requests.values()) for end in (0, 1))
        parts.append(f"\n## {step[0].upper()}{step[1:]}\n\nIn all {_times((few, many))}.\n\n")
        parts.append("| request | times | why |\n| --- | --- | --- |\n")
        parts += [f"| {what} | {_times(times)} | {why[what]} |\n" for what, times in requests.items()]
    return "".join(parts)


def read(text: str) -> Page:
    """What a rendered page says."""
    page: Page = {}
    for part in text.split("\n## ")[1:]:
        step = part.partition("\n")[0]
        rows = (_ROW.match(line) for line in part.splitlines())
        page[step[0].lower() + step[1:]] = {
            row["what"]: (int(row["few"]), int(row["many"] or row["few"])) for row in rows if row is not None
        }
    return page


def untrue(
    page: Page, counted: Mapping[str, Costs], *, exact: Iterable[str], busy: Mapping[str, int]
) -> list[str]:
    """Where one life contradicts the page.

    Requests that are ``exact`` are made as often as it says; of others half as many more or less (one at the
    least) may be made, for the machine may be busy; and so many more as ``busy`` says, where that is more and
    the step changes a Deployment.
    """
    found, strict = [], frozenset(exact)
    for step, costs in counted.items():
        said = page.get(step, {})
        for what in sorted({*costs, *said}, key=_order):
            few, many = said.get(what, (0, 0))
            slack = 0 if what in strict and few == many else max(1, many // 2)
            more = max(slack, busy.get(what, 0)) if costs[_CHANGES_A_DEPLOYMENT] else slack
            if not few - slack <= costs[what] <= many + more:
                found.append(f"{step}: {what}: {costs[what]} times, the page says {_times((few, many))}")
    return found


def _times(times: Range) -> str:
    few, many = times
    return str(few) if few == many else f"{few} to {many}"


def _order(what: str) -> tuple[int, str]:
    lines = ("webhook", "operator", "Talkdesk")
    return lines.index(what.partition(":")[0]), what
