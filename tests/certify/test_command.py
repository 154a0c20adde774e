"""What the command says when it cannot begin, and how it finds a sandbox that is up."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from talkdesk_sandbox.whereabouts import Whereabouts, found, told

if TYPE_CHECKING:
    from pathlib import Path


def _command(*arguments: str, before: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    program = f"import sys\n{before}\nfrom talkdesk_cli.main import app\napp()"
    return subprocess.run(
        [sys.executable, "-c", program, "certify", *arguments],
        env={**os.environ, "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.processes
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--item", "10"], "there is no item '10'"),
        (["--user", "Mara"], "belong to --url"),
        (["--url", "https://app.example/launch"], "needs the app's name too"),
    ],
)
def test_wrong_options_are_named_before_anything_is_started(
    tmp_path: Path, arguments: list[str], says: str
) -> None:
    done = _command("--report", str(tmp_path / "report"), *arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert not (tmp_path / "report").exists()


@pytest.mark.processes
def test_without_playwright_it_says_which_extra_to_install(tmp_path: Path) -> None:
    done = _command("--report", str(tmp_path / "report"), before="sys.modules['playwright.async_api'] = None")
    assert done.returncode == 1
    assert "pip install 'talkdesk-operator[certify]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.processes
def test_without_chromium_it_says_what_to_name(tmp_path: Path) -> None:
    done = _command("--report", str(tmp_path / "report"), CHROMIUM="/nowhere/chromium")
    assert done.returncode == 1
    assert "CHROMIUM=/nowhere/chromium does not exist" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.processes
def test_a_deployment_of_which_nothing_can_be_seen_has_not_passed(tmp_path: Path) -> None:
    url = "https://app.example.invalid/launch"
    done = _command("--report", str(tmp_path / "report"), "--url", url, "--app", "Calls")
    assert done.returncode == 1
    assert "left out: it needs a browser that is signed in to Talkdesk" in done.stdout
    assert "0 checks passed, 0 failed" in done.stdout


@pytest.mark.sandbox
@pytest.mark.asyncio(loop_scope="session")
# Playwright leaves the pipes of its driver to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
async def test_a_check_that_fails_is_told_and_makes_the_exit_code_1(workshop: Any, tmp_path: Path) -> None:
    # An ordinary customer is taken for a reseller, and so shown the bar.
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "talkdesk_cli", "certify", "--report", str(tmp_path / "report"), "--quiet",
        "--console", workshop.environment.stand_in.console, "--reseller", "northwind", "--item", "8.3",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said = (await process.communicate())[0].decode()
    assert process.returncode == 1, said
    told = json.loads((tmp_path / "report" / "report.json").read_text())
    assert told["passed"] is False
    made = {check["id"]: check["status"] for item in told["items"] for check in item["checks"]}
    assert [name for name, status in made.items() if status == "fail"] == ["8.3.no-bar"]
    assert "FAIL  8.3.no-bar" in said
    assert "a Talkdesk bar is shown" in said
    assert "failed: 7 checks passed, 1 failed, 0 not made" in said
    # Of what passed nothing is told: that is what --quiet is for.
    assert "8.3.launches" in made
    assert "8.3.launches" not in said


def _at(console: str) -> Whereabouts:
    return Whereabouts(
        console=console, control="http://c", browser="http://b", kubeconfig="/k", programs="/p"
    )


FIRST, SECOND = _at("http://console.localhost:1234/"), _at("http://console.localhost:9/")


def test_a_sandbox_is_found_while_it_is_up_and_not_afterwards(tmp_path: Path) -> None:
    file = tmp_path / "whereabouts"
    assert found(file=file) is None
    with told(FIRST, file=file):
        assert found(file=file) == FIRST
        with told(SECOND, file=file):
            assert found(file=file) == FIRST
        assert found(file=file) == FIRST
    assert found(file=file) is None
    with told(SECOND, file=file):
        assert found(file=file) == SECOND


@pytest.mark.processes
def test_a_sandbox_that_was_killed_is_not_found(tmp_path: Path) -> None:
    file = tmp_path / "whereabouts"
    program = (
        "import sys, time; from pathlib import Path\n"
        "from talkdesk_sandbox.whereabouts import Whereabouts, told\n"
        "up = Whereabouts(console='http://console.localhost:1234/', control='http://c', browser='http://b', "
        "kubeconfig='/k', programs='/p')\n"
        "with told(up, file=Path(sys.argv[1])): print('up', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(file)], stdout=subprocess.PIPE) as up:
        assert up.stdout is not None
        assert up.stdout.readline() == b"up\n"
        assert found(file=file) == FIRST
        up.kill()
        up.wait()
        assert found(file=file) is None
