"""What holds for everything that make starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.processes
def test_bytecode_is_kept_whatever_the_environment_says() -> None:
    script = "import sys; print(sys.dont_write_bytecode)"
    target = f"shown: ; @{sys.executable} -c '{script}'"
    told = subprocess.run(
        ["make", "--silent", f"--eval={target}", "shown"],
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert told.stdout == "False\n"
