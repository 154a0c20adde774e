"""Signing keys by id: fetched from the configured gateways only, cached, and never at an attacker's pace.

Anybody may send any key id, so a look-up must not become a way to make us flood Talkdesk: unknown ids are
remembered, one look-up runs per id, and a token bucket bounds the look-ups. It is large, for whoever empties
it keeps a key of Talkdesk's from being learned. Keys that are known keep working while the bucket is empty or
Talkdesk is away, also where its gateways do not answer at all.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from talkdesk_webhook.signature import Point65, PublicKey, UnreadableKeyError, load_public_key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

_KEY_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,127}")


class KeyRefusedError(Exception):
    """The id names no key that may be used: answer 401. ``reason`` is a constant for logs and metrics."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class KeyUnavailableError(Exception):
    """Whether the key exists cannot be told now: answer 503.

    ``reason`` is a constant for logs and metrics, ``detail`` for people.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


class GatewayError(Exception):
    """A gateway did not answer, or not with a key or a 404; the message says which and why."""


@dataclass(frozen=True)
class FetchedKey:
    """A gateway's answer: ``public_key`` as Talkdesk wrote it; ``expires_at`` aware, or None for no end."""

    public_key: str
    expires_at: datetime | None


class Fetch(Protocol):
    """Ask one gateway for one key: None where it knows no such id (404). Raises GatewayError."""

    def __call__(self, gateway: str, key_id: str, /) -> Awaitable[FetchedKey | None]: ...


@dataclass(frozen=True, kw_only=True)
class KeyLimits:
    """Durations in seconds; ``burst`` look-ups in a row, then ``per_second``."""

    refresh: float = 3600.0  #: a key without expires_at is asked for again after this
    renewal_wait: float = 1.0  #: a request waits so long for a known key's renewal, which then goes on alone
    unknown: float = 60.0  #: for how long a refused id is not asked for again
    known_ids: int = 256
    unknown_ids: int = 4096
    burst: int = 200
    per_second: float = 50.0
    at_once: int = 48  #: look-ups; fewer than the HTTP client has connections, so that renewals find some


class TokenBucket:
    """At most ``burst`` at once and ``per_second`` in the long run; ``now`` is monotonic, in seconds."""

    def __init__(self, *, burst: int, per_second: float) -> None:
        self._burst = float(burst)
        self._per_second = per_second
        self._tokens = float(burst)
        self._at: float | None = None

    def take(self, now: float) -> bool:
        """Take one token; False where none is left."""
        if self._at is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_second)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


@dataclass(frozen=True)
class _Known:
    key: PublicKey
    expires_at: datetime | None
    fresh_until: float


