"""A terminal: a shell that keeps its folder and variables from one block to the next."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: A run in the background may have SIGINT ignored, and that is inherited; in a terminal it is not.
_LIKE_A_TERMINAL = """import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])"""


class Terminal:
    """``output`` is a file that everything is printed to."""

    def __init__(self, python: str, *, folder: Path, environment: Mapping[str, str], output: Path) -> None:
        self._output = output
        self._seen = 0
        with output.open("wb") as sink:
            self._shell = subprocess.Popen(
                [python, "-c", _LIKE_A_TERMINAL, "bash", "--norc", "--noprofile"],
                stdin=subprocess.PIPE,
                stdout=sink,
                stderr=sink,
                cwd=folder,
                env=dict(environment),
                start_new_session=True,
            )

    def run(self, block: str, *, within: float) -> tuple[int, str]:
        """Type ``block``; its exit code, and what it printed."""
        mark = secrets.token_hex(8)
        self._type(f"{block}\nprintf '\\n%s %s\\n' {mark} $?\n")
        ended = re.compile(rf"\n{mark} (\d+)\n")
        text = self.until(lambda text: ended.search(text) is not None, within=within, what="ended")
        found = ended.search(text)
        assert found is not None
        self._seen += len(text)
        return int(found[1]), text[: found.start()]

    def start(self, block: str) -> None:
        """Type ``block``, and leave it running."""
        self._type(f"{block}\n")

    def until(self, holds: Callable[[str], bool], *, within: float, what: str) -> str:
        """What was printed since the last block ended, once that ``holds``. Raises AssertionError."""
        deadline = time.monotonic() + within
        while True:
            text = self._output.read_text()[self._seen :]
            if holds(text):
                return text
            assert self._shell.poll() is None, f"the shell is gone:\n{text}"
            assert time.monotonic() < deadline, f"not {what} after {within:g} s:\n{text}"
            time.sleep(0.05)

    def taken(self, text: str) -> None:
        """``text``, which ``until`` gave, is done with."""
        self._seen += len(text)

    def interrupt(self) -> None:
        """Ctrl-C: SIGINT to what runs, as to a terminal's foreground; the shell itself goes on."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and _parent(entry) == self._shell.pid:
                os.kill(int(entry.name), signal.SIGINT)

    def _type(self, text: str) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.write(text.encode())
        self._shell.stdin.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        try:
            self._shell.wait(1)
        except subprocess.TimeoutExpired:
            os.killpg(self._shell.pid, signal.SIGTERM)
            try:
                self._shell.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self._shell.pid, signal.SIGKILL)
                self._shell.wait()


def _parent(process: Path) -> int | None:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:  # it is gone
        return None
