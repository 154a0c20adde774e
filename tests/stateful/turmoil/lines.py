"""The three lines that interceptors stand in: deliveries, calls to Talkdesk, requests to the API server."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from aiohttp import web

from talkdesk_sandbox.interceptor import Cut, Exchange

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

#: How long a delivery is held back; below what the stand-in waits for an answer.
_HOLD_SECONDS = 8.0

Fate = Literal["lose", "twice", "hold"]
#: How the API server fails: no answer, a status code, or half a second more than usual.
Hiccup = Literal["cut", 429, 500, 503, "slow"]
HICCUPS: tuple[Hiccup, ...] = get_args(Hiccup)
_SLOW_SECONDS = 0.5
_REASONS = {429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable"}


@dataclass
class Deliveries:
    """What becomes of events on their way to the webhook. ``acknowledged`` maps event id → monotonic time."""

    acknowledged: dict[str, float] = field(default_factory=dict)
    #: 2xx by event id.
    answers: Counter[str] = field(default_factory=Counter)
    #: Attempts that were cut, by event id.
    lost: Counter[str] = field(default_factory=Counter)
    #: Event ids in the order in which they were acknowledged first.
    order: list[str] = field(default_factory=list)
    _armed: dict[str, Fate] = field(default_factory=dict)
    _fates: dict[str, Fate] = field(default_factory=dict)
    _held: dict[str, asyncio.Event] = field(default_factory=dict)

    def arm(self, fate: Fate, kind: str) -> None:
        """The next new event of type ``kind`` meets this fate."""
        self._armed[kind] = fate

    def disarm(self) -> None:
        """No fate for whatever has not been seen yet; what is held back goes on."""
        self._armed.clear()
        self.release()

    def release(self) -> None:
        """Let go what is held back."""
        for held in self._held.values():
            held.set()
        self._held.clear()

    def is_lost(self, event_id: str) -> bool:
        """Whether all attempts at it are cut."""
        return self._fates.get(event_id) == "lose"

    async def __call__(self, exchange: Exchange) -> web.StreamResponse:
        """The interceptor's rule."""
        event = json.loads(exchange.body)
        event_id, kind = str(event["id"]), str(event["type"])
        if event_id not in self._fates and kind in self._armed:
            self._fates[event_id] = self._armed.pop(kind)
        fate = self._fates.get(event_id)
        if fate == "lose":
            self.lost[event_id] += 1
            raise Cut
        if fate == "twice":
            del self._fates[event_id]
            first, second = await asyncio.gather(
                self._pass(exchange, event_id), self._pass(exchange, event_id)
            )
            return first if first.status < 300 else second
        if fate == "hold":
            held = self._held.setdefault(event_id, asyncio.Event())
            try:
                await asyncio.wait_for(held.wait(), _HOLD_SECONDS)
            except TimeoutError:
                self._held.pop(event_id, None)
            self._fates.pop(event_id, None)
        return await self._pass(exchange, event_id)

    async def _pass(self, exchange: Exchange, event_id: str) -> web.StreamResponse:
        answer = await exchange.forward()
        if 200 <= answer.status < 300:
            self.answers[event_id] += 1
            if event_id not in self.acknowledged:
                self.acknowledged[event_id] = time.monotonic()
                self.order.append(event_id)
        return answer


@dataclass
class TalkdeskCalls:
    """Calls to Talkdesk; ``judge`` sees every answer (installation id, verdict) before Talkdesk does."""

    judge: Callable[[str, str], Awaitable[None]] | None = None

    async def __call__(self, exchange: Exchange) -> web.StreamResponse:
        """The interceptor's rule."""
        parts = exchange.path.strip("/").split("/")
        if self.judge is not None and exchange.method == "POST" and parts[-1] == "state":
            await self.judge(parts[-2], str(json.loads(exchange.body)["state"]))
        return await exchange.forward()


@dataclass
class KubernetesRequests:
    """Requests to the API server, and watches. ``cut`` counts what a hiccup cut, refused or held up."""

    cut: int = 0
    _how: Hiccup | None = None
    _cutting: asyncio.Event = field(default_factory=asyncio.Event)

    def fail(self, how: Hiccup = "cut") -> None:
        """From now on nothing passes, or nothing in time; open watches are ended by a cut alone."""
        self._how = how
        if how == "cut":
            self._cutting.set()

    def heal(self) -> None:
        """Everything passes again."""
        self._how = None
        self._cutting.clear()

    async def __call__(self, exchange: Exchange) -> web.StreamResponse:
        """The interceptor's rule."""
        if self._how is not None:
            self.cut += 1
            if self._how == "cut":
                raise Cut
            if self._how != "slow":
                return _refusal(self._how)
            await asyncio.sleep(_SLOW_SECONDS)
        if not exchange.is_watch:
            return await exchange.forward()
        passing = asyncio.ensure_future(exchange.forward())
        failing = asyncio.ensure_future(self._cutting.wait())
        try:
            await asyncio.wait({passing, failing}, return_when=asyncio.FIRST_COMPLETED)
            if passing.done():
                return passing.result()
            self.cut += 1
            raise Cut
        finally:
            passing.cancel()
            failing.cancel()
            await asyncio.wait({passing, failing})


def _refusal(code: int) -> web.Response:
    """As the API server says it."""
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": _REASONS[code]}
    headers = {"Retry-After": "1"} if code == 429 else None
    return web.json_response(body, status=code, headers=headers)
