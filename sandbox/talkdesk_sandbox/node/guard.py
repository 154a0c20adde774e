"""A second process that outlives the node just long enough to kill what the node left behind.

The parent-death signal reaches only the processes the node started itself. What those started in turn (a
server's workers) would live on after ``kill -9`` of the node. The guard holds one end of a pipe; when the
node is gone, however it went, the pipe closes, and the guard kills every session in the node's records.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from talkdesk_sandbox.node.process import kill_session
from talkdesk_sandbox.node.records import Records


def start_guard(folder: Path) -> tuple[int, int]:
    """Fork the guard (call it while there is one thread and no event loop). Gives its pid and the pipe to hold open."""
    reading, writing = os.pipe()
    os.set_inheritable(writing, False)
    pid = os.fork()
    if pid:
        os.close(reading)
        return pid, writing
    try:
        os.setsid()
        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)
        os.closerange(writing, writing + 1)
        silence = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(silence, standard)
        while os.read(reading, 1):
            pass
        kill_recorded(folder)
    finally:
        os._exit(0)


def kill_recorded(folder: Path) -> None:
    """Kill every session the records in ``folder`` name."""
    for record in Records(folder).read_all():
        for container in record.containers.values():
            if container.pid:
                kill_session(container.pid, container.start_ticks)
