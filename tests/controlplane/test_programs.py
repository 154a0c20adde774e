"""Programs that cannot outlive their starter."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from talkdesk_sandbox.controlplane import StartError
from talkdesk_sandbox.controlplane.programs import Program, run

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.processes

_SLEEP = [shutil.which("sleep") or "/bin/sleep", "600"]
_SHELL = shutil.which("sh") or "/bin/sh"


def test_the_error_about_a_program_that_ended_has_its_exit_code_and_the_end_of_its_log(
    tmp_path: Path,
) -> None:
    script = "for i in $(seq 100); do echo line $i; done; exit 7"
    program = Program.start("teller", [_SHELL, "-c", script], log=tmp_path / "log")
    with pytest.raises(StartError, match=r"teller ended with exit code 7(.|\n)*line 100") as raised:
        program.wait_until(lambda: False, what="ready", seconds=30)
    assert "line 50\n" not in str(raised.value)


def test_a_program_that_is_never_ready_is_waited_for_only_so_long(tmp_path: Path) -> None:
    program = Program.start("sleeper", _SLEEP, log=tmp_path / "log")
    with pytest.raises(StartError, match=r"sleeper was not ready within 0\.05 s"):
        program.wait_until(lambda: False, what="ready", seconds=0.05)
    program.stop()
    assert program.process.returncode == -signal.SIGTERM


def test_a_program_deaf_to_sigterm_is_killed(tmp_path: Path) -> None:
    script = f"trap '' TERM; echo deaf; while true; do {' '.join(_SLEEP)}; done"
    program = Program.start("deaf", [_SHELL, "-c", script], log=tmp_path / "log")
    program.wait_until(lambda: "deaf" in program.log.read_text(), what="deaf", seconds=10)
    program.stop(patience=0.05)
    assert program.process.returncode == -signal.SIGKILL


def test_a_program_lives_on_after_the_thread_that_asked_for_it(tmp_path: Path) -> None:
    started: list[Program] = []
    thread = threading.Thread(
        target=lambda: started.append(Program.start("sleeper", _SLEEP, log=tmp_path / "log"))
    )
    thread.start()
    thread.join()
    # The kernel sends the signal at the end of the thread; a later program is started after that.
    Program.start("second", [_SHELL, "-c", "exit"], log=tmp_path / "log").process.wait(10)
    started[0].check()
    started[0].stop()


def test_a_command_gets_its_input_and_gives_its_output_and_exit_code() -> None:
    result = run([_SHELL, "-c", "cat; echo oops >&2; exit 4"], text="héllo", env={}, seconds=10)
    assert (result.stdout, result.stderr, result.returncode) == ("héllo", "oops\n", 4)


def test_a_command_that_does_not_end_is_killed() -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run(_SLEEP, text="", env={}, seconds=0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's death")
def test_a_killed_starter_takes_its_programs_along(
    tmp_path: Path, eventually: Callable[[Callable[[], bool]], None]
) -> None:
    script = (
        "import sys, time; from pathlib import Path\n"
        "from talkdesk_sandbox.controlplane.programs import Program\n"
        "program = Program.start('sleeper', sys.argv[2:], log=Path(sys.argv[1]))\n"
        "print(program.process.pid, flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "log"), *_SLEEP]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        os.kill(pid, 0)
        starter.kill()

    def is_gone() -> bool:
        try:  # a zombie, which its new parent has yet to fetch, has no command line
            return not Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return True

    eventually(is_gone)


def test_files_a_program_makes_are_private_unless_told_otherwise(tmp_path: Path) -> None:
    for name, private in (("mine", True), ("ours", False)):
        path = tmp_path / name
        command = [_SHELL, "-c", f"touch {path}"]
        program = Program.start("toucher", command, log=tmp_path / "log", private=private)
        assert program.process.wait(10) == 0
    umask = os.umask(0o022)
    os.umask(umask)
    assert (tmp_path / "mine").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "ours").stat().st_mode & 0o777 == 0o666 & ~umask
