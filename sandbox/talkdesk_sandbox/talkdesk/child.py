"""The stand-in as a child process, for tests and for the sandbox."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from talkdesk_sandbox.plain import NO_TLS
from talkdesk_sandbox.problems import end_of, in_words
from talkdesk_sandbox.talkdesk.hosts import sign_on_root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Entry = dict[str, Any]

_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
#: Moving the clock waits for deliveries, each of which may take 10 s.
_CALL_SECONDS = 120.0
_ENDING_SECONDS = 1.0


class StandInError(Exception):
    """The stand-in did not start, has ended, does not answer or refused a control call; says how."""


class StandIn:
    """A running stand-in. Made by :meth:`start`."""

    def __init__(self, *, ready: Mapping[str, Any], process: subprocess.Popen[bytes], log: Path) -> None:
        self.control: str = ready["control"]
        self.proxy: str = ready["proxy"]
        self.smtp_host, _, port = str(ready["smtp"]).rpartition(":")
        self.smtp_port = int(port)
        self.browser: str = ready["browser"]
        self.console: str = ready["console"]
        self.ca_file = Path(ready["ca_file"])
        self.regions: dict[str, dict[str, str]] = ready["regions"]
        self.pid = process.pid
        self._process = process
        self._log = log
        self._http = httpx.Client(
            base_url=self.control, timeout=_CALL_SECONDS, trust_env=False, verify=NO_TLS
        )

    @classmethod
    @contextlib.contextmanager
    def start(
        cls,
        directory: Path,
        *,
        switches: Mapping[str, Any] | None = None,
        control_port: int = 0,
        kubeconfig: Path | None = None,
    ) -> Iterator[StandIn]:
        """Start it, and end it with the block. It also ends if this process (on Linux: this thread) dies.

        With ``kubeconfig`` its console shows that cluster, and every change there is in the ledger.
        Its messages go to ``directory/talkdesk.log``. Raises :class:`StandInError` if it does not come up.
        """
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        command = [sys.executable, "-m", "talkdesk_sandbox.talkdesk", "--dir", str(directory)]
        command += ["--control-port", str(control_port), "--parent", str(os.getpid())]
        if kubeconfig is not None:
            command += ["--kubeconfig", str(kubeconfig)]
        for name, value in (switches or {}).items():
            command += ["--switch", f"{name}={value}"]
        log = directory / "talkdesk.log"
        with log.open("w") as messages:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=messages,
                start_new_session=True,
            )
        try:
            stand_in = cls(ready=_ready(process, log=log), process=process, log=log)
            try:
                yield stand_in
            finally:
                stand_in._http.close()
        finally:
            _stop(process)

    def sign_on_host(self, account: str, region: str) -> str:
        """Base URL of an account's identity host for browsers, with ``/login`` and ``/logout``.

        Browsers resolve its name to this machine by themselves; for others, send its ``Host`` to ``browser``.
        """
        return sign_on_root(region, account, port=int(self.browser.rpartition(":")[2]))

    def get(self, path: str, **query: Any) -> Any:
        """JSON of ``GET path``. Raises :class:`StandInError`."""
        return self._json("GET", path, params=query)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """JSON of ``POST path``. Raises :class:`StandInError`."""
        return self._json("POST", path, json=dict(body or {}))

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """JSON of ``PATCH path``. Raises :class:`StandInError`."""
        return self._json("PATCH", path, json=dict(body))

    def ledger(self, since: int = 0) -> list[Entry]:
        """The ledger's entries after ``since``."""
        entries: list[Entry] = self.get("/control/ledger", since=since)["entries"]
        return entries

    def wait_for(
        self, predicate: Callable[[Entry], bool], *, deadline: float = 10.0, since: int = 0
    ) -> Entry:
        """The first entry after ``since`` that satisfies ``predicate``, waiting up to ``deadline`` seconds.

        Raises TimeoutError, telling the last entries.
        """
        seen: list[Entry] = []
        end = time.monotonic() + deadline
        while (left := end - time.monotonic()) > 0:
            page = self.get("/control/ledger", since=since, wait=min(left, 30.0))
            for entry in page["entries"]:
                if predicate(entry):
                    return dict(entry)
            seen += page["entries"]
            since = page["next"]
        last = "; ".join(
            f"{entry['seq']} {entry['kind']} {entry.get('event_type') or entry['url']} {entry['status']}"
            for entry in seen[-8:]
        )
        raise TimeoutError(f"no such ledger entry within {deadline:g} s; the last were: {last or 'none'}")

    def check(self) -> None:
        """Raise :class:`StandInError`, with the end of its log, if it has ended by itself."""
        code = self._process.poll()
        if code is not None:
            end = f"the end of its log:\n{end_of(self._log)}"
            raise StandInError(f"the Talkdesk stand-in ended with exit code {code}; {end}")

    def _json(self, method: str, path: str, **options: Any) -> Any:
        try:
            answer = self._http.request(method, path, **options)
        except httpx.TransportError as lost:
            # One that has just been killed lets go of its connections before it can be seen to have ended.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_ENDING_SECONDS)
            self.check()
            raise StandInError(f"the Talkdesk stand-in: {method} {path}: {in_words(lost)}") from None
        if answer.is_error:
            raise StandInError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json()


def _ready(process: subprocess.Popen[bytes], *, log: Path) -> dict[str, Any]:
    """The JSON line that says where it listens."""
    timer = time.monotonic() + _START_SECONDS
    stdout = process.stdout
    if stdout is None:
        raise StandInError("no pipe to the stand-in")
    line = b""
    while not line.endswith(b"\n"):
        readable, _, _ = select.select([stdout], [], [], max(0.0, timer - time.monotonic()))
        chunk = os.read(stdout.fileno(), 65536) if readable else b""
        if not chunk:
            raise StandInError(f"the Talkdesk stand-in did not start: {log.read_text()[-2000:].strip()}")
        line += chunk
    ready: dict[str, Any] = json.loads(line)
    return ready


def _stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, and SIGKILL for one that does not listen."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()
