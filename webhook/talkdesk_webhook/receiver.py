"""One request: limits, signature, parse, store, answer. 2xx is said only of what the API server holds.

What fails the signature gets 4xx (503 where it cannot be checked) and causes no write. What passes it is
Talkdesk's: it is kept, or Talkdesk is told to deliver it again.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog
from aiohttp import web

from talkdesk_crds.names import installation_name
from talkdesk_kube.resources import INSTALLATIONS
from talkdesk_webhook import signature
from talkdesk_webhook.event import Event, NotAnEvent, parse
from talkdesk_webhook.fold import ForeignEventError
from talkdesk_webhook.intake import RETRY_AFTER, InFlight, RefusedError, read_body
from talkdesk_webhook.keys import KeyCache, KeyRefusedError, KeyUnavailableError
from talkdesk_webhook.store import NotStoredError, Store

if TYPE_CHECKING:
    from talkdesk_kube import EventRecorder
    from talkdesk_webhook.metrics import Metrics

SIGNATURE_HEADER: Final = "X-Hub-Ecdsa-Signature"
KEY_ID_HEADER: Final = "X-Hub-Ecdsa-Signature-Id"

_log = structlog.get_logger("talkdesk_webhook.receiver")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Sizes in bytes, durations in seconds; ``budget`` is for keys and storing, after the body was read."""

    max_body_bytes: int = 1048576
    max_inflight_bytes: int = 33554432
    read_seconds: float = 5.0
    budget: float = 8.0


@dataclass(frozen=True, kw_only=True)
class Home:
    """Where this process lives: what Kubernetes Events about unusable deliveries point to."""

    namespace: str
    pod: str


