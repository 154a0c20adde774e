"""The story as a newcomer sees it: by the command, on a real cluster, with nothing left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest

from talkdesk_sandbox.story.step import NOT_REACHED, StepResult, report_json, write_report
from turns import in_turn

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The end of what the sandbox says once it is up.
LAST_WORDS = "# everything said, both ways"
ROOT = Path(__file__).parents[2]
#: A run in the background may have SIGINT ignored, and that is inherited; in a terminal it is not.
LIKE_A_TERMINAL = [
    sys.executable,
    "-c",
    """import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])""",
]
COMMAND = [sys.executable, "-m", "talkdesk_cli", "sandbox"]
#: Command, ending, and whether somebody sits at a display.
STAYS = {
    "make sandbox and Ctrl-C, at a display": (["make", "sandbox"], signal.SIGINT, True),
    "the command and SIGTERM, without one": (COMMAND, signal.SIGTERM, False),
}
STAYS_IN_TURN = in_turn(STAYS, parts=2)


class Desk:
    """Where somebody sits, or nobody: a browser's program that keeps the arguments it was started with."""

    def __init__(self, folder: Path, *, display: bool) -> None:
        self._seen = folder / "opened"
        program = folder / "browser"
        program.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$*\" >> {self._seen}\n")
        program.chmod(0o755)
        elsewhere = {"CI", "DISPLAY", "WAYLAND_DISPLAY"}
        inherited = {name: value for name, value in os.environ.items() if name not in elsewhere}
        self.environment = inherited | {"BROWSER": f"{program} %s"} | ({"DISPLAY": ":0"} if display else {})

    def opened(self) -> list[str]:
        """The pages that were opened so far."""
        return self._seen.read_text().splitlines() if self._seen.exists() else []


