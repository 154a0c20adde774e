from __future__ import annotations

import asyncio
import signal
import sys

import pytest

PROGRAM = """
import asyncio
from talkdesk_kube.pod.signals import stop_on_signals

async def main():
    stop = stop_on_signals()
    print("ready", flush=True)
    await stop.wait()
    print("stopping", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.processes
async def test_the_first_signal_asks_and_the_second_forces() -> None:
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert program.stdout is not None
    async with asyncio.timeout(20):
        assert await program.stdout.readline() == b"ready\n"
        program.send_signal(signal.SIGTERM)
        line = b""
        while line != b"stopping\n":
            line = await program.stdout.readline()
            assert line
        assert program.returncode is None
        program.send_signal(signal.SIGTERM)
        await program.communicate()
    assert program.returncode == -signal.SIGTERM