class Receiver:
    """Answers deliveries. Every request leaves one log line."""

    def __init__(
        self,
        *,
        limits: Limits,
        keys: KeyCache,
        hash_name: signature.HashName,
        store: Store,
        recorder: EventRecorder,
        home: Home,
        metrics: Metrics,
    ) -> None:
        self._limits = limits
        self._keys = keys
        self._hash: signature.HashName = hash_name
        self._store = store
        self._recorder = recorder
        self._home = home
        self._metrics = metrics
        self._inflight = InFlight(limits.max_inflight_bytes, metrics.inflight_bytes)

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """The answer to a request for the events' path."""
        began = time.monotonic()
        try:
            return await self._receive(request)
        except RefusedError as refused:
            return self._refused(request, refused)
        except Exception as fault:  # noqa: BLE001 -- whatever breaks here, Talkdesk must deliver again
            where = traceback.extract_tb(fault.__traceback__)[-1]
            # The exception's text may quote the body, so only its type and place are told.
            _log.error("fault", error=type(fault).__name__, at=f"{where.filename}:{where.lineno}")
            return self._refused(request, RefusedError(503, "fault", RETRY_AFTER))
        finally:
            self._metrics.seconds.observe(time.monotonic() - began)

    async def _receive(self, request: web.BaseRequest) -> web.Response:
        if request.method != "POST":
            raise RefusedError(405, "method", {"Allow": "POST"})
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            # Which bytes would be signed, those before or after packing, is nowhere said.
            raise RefusedError(415, "content-encoding")
        given, key_id = _header(request, SIGNATURE_HEADER), _header(request, KEY_ID_HEADER)
        with self._inflight.share() as share:
            body = await read_body(
                request, share, max_bytes=self._limits.max_body_bytes, seconds=self._limits.read_seconds
            )
            deadline = asyncio.get_running_loop().time() + self._limits.budget
            await self._verify(given, key_id, body, deadline=deadline)
            found = parse(body)
            if isinstance(found, NotAnEvent):
                return self._unusable(found)
            return await self._keep(found, deadline=deadline)

    async def _verify(self, given: str, key_id: str, body: bytes, *, deadline: float) -> None:
        """Raises RefusedError unless ``given`` is a signature of Talkdesk's over ``body``."""
        try:
            async with asyncio.timeout_at(deadline):
                key = await self._keys.get(key_id)
        except KeyRefusedError as refused:
            raise RefusedError(401, refused.reason) from None
        except KeyUnavailableError as unavailable:
            raise RefusedError(503, unavailable.reason, RETRY_AFTER, detail=unavailable.detail) from None
        except TimeoutError:
            raise RefusedError(503, "key-too-slow", RETRY_AFTER) from None

        def check() -> bool:
            return signature.verify(key=key, signature=given, body=body, hash_name=self._hash)

        good = await asyncio.to_thread(check) if signature.is_slow(key, body) else check()
        if not good:
            raise RefusedError(401, "wrong-signature")

    async def _keep(self, event: Event, *, deadline: float) -> web.Response:
        context: dict[str, Any] = {
            "event_id": event.id,
            "installation_id": event.installation_id,
            "type": event.type,
        }
        if event.oddities:
            context["oddities"] = sorted(event.oddities)
            for oddity in event.oddities:
                self._metrics.odd(oddity)
        try:
            outcome = await self._store.put(event, deadline=deadline)
        except ForeignEventError as foreign:
            return self._foreign(event, foreign, context)
        except NotStoredError as failed:
            self._metrics.event(event.type, "not-stored")
            _log.error("event not stored", **context, status=503, reason=failed.reason, detail=failed.detail)
            return _answer(503, {"error": failed.reason}, RETRY_AFTER)
        self._metrics.event(event.type, outcome)
        _log.info("event", **context, status=200, outcome=outcome)
        return _answer(200, {"result": outcome})

    def _foreign(self, event: Event, foreign: ForeignEventError, context: dict[str, Any]) -> web.Response:
        """Genuine, yet not this installation's: kept out of it, and told to people; repeating is no help."""
        self._metrics.event(event.type, "foreign")
        claimed = event.account_id if foreign.field == "account_id" else event.app_id
        _log.error("event of a foreign installation refused", **context, status=200, differs=foreign.field)
        self._recorder.event(
            regarding={
                "apiVersion": INSTALLATIONS.api_version,
                "kind": INSTALLATIONS.kind,
                "metadata": {
                    "name": installation_name(event.installation_id),
                    "namespace": self._home.namespace,
                },
            },
            type="Warning",
            reason="ForeignEvent",
            note=f"event {event.id} ({event.type}) was refused: its {foreign.field} {claimed} is not this "
            "installation's",
            action="Store",
        )
        return _answer(200, {"result": "foreign"})

    def _unusable(self, found: NotAnEvent) -> web.Response:
        self._metrics.event(found.type, "unusable")
        _log.warning("unusable event", event_id=found.id, type=found.type, status=200, reason=found.reason)
        self._recorder.event(
            regarding={
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": self._home.pod, "namespace": self._home.namespace},
            },
            type="Warning",
            reason="UnusableEvent",
            note=f"Talkdesk delivered a signed body that names no installation ({found.reason}); event id: "
            f"{found.id or 'none'}",
            action="Parse",
        )
        return _answer(200, {"result": "unusable"})

    def _refused(self, request: web.BaseRequest, refused: RefusedError) -> web.Response:
        self._metrics.refused(refused.reason)
        detail = {"detail": refused.detail} if refused.detail else {}
        _log.warning(
            "request refused", status=refused.status, reason=refused.reason, remote=request.remote, **detail
        )
        answer = _answer(refused.status, {"error": refused.reason}, refused.headers)
        if not request.content.is_eof():
            answer.force_close()  # its body stays unread
        return answer


def _header(request: web.BaseRequest, name: str) -> str:
    values = [value for value in request.headers.getall(name, []) if value.strip()]
    if len(values) != 1:
        raise RefusedError(401, "several-signatures" if values else "unsigned")
    return str(values[0]).strip()


def _answer(status: int, body: dict[str, str], headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(body, status=status, headers=headers)
