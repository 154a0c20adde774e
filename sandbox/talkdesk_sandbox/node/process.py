"""Local processes that die with the node: each leads a session of its own and asks for the parent-death signal."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> Callable[[], None]:
    """What a child runs before its program: SIGKILL when this process ends, also when it ended in between."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def before_exec() -> None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    return before_exec


def start_ticks(pid: int) -> int | None:
    """When a process began, in clock ticks since boot; with the pid it names one process for good. None: no such process."""
    fields = _stat(pid)
    return int(fields[19]) if fields and fields[0] != "Z" else None


def session_members(leader: int) -> list[int]:
    """Every living process of the session that ``leader`` began."""
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields and fields[0] not in "ZX" and int(fields[3]) == leader:
                members.append(int(entry.name))
    return members


def kill_session(leader: int, ticks: int) -> None:
    """SIGKILL to all of a session, unless the pid has meanwhile become another program's."""
    present = start_ticks(leader)
    if present is not None and present != ticks:
        return
    for pid in session_members(leader):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _stat(pid: int) -> list[str]:
    """Fields of ``/proc/<pid>/stat`` after the name (which may hold blanks): state, ppid, pgrp, session, …"""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    return text.rpartition(")")[2].split()


@dataclass(frozen=True)
class Command:
    """A program to run: all words and variables final, ``folder`` existing, output appended to ``log`` (mode 0600)."""

    argv: Sequence[str]
    env: Mapping[str, str]
    folder: Path
    log: Path | None = None


class Process:
    """A running program. ``wait()`` gives its exit code, 128 + signal for one that was killed."""

    def __init__(self, child: asyncio.subprocess.Process, ticks: int) -> None:
        self._child = child
        self.pid = child.pid
        self.start_ticks = ticks

    @classmethod
    async def start(cls, command: Command) -> Process:
        """Raises OSError (no such program, not executable, …)."""
        if command.log is None:
            output = asyncio.subprocess.DEVNULL
        else:
            output = os.open(command.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            child = await asyncio.create_subprocess_exec(
                *command.argv,
                env=dict(command.env),
                cwd=command.folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=die_with_parent(),
            )
        finally:
            if output >= 0:
                os.close(output)
        return cls(child, start_ticks(child.pid) or 0)

    async def wait(self) -> int:
        """Wait for the program; whatever it left behind in its session is killed, as in a container."""
        code = await self._child.wait()
        kill_session(self.pid, self.start_ticks)
        return code if code >= 0 else 128 - code

    def terminate(self) -> None:
        """SIGTERM to the program itself (not to its children: it is the container's process 1)."""
        with contextlib.suppress(ProcessLookupError):
            self._child.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to the whole session."""
        with contextlib.suppress(ProcessLookupError):
            self._child.kill()
        kill_session(self.pid, self.start_ticks)


async def run(command: Command, *, within: float) -> int | None:
    """Run a program to its end; None where it took longer than ``within`` seconds and was killed. Raises OSError."""
    process = await Process.start(command)
    try:
        return await asyncio.wait_for(process.wait(), within)
    except TimeoutError:
        return None
    finally:
        process.kill()