class KeyCache:
    """The keys in use. ``clock`` gives aware wall time, ``monotonic`` seconds."""

    def __init__(
        self,
        *,
        gateways: Sequence[str],
        fetch: Fetch,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
        limits: KeyLimits | None = None,
        point65: Point65 = "p256",
    ) -> None:
        self._gateways = list(gateways)
        self._fetch = fetch
        self._clock = clock
        self._monotonic = monotonic
        self._limits = limits or KeyLimits()
        self._point65 = point65
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._refused: OrderedDict[str, tuple[float, KeyRefusedError | KeyUnavailableError]] = OrderedDict()
        self._running: dict[str, asyncio.Task[PublicKey]] = {}
        # Ids that were good once have a bucket of their own: strangers' ids cannot stop their renewal.
        self._strangers = self._bucket()
        self._renewals = self._bucket()

    async def get(self, key_id: str) -> PublicKey:
        """The key called ``key_id``.

        Raises KeyRefusedError (malformed, unknown, expired) and KeyUnavailableError.
        """
        if not _KEY_ID.fullmatch(key_id):
            raise KeyRefusedError("malformed-key-id")
        known = self._known.get(key_id)
        if known is None or self._expired(known.expires_at):
            self._raise_if_refused(key_id)
            # Shielded: a caller whose time is up must not end the look-up for the others.
            return await asyncio.shield(self._looking_up(key_id))
        self._known.move_to_end(key_id)
        if self._monotonic() < known.fresh_until:
            return known.key
        try:
            look_up = self._looking_up(key_id)
            # Gateways that hang, one after another, may take longer than the request has.
            await asyncio.wait({look_up}, timeout=self._limits.renewal_wait)
            if look_up.done():
                return look_up.result()
        except KeyUnavailableError:
            pass
        # Not expired; only asking whether it still is Talkdesk's failed or takes long. Ask again a bit later.
        self._known[key_id] = replace(known, fresh_until=self._monotonic() + self._limits.unknown)
        return known.key

    async def close(self) -> None:
        """End the look-ups that nobody may be waiting for any more."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _bucket(self) -> TokenBucket:
        return TokenBucket(burst=self._limits.burst, per_second=self._limits.per_second)

    def _expired(self, expires_at: datetime | None) -> bool:
        return expires_at is not None and expires_at <= self._clock()

    def _raise_if_refused(self, key_id: str) -> None:
        entry = self._refused.get(key_id)
        if entry is None:
            return
        until, verdict = entry
        if self._monotonic() < until:
            raise copy(verdict)
        del self._refused[key_id]

    def _looking_up(self, key_id: str) -> asyncio.Task[PublicKey]:
        """The one look-up of ``key_id``, begun here unless it runs. Raises KeyUnavailableError."""
        task = self._running.get(key_id)
        if task is None:
            if not self._may_look_up(key_id):
                raise KeyUnavailableError("too-many-key-look-ups")
            task = asyncio.create_task(self._look_up(key_id), name=f"signature key {key_id}")
            self._running[key_id] = task
            task.add_done_callback(lambda done: self._finished(key_id, done))
        return task

    def _may_look_up(self, key_id: str) -> bool:
        if key_id in self._known:
            return self._renewals.take(self._monotonic())
        return len(self._running) < self._limits.at_once and self._strangers.take(self._monotonic())

    def _finished(self, key_id: str, task: asyncio.Task[PublicKey]) -> None:
        self._running.pop(key_id, None)
        if not task.cancelled():
            task.exception()  # read here, for every caller may have gone

    async def _look_up(self, key_id: str) -> PublicKey:
        failures: list[str] = []
        for gateway in list(self._gateways):
            try:
                fetched = await self._fetch(gateway, key_id)
            except GatewayError as error:
                failures.append(str(error))
                continue
            if fetched is not None:
                self._prefer(gateway)
                return self._keep(key_id, fetched)
        if failures:
            raise KeyUnavailableError("key-unreachable", "; ".join(failures))
        self._known.pop(key_id, None)
        raise self._refuse(key_id, KeyRefusedError("unknown-key-id"))

    def _keep(self, key_id: str, fetched: FetchedKey) -> PublicKey:
        if self._expired(fetched.expires_at):
            self._known.pop(key_id, None)
            raise self._refuse(key_id, KeyRefusedError("expired-key"))
        try:
            key = load_public_key(fetched.public_key, point65=self._point65)
        except UnreadableKeyError as error:
            raise self._refuse(key_id, KeyUnavailableError("unreadable-key", str(error))) from None
        fresh_for = self._limits.refresh if fetched.expires_at is None else float("inf")
        self._known[key_id] = _Known(key, fetched.expires_at, self._monotonic() + fresh_for)
        self._known.move_to_end(key_id)
        while len(self._known) > self._limits.known_ids:
            self._known.popitem(last=False)
        return key

    def _refuse(
        self, key_id: str, verdict: KeyRefusedError | KeyUnavailableError
    ) -> KeyRefusedError | KeyUnavailableError:
        self._refused[key_id] = (self._monotonic() + self._limits.unknown, verdict)
        while len(self._refused) > self._limits.unknown_ids:
            self._refused.popitem(last=False)
        return verdict

    def _prefer(self, gateway: str) -> None:
        """Ask first where a key was found last: one region usually signs everything."""
        if self._gateways[0] != gateway:
            self._gateways.remove(gateway)
            self._gateways.insert(0, gateway)
