"""Local processes that die with the node: each leads a session and asks for the parent-death signal."""

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
_ROUNDS = 100


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
    """When a process began (ticks since boot): with the pid, a name for good. None: it is not there."""
    fields = _stat(pid)
    return int(fields[19]) if fields and fields[0] != "Z" else None


def kill_session(leader: int) -> None:
    """SIGKILL to every living process of the session that ``leader``, a child of ours, began."""
    for pid in _processes():
        fields = _stat(pid)
        if fields and fields[0] not in "ZX" and int(fields[3]) == leader:
            _kill(pid)


def kill_marked(name: str, value: str) -> None:
    """SIGKILL to every process started, directly or not, with the variable ``name`` set to ``value``."""
    marker = f"{name}={value}".encode()
    for _ in range(_ROUNDS):  # again, for what was being started while we looked
        found = [pid for pid in _processes() if pid != os.getpid() and marker in _variables(pid)]
        if not found:
            return
        for pid in found:
            _kill(pid)


def _variables(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # another user's, or gone
        return []


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _stat(pid: int) -> list[str]:
    """Fields of ``/proc/<pid>/stat`` after the name (which may hold blanks): state, ppid, pgrp, session, …"""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    return text.rpartition(")")[2].split()


@dataclass(frozen=True)
class Command:
    """A program to run: all words final, ``folder`` existing, output appended to ``log`` (mode 0600)."""

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
        """Wait for the program itself; what it started may still run (see `kill`)."""
        code = await self._child.wait()
        return code if code >= 0 else 128 - code

    def terminate(self) -> None:
        """SIGTERM to the program itself (not to its children: it is the container's process 1)."""
        # Not asyncio's send_signal: it would collect an ended child unseen, and its exit code would be lost.
        if self._child.returncode is None:
            _kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to the program and its process group; also what is left of the group after its end."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def kill_all(self) -> None:
        """SIGKILL to the whole session: nothing of a container outlives it. Looks at every process."""
        self.kill()
        kill_session(self.pid)


async def run(command: Command, *, within: float) -> int | None:
    """Run a program to its end; None where it was killed after ``within`` seconds. Raises OSError."""
    process = await Process.start(command)
    try:
        # Not asyncio.wait_for: before Python 3.12 a cancellation is lost that meets the end.
        async with asyncio.timeout(within):
            return await process.wait()
    except TimeoutError:
        return None
    finally:
        process.kill()
        await process.wait()
