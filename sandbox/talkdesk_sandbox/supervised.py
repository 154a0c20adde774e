"""A process of the product outside a pod: under its service account, restarted whenever it ends.

What a kubelet does for a pod, without the pod: for tests that kill processes at chosen moments, and often.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import httpx

from talkdesk_sandbox.node.process import die_with_parent
from talkdesk_sandbox.plain import plain
from talkdesk_sandbox.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from talkdesk_sandbox.release import Release

_LOOK = 0.05


class NotReady(Exception):  # noqa: N818 - an outcome of waiting
    """The process was not ready in time; the message has the end of its log."""


@dataclass
class Supervised:
    """``talkdesk-operator <component>`` with ``environment``; its output goes to ``log``.

    An async context manager; the process also ends if this one dies (Linux). ``port`` is where ``/readyz`` is
    answered; ``starts`` counts processes.
    ``program`` is what takes the component's name, if not the product's own command.
    """

    component: str
    environment: Mapping[str, str]
    port: int
    log: Path
    program: tuple[str, ...] = (sys.executable, "-m", "talkdesk_cli")
    starts: int = 0
    _process: asyncio.subprocess.Process | None = field(default=None, repr=False)
    _task: asyncio.Task[None] | None = field(default=None, repr=False)

    @classmethod
    def webhook(cls, release: Release, settings: Mapping[str, str], *, log: Path) -> Self:
        """A webhook of ``release``; ``settings`` over the release's own."""
        port = free_port()
        environment = {**release.settings("webhook"), "TALKDESK_PORT": str(port), **settings}
        return cls("webhook", environment, port, log)

    @classmethod
    def operator(cls, release: Release, settings: Mapping[str, str], *, log: Path) -> Self:
        """An operator of ``release``; ``settings`` over the release's own."""
        port = free_port()
        environment = {**release.settings("operator"), "TALKDESK_METRICS_PORT": str(port), **settings}
        return cls("operator", environment, port, log)

    @property
    def pid(self) -> int:
        """Of the process of this moment; 0 before there is one."""
        return self._process.pid if self._process is not None else 0

    @property
    def url(self) -> str:
        """Base URL of ``port``."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._supervise())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self.terminate(signal.SIGKILL)

    async def _supervise(self) -> None:
        quiet = {"PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE"}
        environment = {name: value for name, value in os.environ.items() if name in quiet}
        environment |= {"PYTHONUNBUFFERED": "1", **self.environment}
        while True:
            with self.log.open("ab") as sink:
                self.starts += 1
                self._process = await asyncio.create_subprocess_exec(
                    *self.program, self.component,
                    env=environment, stdout=sink, stderr=sink, start_new_session=True,
                    preexec_fn=die_with_parent(),
                )  # fmt: skip
            await self._process.wait()
            # As short as a back-off can be: what is tested is what a restarted process finds.
            await asyncio.sleep(_LOOK)

    def kill(self) -> None:
        """``kill -9``, at once; the supervisor starts it again."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def terminate(self, ending: signal.Signals) -> None:
        """Send ``ending`` and wait for the end of the process of this moment."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(ending)
            await self._process.wait()

    async def ready(self, *, within: float = 30.0) -> None:
        """Wait until ``/readyz`` says 200. Raises :class:`NotReady`."""
        deadline = time.monotonic() + within
        async with plain(timeout=2) as http:
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    if (await http.get(f"{self.url}/readyz")).status_code == 200:
                        return
                if time.monotonic() > deadline:
                    tail = self.log.read_text()[-2000:]
                    raise NotReady(f"{self.component} is not ready after {within:g} s: {tail}")
                await asyncio.sleep(_LOOK)
