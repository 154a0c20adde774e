"""One container's life: start, probe, end, wait, start again."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from talkdesk_sandbox.node.environment import ConfigError
from talkdesk_sandbox.node.images import ImageUnknown
from talkdesk_sandbox.node.probes import Looker, NotSupported, watch_probe
from talkdesk_sandbox.node.process import Process
from talkdesk_sandbox.node.status import restarts
from talkdesk_sandbox.node.stop import Stop

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from talkdesk_sandbox.node.process import Command
    from talkdesk_sandbox.node.records import ContainerRecord
    from talkdesk_sandbox.node.timings import Timings

Obj = dict[str, Any]

# How the kubelet calls what keeps a container from being started.
_REASONS: dict[type[Exception], tuple[str, str]] = {
    ImageUnknown: ("ErrImagePull", "ImagePullBackOff"),
    ConfigError: ("CreateContainerConfigError", "CreateContainerConfigError"),
    NotSupported: ("CreateContainerError", "CreateContainerError"),
}
_START_ERROR = 128
_MESSAGE_BYTES = 2048


class Surroundings(Protocol):
    """What a container needs of its pod."""

    def changed(self) -> None:
        """The record has changed: keep it and tell the API server."""

    def note(self, kind: str, reason: str, message: str) -> None:
        """Tell whoever reads the pod's Events; ``kind`` is Normal or Warning."""

    def log(self, container: str, restart: int) -> Path:
        """Where the output of a container's run goes."""

    async def command(self, container: Obj, log: Path | None, words: list[str] | None = None) -> Command:
        """What to run for a container, or ``words`` inside it. Raises the errors of `_REASONS`."""

    def looker(self, container: Obj) -> Looker:
        """How to probe a container."""


