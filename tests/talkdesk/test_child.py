"""The stand-in as a child process: ready line, switches, clean end, and no orphan."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from talkdesk_sandbox.talkdesk import StandIn, StandInError

pytestmark = pytest.mark.processes

COMMAND = [sys.executable, "-m", "talkdesk_sandbox.talkdesk"]


def _gone(pid: int) -> bool:
    """Whether the process has ended (a zombie that init has not collected yet counts)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def _wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 10
    while not _gone(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.01)


def test_it_starts_serves_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with StandIn.start(tmp_path / "td", switches={"page_size": 7, "licenses": "int"}) as talkdesk:
        switches = talkdesk.get("/control/switches")
        assert (switches["page_size"], switches["licenses"]) == (7, "int")
        assert set(talkdesk.regions) == {"us", "eu", "ca"}
        assert talkdesk.regions["eu"] == {
            "api": "api.eu.talkdesk.localhost",
            "identity": "id.eu.talkdesk.localhost",
        }
        talkdesk.post("/control/accounts", {"name": "acme", "region": "eu"})
        assert talkdesk.wait_for(lambda entry: entry["kind"] == "control")["status"] == 201
        assert [entry["kind"] for entry in talkdesk.ledger()] == ["control"]
        assert talkdesk.patch("/control/switches", {"page_size": 9})["page_size"] == 9
        with pytest.raises(StandInError, match="409"):
            talkdesk.post("/control/accounts", {"name": "acme", "region": "eu"})
        with pytest.raises(TimeoutError, match=r"no such ledger entry.*/control/accounts 409"):
            talkdesk.wait_for(lambda entry: entry["kind"] == "token", deadline=0.05)
        pid, url = talkdesk.pid, talkdesk.control
    assert _gone(pid)
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, trust_env=False)
    assert [path.name for path in (tmp_path / "td").iterdir() if path.suffix != ".log"] == ["ca.pem"]
    assert (tmp_path / "td").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with subprocess.Popen(
        [*COMMAND, "--dir", str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        process.send_signal(number)
        _, errors = process.communicate(timeout=15)
    assert set(ready) == {"control", "smtp", "proxy", "browser", "console", "ca_file", "regions"}
    assert (process.returncode, errors) == (0, "")


@pytest.mark.skipif(sys.platform != "linux", reason="the parent's death is seen on Linux only")
def test_it_ends_when_its_starter_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from talkdesk_sandbox.talkdesk import StandIn\n"
        "with StandIn.start(Path(sys.argv[1])) as talkdesk:\n"
        "    print(talkdesk.pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        assert not _gone(pid)
        starter.kill()
    _wait_until_gone(pid)


def test_one_that_was_killed_says_so_with_its_exit_code_and_the_end_of_its_log(tmp_path: Path) -> None:
    with StandIn.start(tmp_path / "td") as talkdesk:
        talkdesk.check()
        (tmp_path / "td" / "talkdesk.log").write_text("its last words\n")
        os.kill(talkdesk.pid, signal.SIGKILL)
        told = r"the Talkdesk stand-in ended with exit code -9; the end of its log:\n  \| its last words"
        with pytest.raises(StandInError, match=told):
            talkdesk.get("/control/state")
        with pytest.raises(StandInError, match=told):
            talkdesk.check()


def test_one_that_does_not_answer_says_what_was_asked(tmp_path: Path) -> None:
    told = r"stand-in: GET /control/ledger: http://127\.0\.0\.1:\d+/ did not"
    with StandIn.start(tmp_path / "td") as talkdesk, pytest.raises(StandInError, match=told):
        talkdesk._json("GET", "/control/ledger", params={"wait": 10}, timeout=0.05)


@pytest.mark.parametrize("switch", ["page_size", "page_size=0", "no_such=1"])
def test_a_wrong_switch_is_told_in_one_line(tmp_path: Path, switch: str) -> None:
    result = subprocess.run(
        [*COMMAND, "--dir", str(tmp_path), "--switch", switch],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert result.returncode == 2
    assert switch.partition("=")[0] in result.stderr.splitlines()[-1]


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with StandIn.start(tmp_path / "one") as talkdesk:
        port = int(talkdesk.control.rpartition(":")[2])
        with (
            pytest.raises(StandInError, match="cannot start"),
            StandIn.start(tmp_path / "two", control_port=port),
        ):
            pass
