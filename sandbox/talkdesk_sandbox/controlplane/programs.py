"""Starting programs that cannot outlive us, waiting for them within bounds, and reading the end of their log.

A program is started through a very small Python trampoline instead of ``preexec_fn``, which is unsafe in a
process with threads. The trampoline asks the kernel for SIGKILL on the death of its parent (Linux) and
becomes the program. The kernel means the parent *thread*, so all programs are
started by one thread that lives as long as this process.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from talkdesk_sandbox.controlplane.errors import CommandError, StartError
from talkdesk_sandbox.problems import end_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_COMMAND_SECONDS = 300.0

# After prctl the parent may be gone already; the kernel would then never send the signal.
_TRAMPOLINE = """\
import os, sys
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None, use_errno=True).prctl(1, 9, 0, 0, 0)
    if os.getppid() != int(sys.argv[1]):
        os._exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""

_POLL_SECONDS = 0.02

_Job = tuple["Future[subprocess.Popen[bytes]]", "Callable[[], subprocess.Popen[bytes]]"]


class _Starter:
    """The one thread that starts every program of this process."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._pid: int | None = None

    def run(self, job: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._pid != os.getpid():  # first use, or first use after a fork, which copies no threads
                self._jobs = queue.SimpleQueue()
                threading.Thread(target=self._serve, args=(self._jobs,), name="programs", daemon=True).start()
                self._pid = os.getpid()
        future: Future[subprocess.Popen[bytes]] = Future()
        self._jobs.put((future, job))
        return future.result()

    @staticmethod
    def _serve(jobs: queue.SimpleQueue[_Job]) -> None:
        while True:
            future, job = jobs.get()
            try:
                future.set_result(job())
            except BaseException as error:  # noqa: BLE001 - it is raised again where the result is awaited
                future.set_exception(error)


_starter = _Starter()


def _trampolined(arguments: list[str]) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", _TRAMPOLINE, str(os.getpid()), *arguments]


def run(
    command: Sequence[str | Path], *, text: str, env: Mapping[str, str], seconds: float
) -> subprocess.CompletedProcess[str]:
    """Run ``command`` to its end with ``text`` as its input; it too cannot outlive this process.

    The files it makes are private. Raises subprocess.TimeoutExpired after ``seconds``, when it was killed.
    """

    def job() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            _trampolined([str(part) for part in command]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(env),
            umask=0o077,
        )

    with _starter.run(job) as process:
        try:
            output, errors = process.communicate(text.encode(), timeout=seconds)
        except BaseException:  # Ctrl-C too: the block waits for the end of the program
            process.kill()
            raise
    return subprocess.CompletedProcess(
        process.args, process.returncode, output.decode(errors="replace"), errors.decode(errors="replace")
    )


def output_of(program: Path, args: Sequence[str | Path], *, env: Mapping[str, str], text: str = "") -> str:
    """The standard output of kubectl or helm. CommandError when it fails or does not end in five minutes."""
    label = " ".join([program.name, *(str(arg) for arg in args[:1])])
    try:
        result = run([program, *args], text=text, env=env, seconds=_COMMAND_SECONDS)
    except subprocess.TimeoutExpired:
        late = f"killed, for it had not ended after {_COMMAND_SECONDS:g} s"
        raise CommandError(command=label, exit_code=-signal.SIGKILL, stderr=late) from None
    if result.returncode != 0:
        raise CommandError(command=label, exit_code=result.returncode, stderr=result.stderr)
    return result.stdout


@dataclass
class Program:
    """One running program: ``name`` for people, ``log`` with both its outputs."""

    name: str
    log: Path
    process: subprocess.Popen[bytes] = field(repr=False)

    @classmethod
    def start(
        cls,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        private: bool = True,
    ) -> Program:
        """Start ``command`` (absolute program path first) in its own session, output appended to ``log``.

        The files it makes are its owner's alone, unless it is not ``private``.
        It gets SIGKILL when this process dies in whatever way (on Linux; elsewhere only ``stop`` ends it).
        """
        arguments = [str(part) for part in command]

        def job() -> subprocess.Popen[bytes]:
            with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as output:
                return subprocess.Popen(
                    _trampolined(arguments),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    cwd=cwd,
                    env=None if env is None else dict(env),
                    umask=0o077 if private else -1,
                )

        return cls(name=name, log=log, process=_starter.run(job))

    def tail(self) -> str:
        """The last lines of the log."""
        return end_of(self.log)

    def check(self) -> None:
        """Raise StartError if the program has ended."""
        code = self.process.poll()
        if code is not None:
            raise StartError(f"{self.name} ended with exit code {code}; the end of its log:\n{self.tail()}")

    def wait_until(self, condition: Callable[[], bool], *, what: str, seconds: float) -> None:
        """Wait until ``condition`` holds; StartError if the program ends first or ``seconds`` pass."""
        deadline = time.monotonic() + seconds
        while not condition():
            self.check()
            if time.monotonic() >= deadline:
                raise StartError(
                    f"{self.name} was not {what} within {seconds:g} s; the end of its log:\n{self.tail()}"
                )
            time.sleep(_POLL_SECONDS)

    def stop(self, *, kill: bool = False, patience: float = 5.0) -> None:
        """SIGTERM (or SIGKILL at once), SIGKILL after ``patience`` seconds; returns when it has ended."""
        if self.process.poll() is None:
            # It leads a group of its own, which holds its children too (compilers, for instance).
            os.killpg(self.process.pid, signal.SIGKILL if kill else signal.SIGTERM)
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
