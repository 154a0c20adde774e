"""Load from a process of its own: wrk where it is installed, else a generator of ours."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from dataclasses import dataclass
from importlib import resources
from pathlib import Path


class LoadError(Exception):
    """The generator failed; the message is its own."""


@dataclass(frozen=True)
class Load:
    """What one run came to. ``failed``: no answer, or one of 400 and above (ours: any but 200)."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    failed: int

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


@dataclass(frozen=True)
class Generator:
    """``wrk``: its program, or None for ours. One thread, ``connections`` kept alive."""

    folder: Path
    wrk: str | None
    connections: int

    @classmethod
    def here(cls, folder: Path, *, connections: int) -> Generator:
        """The best that this machine has."""
        return cls(folder, shutil.which("wrk"), connections)

    @property
    def name(self) -> str:
        """What makes the load."""
        return "wrk" if self.wrk else "python"

    async def run(self, address: tuple[str, int], requests: list[bytes], *, seconds: float) -> Load:
        """Send ``requests`` in turn, again and again. Raises LoadError."""
        host, port = address
        if self.wrk:
            file = self.folder / "requests"
            file.write_bytes(b"".join(b"%d\n%s" % (len(one), one) for one in requests))
            with resources.as_file(resources.files("gateway_bench") / "wrk.lua") as script:
                options = ["--threads", "1", "--connections", str(self.connections), "--timeout", "10s"]
                options += ["--duration", f"{max(1, round(seconds))}s", "--script", str(script)]
                return await _run([self.wrk, *options, f"http://{host}:{port}", "--", str(file)])
        file = self.folder / "requests.json"
        file.write_text(json.dumps([one.decode() for one in requests]))
        arguments = [host, str(port), str(self.connections), str(seconds), str(file)]
        return await _run([sys.executable, "-m", "gateway_bench.generator", *arguments])


async def _run(command: list[str]) -> Load:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    try:
        output, complaints = await process.communicate()
    except BaseException:
        process.kill()
        raise
    if process.returncode or not output.strip():
        raise LoadError(f"{command[0]}: {complaints.decode()[-500:] or output.decode()[-500:]}")
    found = json.loads(output.decode().strip().splitlines()[-1])
    return Load(
        requests=found["requests"],
        seconds=found["seconds"],
        p50_ms=found["p50_us"] / 1000,
        p99_ms=found["p99_us"] / 1000,
        failed=found["failed"],
    )
