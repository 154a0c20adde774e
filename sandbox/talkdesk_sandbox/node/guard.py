"""A second process that outlives the node just long enough to kill what the node left behind.

The parent-death signal reaches only the processes the node started itself. What those started in turn (a
server's workers) would live on after ``kill -9`` of the node. The guard holds one end of a pipe; when the
node is gone, however it went, the pipe closes, and the guard kills every process that carries its mark.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from talkdesk_sandbox.node.process import kill_marked

if TYPE_CHECKING:
    from pathlib import Path

#: Variable in the environment of everything a node starts; its value is the node's folder.
MARK = "SANDBOX_NODE"


def start_guard(folder: Path) -> tuple[int, int]:
    """Fork the guard, while there is one thread and no event loop. Its pid, and the pipe to hold open."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(reading)
        return pid, writing
    try:
        os.setsid()
        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)
        os.close(writing)
        silence = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(silence, standard)
        while os.read(reading, 1):
            pass
        kill_left_behind(folder)
    finally:
        os._exit(0)


def kill_left_behind(folder: Path) -> None:
    """Kill every process that a node of this folder started and did not end."""
    kill_marked(MARK, str(folder))
