"""How much of an install is ours: seconds of our own ÷ seconds of the workload's start. See README.md."""

from __future__ import annotations

import argparse
import asyncio
import statistics
from typing import TYPE_CHECKING

from talkdesk_kube.pod import configure_logging
from talkdesk_sandbox.environment import running
from talkdesk_sandbox.measure import time_installs
from talkdesk_sandbox.story.opening import open_story

if TYPE_CHECKING:
    from talkdesk_sandbox.environment import Environment
    from talkdesk_sandbox.measure import InstallTime


async def measured(environment: Environment, *, number: int) -> list[InstallTime]:
    """So many installs; the first, which warms everything up, is left out."""
    async with open_story(environment) as story:
        times = [one async for one in time_installs(story, number=number + 1)]
    return times[1:]


def main() -> None:
    """Print the ratio, and what it is made of."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--installs", type=int, default=20)
    number = parser.parse_args().installs
    configure_logging(level="warning", format="text")
    with running() as environment:
        times = asyncio.run(measured(environment, number=number))
    ratios = sorted(one.ours / one.started for one in times)
    median = statistics.median
    spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}, {number} installs"
    print(f"ours ÷ workload's start: {median(ratios):.2f} ({spread})")
    print(
        f"medians in seconds: made {median(one.made for one in times):.2f},"
        f" workload's start {median(one.started for one in times):.2f},"
        f" approved {median(one.approved for one in times):.2f}"
    )


if __name__ == "__main__":
    main()
