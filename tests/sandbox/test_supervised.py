"""A process of the product that is watched over outside a pod."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from talkdesk_sandbox.node.process import start_ticks

if TYPE_CHECKING:
    from pathlib import Path

WATCHER = """
import asyncio, pathlib, sys
from talkdesk_sandbox.supervised import Supervised

async def main():
    sleeping = (sys.executable, "-c", "import time; time.sleep(60)")
    async with Supervised("webhook", {}, 1, pathlib.Path(sys.argv[1]), program=sleeping) as process:
        while not process.pid:
            await asyncio.sleep(0.01)
        print(process.pid, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.processes
def test_it_ends_with_whoever_watches_over_it_also_where_that_was_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WATCHER, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True
    ) as watcher:
        assert watcher.stdout is not None
        watched = int(watcher.stdout.readline())
        assert start_ticks(watched) is not None
        watcher.kill()
    deadline = time.monotonic() + 10
    while start_ticks(watched) is not None:
        assert time.monotonic() < deadline, "it goes on alone"
        time.sleep(0.05)
