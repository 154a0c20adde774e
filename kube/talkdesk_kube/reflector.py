"""A watch cache: what the API server holds of one resource, kept current by LIST and WATCH.

The store is always some state the server was in. When a watch is cut or too old, the reflector lists again
and tells its subscribers the difference, deletions included: nobody needs to notice that a watch was down.
Modelled on client-go's Reflector and DeltaFIFO, less the queue: subscribers are called at once and have to
be quick (put a key into a queue).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from random import Random
from types import MappingProxyType
from typing import TYPE_CHECKING

import structlog

from talkdesk_kube import metrics
from talkdesk_kube.backoff import backoff
from talkdesk_kube.errors import Gone, KubeError
from talkdesk_kube.resources import Obj, Resource, key_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from talkdesk_kube.client import Kube, WatchEvent

_log = structlog.get_logger("talkdesk_kube.reflector")

Key = tuple[str, str]
#: ``(key, old, new)``: None for old on an addition, for new on a deletion. Objects are as transformed.
Subscriber = Callable[[Key, Obj | None, Obj | None], None]
Transform = Callable[[Obj], Obj]


@dataclass(frozen=True, slots=True)
class ReflectorTimings:
    """In seconds. The server ends each watch after ``watch`` to twice that; ``silence`` as in Kube.watch."""

    watch: float = 240.0
    silence: float | None = None
    first_backoff: float = 0.2
    longest_backoff: float = 30.0
    #: A watch that ended sooner, having shown nothing, counts as a failure.
    shortest_watch: float = 1.0


class Reflector:
    """One resource, in one namespace or in all; see the module.

    :param transform: what to keep of an object, which it sees whole; it may return the object it was given,
        changed. ``metadata.managedFields`` are dropped from what it returns.
    :ivar synced: set, for good, after the first complete list, once what changes after it is shown as well.
    """

    def __init__(
        self,
        kube: Kube,
        resource: Resource,
        *,
        namespace: str | None = None,
        labels: str = "",
        fields: str = "",
        transform: Transform | None = None,
        timings: ReflectorTimings | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.resource = resource
        self.synced = asyncio.Event()
        self._kube = kube
        self._namespace = namespace
        self._labels = labels
        self._fields = fields
        self._transform = transform
        self._timings = timings or ReflectorTimings()
        self._clock = clock
        self._random = Random()  # noqa: S311 -- spreads load, guards nothing
        self._store: dict[Key, Obj] = {}
        self._versions: dict[Key, tuple[str, str]] = {}
        self._subscribers: list[Subscriber] = []
        self._resource_version = ""
        self._heard: float | None = None
        self._failures = 0

    @property
    def store(self) -> Mapping[Key, Obj]:
        """By ``(namespace, name)``; a live, read-only view. Do not change the objects in it."""
        return MappingProxyType(self._store)

    @property
    def resource_version(self) -> str:
        """The state of the server that the store shows; empty before the first list."""
        return self._resource_version

    def fresh_within(self, seconds: float) -> bool:
        """Whether the server was heard (list, event, bookmark) in the last ``seconds``.

        It sends a bookmark about once a minute: less than 120 would doubt a healthy watch.
        """
        return self._heard is not None and self._clock() - self._heard <= seconds

    @property
    def heard(self) -> float | None:
        """When the server was last heard, by :meth:`now`; None before the first list."""
        return self._heard

    def now(self) -> float:
        """The moment by the reflector's clock, in seconds."""
        return self._clock()

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Tell ``subscriber`` every change from now on; the result ends that.

        It is called in the event loop and must not block. What it raises is logged and otherwise ignored.
        """
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    async def run(self) -> None:
        """Keep the store current until cancelled. Never returns, never raises KubeError."""
        cause = "start"
        while True:
            try:
                await self._list(cause)
                while True:
                    await self._watch()
            except Gone:
                cause = "expired"
                self._failures += 1
                _log.debug("watch expired, listing again", resource=str(self.resource))
            except KubeError as error:
                cause = "error"
                self._failures += 1
                _log.warning(
                    "cannot list or watch, trying again",
                    resource=str(self.resource),
                    namespace=self._namespace,
                    error=str(error),
                    failures=self._failures,
                )
            # Once listed again at once: what expired between list and watch is no failure yet.
            if cause != "expired" or self._failures > 1:
                await asyncio.sleep(self._delay())

    def _delay(self) -> float:
        timings = self._timings
        return backoff(
            max(1, self._failures),
            first=timings.first_backoff,
            longest=timings.longest_backoff,
            rng=self._random,
        )

    async def _list(self, cause: str) -> None:
        metrics.RELISTS.labels(str(self.resource), cause).inc()
        listing = await self._kube.list(
            self.resource, namespace=self._namespace, labels=self._labels, fields=self._fields
        )
        self._heard = self._clock()
        self._resource_version = listing.resource_version
        listed = {key_of(item): item for item in listing.items}
        for key in [key for key in self._store if key not in listed]:
            self._remove(key)
        for key, item in listed.items():
            self._put(key, item)

    async def _watch(self) -> None:
        timings = self._timings
        began = self._clock()
        heard = False
        events = self._kube.watch(
            self.resource,
            resource_version=self._resource_version,
            namespace=self._namespace,
            labels=self._labels,
            fields=self._fields,
            timeout=timings.watch * (1.0 + self._random.random()),
            silence=timings.silence,
            # A server that is starting, or whose kinds are new, may list long before it lets anyone watch.
            opened=self.synced.set,
        )
        async with aclosing(events):
            async for event in events:
                heard = True
                self._failures = 0
                self._heard = self._clock()
                self._take(event)
        if not heard and self._clock() - began < timings.shortest_watch:
            self._failures += 1
            await asyncio.sleep(self._delay())

    def _take(self, event: WatchEvent) -> None:
        version = str(event.object["metadata"]["resourceVersion"])
        if event.type != "BOOKMARK":
            key = key_of(event.object)
            if event.type == "DELETED":
                self._remove(key)
            else:
                self._put(key, event.object)
        self._resource_version = version

    def _put(self, key: Key, obj: Obj) -> None:
        metadata = obj["metadata"]
        version = (str(metadata.get("uid", "")), str(metadata.get("resourceVersion", "")))
        known = self._versions.get(key)
        if known == version:
            return
        if known is not None and known[0] != version[0]:
            # Deleted and made again while nobody looked: two facts, told as two.
            self._remove(key)
        kept = obj if self._transform is None else self._transform(obj)
        kept.get("metadata", {}).pop("managedFields", None)
        old = self._store.get(key)
        self._store[key] = kept
        self._versions[key] = version
        self._tell(key, old, kept)

    def _remove(self, key: Key) -> None:
        old = self._store.pop(key, None)
        self._versions.pop(key, None)
        if old is not None:
            self._tell(key, old, None)

    def _tell(self, key: Key, old: Obj | None, new: Obj | None) -> None:
        for subscriber in tuple(self._subscribers):
            try:
                subscriber(key, old, new)
            except Exception:  # noqa: BLE001 -- one bad subscriber must not stop the others, nor the store
                _log.exception("a subscriber failed", resource=str(self.resource), key="/".join(key))
