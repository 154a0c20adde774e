"""Kubernetes Events (``events.k8s.io/v1``) for people who type ``kubectl describe``.

Recording is best effort by nature: it never blocks, never raises and never delays what it reports on. What
cannot be written in time is dropped and counted.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, Self

import structlog

from talkdesk_crds.names import GROUP
from talkdesk_kube import metrics
from talkdesk_kube.backoff import backoff
from talkdesk_kube.errors import AlreadyExists, KubeError
from talkdesk_kube.resources import EVENTS, Obj, UnknownKind, resource_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from talkdesk_kube.client import Kube

_log = structlog.get_logger("talkdesk_kube.events")

#: The API's limits, in bytes.
NOTE_BYTES = 1024
NAME_BYTES = 128
_ATTEMPTS = 3
_KNOWN = 4096


@dataclass(frozen=True, slots=True)
class RecorderLimits:
    """``queue``: Events waiting at most; ``window``: seconds in which the same Event is written once;
    ``burst`` Events per object at once, and one more every ``refill`` seconds (client-go's defaults)."""

    queue: int = 1000
    window: float = 600.0
    burst: int = 25
    refill: float = 300.0


def _cut(text: str, limit: int) -> str:
    raw = text.encode(errors="replace")
    return text if len(raw) <= limit else raw[: limit - 3].decode(errors="ignore") + "…"


def build(
    regarding: Mapping[str, Any],
    *,
    type_: str,
    reason: str,
    note: str,
    action: str,
    controller: str,
    instance: str,
    namespace: str,
    now: datetime,
) -> Obj:
    """The Event's JSON. ``namespace`` serves where ``regarding`` is namespaced and names none itself.

    Raises KeyError, UnknownKind where ``regarding`` is no object of a known kind.
    """
    metadata = regarding["metadata"]
    name = str(metadata["name"])
    if resource_of(regarding).namespaced:
        where = where_regarding = str(metadata.get("namespace") or namespace)
    else:
        # The API keeps Events on cluster-wide objects in this namespace and in no other.
        where, where_regarding = "default", ""
    reference = {
        "apiVersion": regarding["apiVersion"],
        "kind": regarding["kind"],
        "name": name,
        "namespace": where_regarding,
        "uid": metadata.get("uid"),
        "resourceVersion": metadata.get("resourceVersion"),
    }
    return {
        "apiVersion": EVENTS.api_version,
        "kind": EVENTS.kind,
        "metadata": {"name": f"{name[:230]}.{secrets.token_hex(8)}", "namespace": where},
        "eventTime": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": controller,
        "reportingInstance": _cut(instance, NAME_BYTES),
        "type": type_,
        "reason": _cut(reason, NAME_BYTES),
        "action": _cut(action, NAME_BYTES),
        "note": _cut(note, NOTE_BYTES),
        "regarding": {key: value for key, value in reference.items() if value},
    }


class Throttle:
    """Decides which Events are written: repetitions within the window are not, nor floods about one object.

    Remembers the last 4096 Events and objects.
    """

    def __init__(self, limits: RecorderLimits) -> None:
        self._limits = limits
        self._written: OrderedDict[tuple[str, ...], float] = OrderedDict()
        self._tokens: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def admits(self, subject: str, reason: str, note: str, now: float) -> Literal["yes", "repeated", "flood"]:
        """Whether to write it; ``subject`` identifies the object, ``now`` is in seconds."""
        event = (subject, reason, note)
        last = self._written.get(event)
        if last is not None and now - last < self._limits.window:
            return "repeated"
        tokens, since = self._tokens.get(subject, (float(self._limits.burst), now))
        tokens = min(float(self._limits.burst), tokens + (now - since) / self._limits.refill)
        admitted = tokens >= 1.0
        _remember(self._tokens, subject, (tokens - 1.0 if admitted else tokens, now))
        if not admitted:
            return "flood"
        _remember(self._written, event, now)
        return "yes"

    def forget(self, subject: str, reason: str, note: str) -> None:
        """It was not written after all: the next of its kind is no repetition."""
        self._written.pop((subject, reason, note), None)


def _remember(memory: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    memory[key] = value
    memory.move_to_end(key)
    while len(memory) > _KNOWN:
        memory.popitem(last=False)


class EventRecorder:
    """Writes Events from a queue while it is open: ``async with EventRecorder(…) as recorder``.

    RBAC: create on ``events.k8s.io`` events in the namespaces of the objects reported on.

    :param component: becomes ``reportingController`` ``talkdesk-operator.io/<component>``.
    :param namespace: of objects that name none themselves.
    :param instance: ``reportingInstance``: the pod's name.
    :ivar dropped: Events that were not written, but for repetitions.
    """

    def __init__(
        self,
        kube: Kube,
        component: str,
        namespace: str,
        *,
        instance: str = "",
        limits: RecorderLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.dropped = 0
        self._kube = kube
        self._controller = f"{GROUP}/{component}"
        self._namespace = namespace
        self._instance = instance or component
        self._clock = clock
        limits = limits or RecorderLimits()
        self._throttle = Throttle(limits)
        self._queue: asyncio.Queue[tuple[str, Obj]] = asyncio.Queue(limits.queue)
        self._task: asyncio.Task[None] | None = None

    def event(
        self,
        regarding: Mapping[str, Any],
        type: Literal["Normal", "Warning"],  # noqa: A002 -- the API's own name for it
        reason: str,
        note: str,
        action: str,
    ) -> None:
        """Report on ``regarding`` (JSON with apiVersion, kind, metadata.name), some time soon.

        :param reason: CamelCase, why; at most 128 bytes, as ``action``, what was done.
        :param note: for people; cut at 1024 bytes.
        """
        try:
            metadata = regarding["metadata"]
            subject = str(
                metadata.get("uid")
                or f"{regarding['kind']}/{metadata.get('namespace', '')}/{metadata['name']}"
            )
            verdict = self._throttle.admits(subject, reason, note, self._clock())
            if verdict == "repeated":
                return
            if verdict == "flood":
                self._drop("flood", reason)
                return
            event = build(
                regarding,
                type_=type,
                reason=reason,
                note=note,
                action=action,
                controller=self._controller,
                instance=self._instance,
                namespace=self._namespace,
                now=datetime.now(UTC),
            )
            if self._queue.full():
                self._throttle.forget(subject, reason, note)
                self._drop("queue", reason)
                return
            self._queue.put_nowait((subject, event))
        except (KeyError, TypeError, AttributeError, UnknownKind) as error:
            self._drop("malformed", reason)
            _log.warning("cannot report on this object", reason=reason, error=str(error))

    def _drop(self, cause: str, reason: str, error: str | None = None) -> None:
        self.dropped += 1
        metrics.EVENTS_DROPPED.labels(cause).inc()
        _log.debug("Kubernetes Event dropped", cause=cause, reason=reason, error=error)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._write_all())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self, *, seconds: float = 2.0) -> None:
        """Write what waits, for at most ``seconds``, then stop."""
        if self._task is None:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._queue.join()
        except TimeoutError:
            for _ in range(self._queue.qsize()):
                self._drop("shutdown", str(self._queue.get_nowait()[1]["reason"]))
        self._task.cancel()
        await asyncio.wait({self._task})
        self._task = None

    async def _write_all(self) -> None:
        while True:
            subject, event = await self._queue.get()
            try:
                await self._write(event)
            except asyncio.CancelledError:
                self._drop("shutdown", event["reason"])
                raise
            except Exception as error:  # noqa: BLE001 -- reporting must not end because of one report
                self._throttle.forget(subject, event["reason"], event["note"])
                self._drop("error", event["reason"], str(error))
            finally:
                self._queue.task_done()

    async def _write(self, event: Obj) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await self._kube.create(EVENTS, event)
            except AlreadyExists:
                return  # an attempt whose answer was lost had worked: the name is random
            except KubeError as error:
                if not error.transient or attempt == _ATTEMPTS:
                    raise
                await asyncio.sleep(min(error.retry_after or backoff(attempt, first=0.2, longest=2.0), 5.0))
            else:
                return
