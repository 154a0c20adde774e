"""The console is opened for a person at a display, and for nobody else."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

URL = "http://console.localhost:1234/"
_SHOW = f"from talkdesk_sandbox.browser import show; print(show({URL!r}))"


@pytest.mark.processes
@pytest.mark.parametrize(
    ("environment", "opened"),
    [
        ({"DISPLAY": ":0"}, True),
        ({"WAYLAND_DISPLAY": "w"}, True),
        ({"DISPLAY": ":0", "CI": "1"}, False),
        ({}, False),
    ],
)
def test_a_browser_is_started_where_somebody_can_see_it(
    tmp_path: Path, environment: dict[str, str], opened: bool
) -> None:
    seen, browser = tmp_path / "seen", tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {seen}\n')
    browser.chmod(0o755)
    bare = {
        name: value for name, value in os.environ.items() if name not in {"CI", "DISPLAY", "WAYLAND_DISPLAY"}
    }
    result = subprocess.run(
        [sys.executable, "-c", _SHOW],
        env={**bare, **environment, "BROWSER": f"{browser} %s"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert result.stdout.strip() == str(opened)
    assert seen.exists() == opened
    if opened:
        assert seen.read_text().strip() == URL
