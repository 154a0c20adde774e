"""What several tests of the control plane look at: the processes of a folder, the servers that answer."""

from __future__ import annotations

import ssl
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


class Eventually(Protocol):
    def __call__(self, condition: Callable[[], bool], *, seconds: float = 10.0) -> None: ...


@pytest.fixture
def eventually() -> Eventually:
    """Wait for a condition, with a deadline."""

    def wait(condition: Callable[[], bool], *, seconds: float = 10.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not so within {seconds} s"
            time.sleep(0.02)

    return wait


@pytest.fixture
def processes_of() -> Callable[[Path], list[int]]:
    """Ids of all living processes whose command line names a folder."""
    if sys.platform != "linux":
        pytest.skip("reads /proc")

    def find(folder: Path) -> list[int]:
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes()
            except OSError:  # it ended meanwhile
                continue
            if str(folder).encode() in command:
                found.append(int(process.name))
        return found

    return find


@pytest.fixture
def answers() -> Callable[[str, Path], bool]:
    """Whether the API server at a URL, with a certificate of a CA file, answers. (Ports are used again.)"""

    def ask(url: str, ca_file: Path) -> bool:
        context = ssl.create_default_context(cafile=str(ca_file))
        with httpx.Client(verify=context, trust_env=False) as client:
            try:
                return client.get(f"{url}/version").status_code in {200, 401}
            except httpx.TransportError:
                return False

    return ask
