"""Deliveries: signed, attempted up to three times on the movable clock, each attempt in the ledger."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from talkdesk_sandbox.talkdesk.delivery_faults import DeliveryFault, DeliveryFaults
from talkdesk_sandbox.talkdesk.ledger import Ledger, shown_body

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from talkdesk_sandbox.talkdesk.clock import Agenda
    from talkdesk_sandbox.talkdesk.keys import SigningKey
    from talkdesk_sandbox.talkdesk.switches import Switches

SIGNATURE = "X-Hub-Ecdsa-Signature"
SIGNATURE_ID = "X-Hub-Ecdsa-Signature-Id"
#: What is read of an answer's body, for the ledger.
_SHOWN_ANSWER = 2048
#: How long an event that is to come late waits for another one to pass it.
_KEPT_BACK = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class Event:
    """One event as it goes over the wire. ``headers`` replace the stand-in's own; None leaves one out.

    ``signed`` is what is signed, if it is not the body; ``key_id`` the signing key, if not the current one.
    """

    id: str
    app_id: str
    body: bytes = field(repr=False)
    type: str | None = None
    installation_id: str | None = None
    account_id: str | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    signed: bytes | None = field(default=None, repr=False)
    key_id: str | None = None


class LocalNames(AbstractResolver):
    """``*.localhost`` is this machine, as in every browser; the rest as the system says."""

    def __init__(self) -> None:
        self._system = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Addresses of ``host``."""
        if host == "localhost" or host.endswith(".localhost"):
            return [
                ResolveResult(
                    hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=0
                )
            ]
        return await self._system.resolve(host, port, family)

    async def close(self) -> None:
        """Nothing to release but the system's resolver."""
        await self._system.close()


class Deliveries:
    """Sends events to an app's events URL, which is looked up anew at each attempt."""

    def __init__(
        self,
        *,
        agenda: Agenda,
        ledger: Ledger,
        events_url: Callable[[str], str],
        signing_key: Callable[[Event], SigningKey],
        switches: Callable[[], Switches],
    ) -> None:
        self._agenda = agenda
        self._ledger = ledger
        self._events_url = events_url
        self._signing_key = signing_key
        self._switches = switches
        self._session: aiohttp.ClientSession | None = None
        self._kept_back: list[Event] = []
        self.faults = DeliveryFaults()
        self.events: dict[str, Event] = {}

    async def start(self) -> None:
        """Open the HTTP client."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=LocalNames(), limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )

    async def close(self) -> None:
        """Close the HTTP client."""
        if self._session:
            await self._session.close()

    def send(self, event: Event) -> None:
        """Begin the series of attempts: at once, after 5 minutes, and 10 minutes later."""
        self.events[event.id] = event
        self._attempt(event, number=1, first_at=self._agenda.clock.now())

    def again(self, event_id: str) -> None:
        """Deliver the same bytes again. Raises KeyError for an event that never was."""
        self.send(self.events[event_id])

    def _attempt(self, event: Event, *, number: int, first_at: datetime) -> None:
        fault = self.faults.take()
        if fault is not None and fault.kind == "reorder":
            self._keep_back(event)
            return
        frees = bool(self._kept_back)
        self._agenda.start(self._deliver(event, number=number, first_at=first_at, fault=fault, frees=frees))
        if fault is not None and fault.kind == "duplicate":
            self._agenda.start(self._deliver(event, number=number, first_at=first_at, fault=fault, twin=True))

    def _keep_back(self, event: Event) -> None:
        self._kept_back.append(event)
        self._agenda.at(self._agenda.clock.now() + _KEPT_BACK, self._let_go)

    def _let_go(self) -> None:
        """Whatever was kept back leaves now, as its first attempt."""
        late, self._kept_back = self._kept_back, []
        for event in late:
            fault = DeliveryFault(kind="reorder")
            first_at = self._agenda.clock.now()
            self._agenda.start(self._deliver(event, number=1, first_at=first_at, fault=fault))

    async def _deliver(
        self,
        event: Event,
        *,
        number: int,
        first_at: datetime,
        fault: DeliveryFault | None = None,
        twin: bool = False,
        frees: bool = False,
    ) -> None:
        switches = self._switches()
        kind = None if fault is None else fault.kind
        key = self._signing_key(event)
        signed = event.body if event.signed is None else event.signed
        signature = key.sign(b"not " + signed if kind == "bad-signature" else signed, switches=switches)
        url = self._events_url(event.app_id)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Talkdesk",
            SIGNATURE: signature,
            SIGNATURE_ID: key.id,
        }
        for name, value in event.headers.items():
            headers = {one: text for one, text in headers.items() if one.lower() != name.lower()}
            if value is not None:
                headers[name] = value
        if fault is not None and kind == "delay":
            await asyncio.sleep(fault.delay_seconds)
        began = time.monotonic()
        status: int | None = None
        error: str | None = "lost on its way"
        answer: Any = None
        if kind != "drop":
            status, error, answer = await self._post(
                url, event.body, headers, seconds=switches.delivery_timeout_seconds
            )
        self._ledger.add(
            "delivery",
            method="POST",
            url=url,
            status=status,
            seconds=time.monotonic() - began,
            installation_id=event.installation_id,
            account_id=event.account_id,
            event_id=event.id,
            event_type=event.type,
            detail={
                "attempt": number,
                "error": error,
                "signature": {
                    "key_id": key.id,
                    "encoding": switches.signature_encoding,
                    "hash": switches.signature_hash,
                    "curve": key.curve,
                    "key_form": key.form,
                },
                "body": _shown(event.body),
                **({} if answer is None else {"answer": answer}),
                **({} if kind is None else {"fault": kind}),
            },
        )
        if frees:
            self._let_go()
        if twin:
            return
        after = {1: timedelta(minutes=5), 2: timedelta(minutes=15)}
        if switches.retry_second == "after-first":
            after[2] = timedelta(minutes=10)
        if error is not None and number in after:
            self._agenda.at(
                first_at + after[number],
                lambda: self._attempt(event, number=number + 1, first_at=first_at),
            )

    async def _post(
        self, url: str, body: bytes, headers: dict[str, str], *, seconds: float
    ) -> tuple[int | None, str | None, Any]:
        """Status, what made the attempt an error (anything but 2xx), and the beginning of the answer's body.

        Redirects are not followed.
        """
        if self._session is None:
            raise RuntimeError("deliveries were not started")
        try:
            async with self._session.post(
                url,
                data=body,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=seconds),
            ) as answer:
                status = answer.status
                body = await answer.content.read(_SHOWN_ANSWER)
        except TimeoutError:
            return None, f"no answer within {seconds:g} s", None
        except (aiohttp.ClientError, OSError, ValueError) as reason:
            return None, type(reason).__name__, None
        except asyncio.CancelledError:
            raise
        return status, None if 200 <= status < 300 else f"status {status}", _shown(body) if body else None


def _shown(body: bytes) -> Any:
    """The body for the ledger: parsed, so that secrets can be found by their names; else only its size."""
    try:
        return shown_body(json.loads(body))
    except (ValueError, RecursionError):
        return {"bytes": len(body), "json": False}
