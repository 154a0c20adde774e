"""A sandbox that stays up: until it is told to end, or a part of it has ended by itself."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from talkdesk_sandbox import command
from talkdesk_sandbox.controlplane.errors import StartError
from talkdesk_sandbox.environment import Environment
from talkdesk_sandbox.partner.command import listen
from talkdesk_sandbox.talkdesk import StandIn, StandInError
from talkdesk_sandbox.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOLD = """
import os, signal, sys
from talkdesk_sandbox.command import end_on_sigterm
end_on_sigterm()
try:
    print("up", flush=True)
    signal.pause()
except KeyboardInterrupt:
    for number in (signal.SIGHUP, signal.SIGTERM):
        os.kill(os.getpid(), number)
    print("cleaned up", flush=True)
"""


class Part:
    """Of a sandbox: well until it is not."""

    def __init__(self, *, ends_after: int | None = None) -> None:
        self.looks = 0
        self._ends_after = ends_after

    def check(self) -> None:
        self.looks += 1
        if self._ends_after is not None and self.looks > self._ends_after:
            raise StartError("etcd ended with exit code -9; the end of its log:\n  | panic")


def _environment(control_plane: Any, stand_in: Any) -> Environment:
    rest: Any = None
    node: Any = Part()
    return Environment(control_plane=control_plane, node=node, stand_in=stand_in, release=rest, edge=rest)


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[StandIn]:
    with StandIn.start(tmp_path / "talkdesk") as running:
        yield running


def test_it_is_looked_at_again_and_again_until_a_part_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_LOOK_SECONDS", 0)
    last = Part(ends_after=2)
    with pytest.raises(StartError, match="etcd ended"):
        command.stay(_environment(last, Part()))
    assert last.looks == 3


@pytest.mark.processes
def test_a_stand_in_that_dies_while_its_ledger_is_told_is_told_with_the_end_of_its_log(
    stand_in: StandIn,
) -> None:
    told = io.StringIO()
    killer = threading.Timer(0.5, os.kill, (stand_in.pid, signal.SIGKILL))
    killer.start()
    with pytest.raises(StandInError, match=r"stand-in ended with exit code -9; the end of its log"):
        listen(_environment(Part(), stand_in), Timeline(Console(file=told)))
    killer.join()


@pytest.mark.processes
def test_a_control_plane_that_dies_while_the_ledger_is_told_is_told(stand_in: StandIn) -> None:
    with pytest.raises(StartError, match="etcd ended"):
        listen(_environment(Part(ends_after=1), stand_in), Timeline(Console(file=io.StringIO())))


@pytest.mark.processes
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_and_a_closed_terminal_end_it_and_more_of_them_do_not_disturb_its_end(
    number: signal.Signals,
) -> None:
    with subprocess.Popen([sys.executable, "-c", TOLD], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(number)
        said, _ = process.communicate(timeout=30)
    assert (said, process.returncode) == ("cleaned up\n", 0)


@pytest.mark.processes
def test_under_nohup_a_closed_terminal_does_not_end_it() -> None:
    script = f"trap '' HUP; exec {sys.executable} -c '{TOLD}'"
    with subprocess.Popen(["/bin/sh", "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=30)
    assert said == "cleaned up\n"