def _descendants(pid: int) -> set[int]:
    """Processes below ``pid``, itself included, as /proc shows them now."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _is_open(url: str) -> bool:
    parts = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((parts.hostname or "127.0.0.1", parts.port or 80)) == 0


def _is_stored(event: str, ledger: dict[str, Any]) -> bool:
    """Whether the webhook took the event."""
    return any(
        entry["kind"] == "delivery" and entry["event_id"] == event and entry["status"] == 200
        for entry in ledger["entries"]
    )


def _wait(condition: Iterator[bool], *, seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    for holds in condition:
        if holds:
            return
        assert time.monotonic() < deadline, f"after {seconds} s: {what}"
        time.sleep(0.05)


@pytest.mark.sandbox
def test_once_observes_the_story_reports_it_and_times_ten_installs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report, desk = tmp_path / "report.json", Desk(tmp_path, display=True)
    done = subprocess.run(
        [*COMMAND, "--once", "--report", str(report), "--installs", "10"],
        env=desk.environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    with capsys.disabled():
        print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(report.read_text())
    assert told["ok"] is True
    assert [set(step) for step in told["steps"]] == [{"name", "ok", "seconds", "detail"}] * len(told["steps"])
    assert len(told["steps"]) == 28
    assert all(step["ok"] for step in told["steps"])
    for line in (
        r"->  Talkdesk sent app\.installed +\d+\.\d\ds +answered 200$",
        r"ok  install: tenant made +\d+\.\d\ds +td-\S+: namespace, ",
        r"<-  Talkdesk was answered approve +installing → completed$",
    ):
        assert re.search(r"^ +\d+\.\ds  " + line, done.stdout, re.MULTILINE), line
    assert re.search(r"10 installs, median from event to approval [0-9.]+ s: ours [0-9.]+ s", done.stdout)
    assert desk.opened() == [], "there is nothing to look at once it has ended"


@pytest.mark.processes
def test_once_reports_that_the_sandbox_does_not_come_up(tmp_path: Path) -> None:
    report, empty = tmp_path / "report.json", tmp_path / "empty"
    empty.mkdir()
    done = subprocess.run(
        [*COMMAND, "--once", "--report", str(report)],
        env={**os.environ, "KUBEBUILDER_ASSETS": str(empty)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    told = json.loads(report.read_text())
    assert told["ok"] is False
    (step,) = told["steps"]
    assert (step["name"], step["ok"]) == ("sandbox comes up", False)
    assert "KUBEBUILDER_ASSETS" in step["detail"]
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.sandbox
def test_once_reports_the_step_that_was_not_observed_and_none_after_it(tmp_path: Path) -> None:
    """Talkdesk wants an assertion for another audience than the product is told of: no token, no approval."""
    report = tmp_path / "report.json"
    done = subprocess.run(
        [*COMMAND, "--once", "--report", str(report), "--switch", "audience=host", "--patience", "5"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    told = json.loads(report.read_text())
    assert told["ok"] is False
    outcomes = [step["ok"] for step in told["steps"]]
    failed = outcomes.index(False)
    assert [step["name"] for step in told["steps"][:2]] == ["a customer appears", "install: event stored"]
    assert failed >= 2, told["steps"][failed]
    assert told["steps"][failed]["name"].startswith("install: ")
    assert told["steps"][failed]["detail"].startswith("after 5 s: ")
    assert {step["detail"] for step in told["steps"][failed + 1 :]} == {NOT_REACHED}
    assert not any(outcomes[failed:])
    assert re.search(r"  no  install: .*after 5 s: ", done.stdout)


def _shell(command: str, *, output: str) -> str:
    """What ``command``, a line that the sandbox printed, says in a shell with the exports that it printed."""
    exports = "\n".join(re.findall(r"^ +(export .*)$", output, re.MULTILINE))
    done = subprocess.run(
        ["sh", "-c", f"{exports}\n{command}"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _printed(pattern: str, output: str) -> str:
    """The command of a line of ``output``."""
    found = re.search(rf"^ +({pattern})", output, re.MULTILINE)
    assert found is not None, pattern
    return found[1]


@pytest.mark.sandbox
@pytest.mark.parametrize(("command", "ending", "display"), STAYS_IN_TURN.values(), ids=STAYS_IN_TURN)
def test_the_sandbox_stays_up_and_leaves_no_process_and_no_port(
    command: list[str], ending: signal.Signals, display: bool, tmp_path: Path
) -> None:
    output, desk = tmp_path / "output", Desk(tmp_path, display=display)
    environment = {**desk.environment, "PYTHONUNBUFFERED": "1"}
    with output.open("w") as sink:
        running = subprocess.Popen(
            [*LIKE_A_TERMINAL, *command],
            cwd=ROOT,
            stdout=sink,
            stderr=sink,
            env=environment,
            start_new_session=True,
        )
    try:
        _wait(
            (LAST_WORDS in output.read_text() or running.poll() is not None for _ in iter(int, 1)),
            seconds=180,
            what=f"the sandbox is not up: {output.read_text()}",
        )
        assert running.poll() is None, output.read_text()
        control = re.search(r"http://127\.0\.0\.1:\d+", output.read_text())
        kubeconfig = re.search(r"KUBECONFIG=(\S+)", output.read_text())
        assert control is not None
        assert kubeconfig is not None
        server = re.search(r"server: (\S+)", Path(kubeconfig[1]).read_text())
        assert server is not None
        assert _is_open(control[0])
        assert _is_open(server[1])
        console = re.search(r"http://(console\.localhost):(\d+)/", output.read_text())
        assert console is not None
        if display:
            _wait((bool(desk.opened()) for _ in iter(int, 1)), seconds=10, what="the console was not opened")
        front = httpx.get(
            f"http://127.0.0.1:{console[2]}/", headers={"Host": console[0][7:-1]}, trust_env=False
        )
        assert all(name in front.text for name in ("northwind", "lumiere", "meridian", "Reseller"))
        reseller = re.search(r'id="account-(\w+)"[^>]*data-testid="account-meridian"', front.text)
        programs = re.search(r"PATH=(\S+):\$PATH", output.read_text())
        assert reseller is not None
        assert programs is not None
        declared = subprocess.run(
            [
                f"{programs[1]}/kubectl",
                *("--kubeconfig", kubeconfig[1], "--namespace", "talkdesk-system"),
                *("get", "talkdeskapp", "demo", "--output", "jsonpath={.spec.resellers}"),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(declared.stdout) == [reseller[1]]
        said = output.read_text()
        installations = _shell(_printed(r"kubectl .*get tdi\b", said), output=said)
        uninstall = _printed(r"curl -d .*/uninstall", said)
        newest = uninstall.split("/")[-2]
        assert newest in installations
        event = json.loads(_shell(uninstall, output=said))["event_id"]
        ledger = _printed(r"curl '.*/control/ledger\?since=0'", said)
        _wait(
            (_is_stored(event, json.loads(_shell(ledger, output=said))) for _ in iter(int, 1)),
            seconds=60,
            what="the event of the printed command was not stored",
        )
        started = _descendants(running.pid)
        assert len(started) > 5
    finally:
        # Ctrl-C in a terminal reaches the whole group; a supervisor's SIGTERM the one process.
        (os.killpg if ending == signal.SIGINT else os.kill)(running.pid, ending)
        running.wait(timeout=60)
    _wait(
        (not any(_alive(pid) for pid in started) for _ in iter(int, 1)),
        seconds=10,
        what="processes of the sandbox are still there",
    )
    assert not _is_open(control[0])
    assert not _is_open(server[1])
    assert not Path(kubeconfig[1]).exists()
    assert "nothing is left running" in output.read_text()
    assert desk.opened() == ([console[0]] if display else [])


def test_a_report_is_ok_only_when_every_step_was_observed(tmp_path: Path) -> None:
    seen = StepResult("a", ok=True, seconds=1.23456, detail="x")
    missed = StepResult("b", ok=False, seconds=0, detail="y")
    assert json.loads(report_json([seen, seen]))["ok"] is True
    assert json.loads(report_json([seen, missed]))["ok"] is False
    assert json.loads(report_json([]))["ok"] is False
    write_report(tmp_path / "r.json", [seen])
    assert json.loads((tmp_path / "r.json").read_text()) == {
        "ok": True,
        "steps": [{"name": "a", "ok": True, "seconds": 1.235, "detail": "x"}],
    }