def timestamp() -> str:
    """Now, as Kubernetes writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Container:
    """Runs one container of a pod until it has ended for good, or `stop` was asked and it is gone."""

    spec: Obj
    record: ContainerRecord
    policy: str
    pod: Surroundings
    stop: Stop
    timings: Timings
    grace: float

    @property
    def name(self) -> str:
        """The container's name."""
        return str(self.spec["name"])

    async def run(self) -> None:
        """See the class. A container whose record says that it ended is continued from there."""
        while not self.stop.asked.is_set():
            code = self.record.exit_code
            if code is not None:
                if not restarts(self.policy, code):
                    return
                await self._back_off()
                if self.stop.asked.is_set():
                    break
                self.record.restart_count += 1
            process = await self._start()
            if process is not None:
                await self._attend(process)
        if "waiting" in self.record.state and self.record.last_state:
            self.record.state = self.record.last_state

    async def _start(self) -> Process | None:
        """Start the program; None where the stop came first, or it cannot be run (that is its end)."""
        attempt = 0
        while not self.stop.asked.is_set():
            log = self.pod.log(self.name, self.record.restart_count)
            try:
                command = await self.pod.command(self.spec, log)
                try:
                    return await Process.start(command)
                except OSError as error:
                    message = f"cannot run {command.argv[0]!r}: {error.strerror or error}"
                    self._end(_START_ERROR, timestamp(), reason="StartError", message=message)
                    return None
            except (ImageUnknown, ConfigError, NotSupported) as error:
                first, later = _REASONS[type(error)]
                self._wait(first if attempt == 0 else later, str(error))
                if attempt == 0:
                    self.pod.note("Warning", "Failed", str(error))
                await self.stop.pause(self.timings.pause(attempt))
                attempt += 1
        return None

    async def _back_off(self) -> None:
        delay = self.timings.restart.delay(self.record.failures)
        self.record.last_state = self.record.state
        if delay > 0:
            message = f"back-off {delay:g}s restarting failed container={self.name}"
            self._wait("CrashLoopBackOff", message)
            self.pod.note("Warning", "BackOff", message)
            await self.stop.pause(delay)

    def _wait(self, reason: str, message: str) -> None:
        self.record.state = {"waiting": {"reason": reason, "message": message}}
        self.pod.changed()

    def _end(self, code: int, began: str, *, reason: str, message: str = "") -> None:
        ended: Obj = {"exitCode": code, "reason": reason, "startedAt": began, "finishedAt": timestamp()}
        if message:
            ended["message"] = message
        if code > _START_ERROR:
            ended["signal"] = code - _START_ERROR
        ran = _seconds_between(began, ended["finishedAt"])
        self.record.failures = self.timings.restart.failures(before=self.record.failures, ran=ran)
        self.record.state = {"terminated": ended}
        self.record.pid = self.record.start_ticks = 0
        self.record.started = self.record.ready = False
        self.pod.changed()

    async def _attend(self, process: Process) -> None:
        """From the start of a program to its end, whoever causes it."""
        began = timestamp()
        self.record.pid, self.record.start_ticks = process.pid, process.start_ticks
        self.record.state = {"running": {"startedAt": began}}
        self.record.started = "startupProbe" not in self.spec
        self.record.ready = self.record.started and "readinessProbe" not in self.spec
        self.pod.changed()
        self.pod.note("Normal", "Started", f"Started container {self.name}")
        ill = Stop()
        ended = asyncio.create_task(process.wait())
        keeping = asyncio.create_task(self._keep(ill))
        try:
            await first_of(ended, self.stop.asked.wait(), ill.asked.wait())
            if not ended.done():
                await self._terminate(process, ended, self.stop if self.stop.asked.is_set() else ill)
            code = await ended
        finally:
            process.kill_all()
            ill.close()
            await cancelled(keeping, ended)
        self._end(code, began, reason="Completed" if code == 0 else "Error", message=self._last_words(code))

    def _last_words(self, code: int) -> str:
        if code == 0 or self.spec.get("terminationMessagePolicy") != "FallbackToLogsOnError":
            return ""
        log = self.pod.log(self.name, self.record.restart_count)
        with contextlib.suppress(OSError):
            return log.read_bytes()[-_MESSAGE_BYTES:].decode(errors="replace")
        return ""

    async def _keep(self, ill: Stop) -> None:
        """Hooks and probes of a running program; asks ``ill`` to stop it where they demand so."""
        try:
            await self._post_start(ill)
            if "startupProbe" in self.spec:
                await self._start_up(ill)
            async with asyncio.TaskGroup() as group:
                if "readinessProbe" in self.spec:
                    group.create_task(self._watch("readinessProbe", self._readiness, early=True))
                if "livenessProbe" in self.spec:
                    group.create_task(
                        self._watch("livenessProbe", self._killer("Liveness", "livenessProbe", ill))
                    )
        except* NotSupported as group_error:
            message = str(group_error.exceptions[0])
            self.pod.note("Warning", "Unhealthy", message)
            self.record.ready = False
            self.pod.changed()

    async def _watch(self, kind: str, changed: Any, *, early: bool = False) -> None:
        await watch_probe(self.spec[kind], self.pod.looker(self.spec), changed, early=early)

    async def _start_up(self, ill: Stop) -> None:
        done = asyncio.Event()
        kill = self._killer("Startup", "startupProbe", ill)

        def changed(healthy: bool, why: str) -> None:
            if healthy:
                self.record.started = True
                self.record.ready = "readinessProbe" not in self.spec
                self.pod.changed()
                done.set()
            else:
                kill(healthy, why)

        watching = asyncio.create_task(self._watch("startupProbe", changed, early=True))
        try:
            await first_of(watching, done.wait())
            if watching.done():
                watching.result()
        finally:
            await cancelled(watching)

    def _readiness(self, healthy: bool, why: str) -> None:
        self.record.ready = healthy
        self.pod.changed()
        if not healthy:
            self.pod.note("Warning", "Unhealthy", f"Readiness probe failed: {why}")

    def _killer(self, name: str, kind: str, ill: Stop) -> Any:
        def changed(healthy: bool, why: str) -> None:
            if not healthy and not self.stop.asked.is_set():
                self.pod.note("Warning", "Unhealthy", f"{name} probe failed: {why}")
                self.pod.note(
                    "Normal",
                    "Killing",
                    f"Container {self.name} failed {name.lower()} probe, will be restarted",
                )
                ill.ask(float(self.spec[kind].get("terminationGracePeriodSeconds", self.grace)))

        return changed

    async def _post_start(self, ill: Stop) -> None:
        hook = (self.spec.get("lifecycle") or {}).get("postStart")
        if hook:
            why = await self._hook(hook, self.grace)
            if why:
                self.pod.note("Warning", "FailedPostStartHook", why)
                ill.ask(self.grace)

    async def _hook(self, hook: Obj, within: float) -> str:
        if "sleep" in hook:
            await asyncio.sleep(float(hook["sleep"]["seconds"]))
            return ""
        return await self.pod.looker(self.spec).look(hook, within)

    async def _terminate(self, process: Process, ended: asyncio.Task[int], stop: Stop) -> None:
        """preStop, SIGTERM, and SIGKILL when the grace is over."""
        hook = (self.spec.get("lifecycle") or {}).get("preStop")
        if hook and not stop.over.is_set():
            running = asyncio.create_task(self._hook(hook, max(stop.remaining, 1.0)))
            await first_of(ended, running, stop.over.wait())
            if running.done() and (failure := _failure(running)):
                self.pod.note("Warning", "FailedPreStopHook", failure)
            await cancelled(running)
        if not ended.done():
            process.terminate()
            await first_of(ended, stop.over.wait())
        if not ended.done():
            process.kill()


def _failure(hook: asyncio.Task[str]) -> str:
    error = hook.exception()
    return hook.result() if error is None else str(error)


def _seconds_between(began: str, ended: str) -> float:
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds()


async def first_of(*awaited: asyncio.Task[Any] | Coroutine[Any, Any, Any]) -> None:
    """Wait until one is done; tasks go on, coroutines that are not done are cancelled."""
    tasks = [one if isinstance(one, asyncio.Task) else asyncio.create_task(one) for one in awaited]
    own = [task for task, one in zip(tasks, awaited, strict=True) if task is not one]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancelled(*own)


async def cancelled(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait until they are gone; what they raised is dropped."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def lost(record: ContainerRecord) -> None:
    """The node was away while this container ran: it is gone, nobody knows with which exit code."""
    if "running" in record.state:
        code = _START_ERROR + int(signal.SIGKILL)
        began = record.state["running"]["startedAt"]
        message = "the container was gone when the node came back"
        ended = {"exitCode": code, "reason": "ContainerStatusUnknown", "message": message, "startedAt": began}
        record.state = {"terminated": ended | {"finishedAt": timestamp()}}
    elif "waiting" in record.state and record.last_state:
        record.state = record.last_state
    record.pid = record.start_ticks = 0
    record.started = record.ready = False
    record.failures = 0
