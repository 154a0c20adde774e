"""WebSockets: the relay decides on each by itself, and again at every change that is watched.

Envoy decides once, when a stream begins, and cannot end one user's stream later. Here a refusal ends it at
once: both ends get a Close with 1008. One with 1012 asks the client to connect again. What an app answers
instead of a WebSocket is looked after in the same way, and cut.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import secrets
import socket
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog

from talkdesk_gateway.answers import answer, reference_of
from talkdesk_gateway.decision import note_refusal
from talkdesk_gateway.heads import (
    LONGEST,
    BadHeadError,
    for_client,
    for_tenant,
    own_answer,
    request_head,
    response_head,
)
from talkdesk_gateway.identity import NoIdentityKeyError
from talkdesk_gateway.judge import cookies_of, facts_of
from talkdesk_gateway.seal import NoKeysError
from talkdesk_gateway.sessions import entry, use_cookie
from talkdesk_gateway.splice import Splice, end
from talkdesk_gateway.verdict import Passed, Refusal, Refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from talkdesk_crds.key_ring import Key
    from talkdesk_gateway.decide import Facts
    from talkdesk_gateway.heads import RequestHead, ResponseHead
    from talkdesk_gateway.identity import Identity
    from talkdesk_gateway.judge import Judge
    from talkdesk_gateway.metrics import Metrics
    from talkdesk_gateway.sessions import Session

#: How long a handshake may take, in seconds: its head, the connection to the tenant, the tenant's answer.
HEAD_SECONDS: Final = 10.0
CONNECT_SECONDS: Final = 3.0
HANDSHAKE_SECONDS: Final = 30.0
#: An open WebSocket is looked at this often even where nothing changes: time alone may end it.
LOOK_SECONDS: Final = 15.0
#: How long an answer that is no WebSocket may take, in seconds: by default Envoy gives others as long.
ANSWER_SECONDS: Final = 3600.0
#: How many informational answers a tenant may give before the one that counts.
MOST_HINTS: Final = 5

REFUSED, CONNECT_AGAIN, GOING_AWAY = 1008, 1012, 1001

_log = structlog.get_logger("talkdesk_gateway.relay")

#: The tenant's app is not there, or does not speak HTTP.
_NO_ANSWER = (
    OSError,
    TimeoutError,
    asyncio.IncompleteReadError,
    asyncio.LimitOverrunError,
    BadHeadError,
)

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Opening:
    """A handshake that may go on."""

    request: RequestHead
    facts: Facts
    session: Session | None
    #: The session keys that opened it.
    keys: tuple[Key, ...]
    passed: Passed
    #: ``ip:port``.
    upstream: str


@dataclass(frozen=True)
class Ending:
    """Why a WebSocket ends: for the metric, for its ends, and for people."""

    cause: str
    code: int
    reason: str


class Relay:
    """Serves WebSockets between :meth:`start` and :meth:`close`."""

    def __init__(
        self, judge: Judge, identity: Identity, metrics: Metrics, *, address: str, port: int
    ) -> None:
        self.port = port
        self._judge = judge
        self._identity = identity
        self._metrics = metrics
        self._address = address
        self._server: asyncio.Server | None = None
        self._stopping = asyncio.Event()
        self._serving: set[asyncio.Task[None]] = set()
        #: Of each open WebSocket, what wakes whoever looks after it.
        self._wakes: set[asyncio.Event] = set()
        self._unsubscribe: Callable[[], None] = lambda: None

    async def start(self) -> None:
        """Listen. Raises OSError where that cannot be done."""
        self._server = await asyncio.start_server(
            self._accept, self._address, self.port, limit=LONGEST, backlog=512
        )
        self.port = int(self._server.sockets[0].getsockname()[1])
        self._unsubscribe = self._judge.keys.subscribe(self._wake)

    async def close(self) -> None:
        """Accept no more, tell both ends of each WebSocket that we go away, and end."""
        if self._server is None:
            return
        self._unsubscribe()
        self._unsubscribe = lambda: None
        self._server.close()
        self._stopping.set()
        if self._serving:
            await asyncio.wait(self._serving, timeout=5.0)
        for task in tuple(self._serving):
            task.cancel()
        if self._serving:
            await asyncio.wait(self._serving)
        await self._server.wait_closed()

    def _wake(self) -> None:
        """The keys changed: whose session they do not open any more is out."""
        for wake in self._wakes:
            wake.set()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve((reader, writer)), name="websocket")
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, client: Connection) -> None:
        try:
            _keep_alive(client[1])
            opening = await self._open(client)
            if opening is not None:
                await self._relay(opening, client)
        except (ConnectionError, TimeoutError, asyncio.IncompleteReadError):
            return  # whoever asked is gone
        except Exception:  # noqa: BLE001 -- one connection's fault must not stay unseen, nor end the others
            _log.exception("fault")
        finally:
            await end(client[1])

    async def _open(self, client: Connection) -> Opening | None:
        """The handshake, if it may go on; else it has been answered."""
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                request = request_head(await client[0].readuntil(b"\r\n\r\n"))
        except (BadHeadError, asyncio.LimitOverrunError):
            client[1].write(own_answer(400, {"Content-Type": "text/plain"}, b"not a WebSocket's handshake\n"))
            return None
        if not request.opens_websocket:
            client[1].write(own_answer(400, {"Content-Type": "text/plain"}, b"not a WebSocket's handshake\n"))
            return None
        facts = facts_of(request.method, request.path, request.headers, upgrade=True)
        keys = self._judge.keys.session_keys()
        verdict, session = self._judge.verdict(facts, cookies_of(request.headers)[0])
        if isinstance(verdict, Refused):
            self._refuse(verdict, facts, request, client)
            return None
        return Opening(request, facts, session, keys, verdict, verdict.tenancy.upstream or "")

    async def _relay(self, opening: Opening, client: Connection) -> None:
        tenancy, facts = opening.passed.tenancy, opening.facts
        changed = asyncio.Event()
        # From before the first byte goes to the tenant: no change may fall between two looks.
        unsubscribe = self._judge.directory.subscribe(tenancy.installation.metadata.name, changed.set)
        self._wakes.add(changed)
        try:
            async with contextlib.AsyncExitStack() as stack:
                try:
                    tenant = await stack.enter_async_context(_connected(opening.upstream))
                    status, head = await self._shake_hands(opening, tenant)
                except _NO_ANSWER:
                    gone = Refused(Refusal.NO_SERVICE, tenancy, "the tenant's Service does not answer")
                    self._refuse(gone, facts, opening.request, client)
                    return
                except (NoIdentityKeyError, NoKeysError) as missing:
                    refused = Refused(Refusal.UNAVAILABLE, tenancy, str(missing))
                    self._refuse(refused, facts, opening.request, client)
                    return
                client[1].write(head)
                self._metrics.decided("passed")
                splice = Splice(client, tenant)
                if status == 101:
                    with self._metrics.websockets.track_inprogress():
                        await self._websocket(opening, splice, changed)
                else:
                    await self._answer(opening, splice, changed)
        finally:
            self._wakes.discard(changed)
            unsubscribe()

    async def _shake_hands(self, opening: Opening, tenant: Connection) -> tuple[int, bytes]:
        """The tenant's status, and its head as the client gets it."""
        passed, request, now = opening.passed, opening.request, self._judge.clock()
        host = self._judge.origin(passed.tenancy.host).partition("://")[2]
        ours = self._identity.headers(passed, now=now)
        left = cookies_of(request.headers)[1]
        key = None if request.has_key else base64.b64encode(secrets.token_bytes(16)).decode()
        tenant[1].write(for_tenant(request, host=host, ours=ours, cookie=left, key=key))
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            answered = await _final_head(tenant[0])
        if key is not None:
            _check(answered, key)
        renewed = None
        if passed.renew:
            keys, policy = self._judge.keys.session_keys(), passed.tenancy.app.spec.session
            renewed = use_cookie(passed.session, policy, keys=keys, now=now)
        return answered.status, for_client(answered, set_cookie=renewed, keyed=request.has_key)

    async def _websocket(self, opening: Opening, splice: Splice, changed: asyncio.Event) -> None:
        ending = await self._until_over(opening, splice.run(), changed)
        self._metrics.ended(ending.cause if ending is not None else "peer")
        if ending is not None:
            _tell("websocket ended", opening, ending)
            await splice.close(ending.code, ending.reason)

    async def _answer(self, opening: Opening, splice: Splice, changed: asyncio.Event) -> None:
        """No WebSocket: the answer goes through as it comes. It may be a stream without end, so it is cut
        where a WebSocket would be closed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS):
                ending = await self._until_over(opening, splice.answer(), changed)
                if ending is not None:
                    _tell("answer cut", opening, ending)

    async def _until_over(
        self, opening: Opening, way: Coroutine[None, None, None], changed: asyncio.Event
    ) -> Ending | None:
        """Go that way until it ends or may go on no longer; then why not, else None."""
        running = asyncio.create_task(way)
        looking = asyncio.create_task(self._until_refused(opening, changed))
        try:
            await asyncio.wait({running, looking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            running.cancel()
            looking.cancel()
            await asyncio.wait({running, looking})
        return None if looking.cancelled() else looking.result()

    async def _until_refused(self, opening: Opening, changed: asyncio.Event) -> Ending:
        """Decide again at each change, at the session's end, and now and then."""
        keys, session = opening.keys, opening.session
        while not self._stopping.is_set():
            changed.clear()
            if self._judge.keys.session_keys() is not keys:
                keys = self._judge.keys.session_keys()
                session = self._judge.session(opening.facts.host, cookies_of(opening.request.headers)[0])
            verdict = self._judge.again(opening.facts, session)
            if isinstance(verdict, Refused) and self._only_idle(verdict, session):
                return Ending("idle", CONNECT_AGAIN, "the idle limit has passed since this was opened")
            if isinstance(verdict, Refused):
                return Ending(verdict.why.value, REFUSED, f"access ended: {verdict.why.value}")
            if verdict.tenancy.upstream != opening.upstream:
                return Ending("moved", CONNECT_AGAIN, "the app has moved")
            await self._something(changed, seconds=min(LOOK_SECONDS, self._left(verdict)))
        return Ending("stopping", GOING_AWAY, "the gateway is going away")

    def _only_idle(self, refused: Refused, session: Session | None) -> bool:
        """Whether nothing but the idle limit stands against ``session``.

        Whether it was used since the handshake is in the browser's newer cookie, which the next one brings.
        """
        if session is None or refused.tenancy is None or refused.why is not Refusal.SIGN_IN:
            return False
        now = self._judge.clock()
        return entry(dataclasses.replace(session, used=now), refused.tenancy, now) is not None

    def _left(self, passed: Passed) -> float:
        """Seconds until the session is over by time alone."""
        session, policy = passed.session, passed.tenancy.app.spec.session
        over = min(
            session.began + timedelta(seconds=policy.absolute_seconds),
            (session.used or session.began) + timedelta(seconds=policy.idle_seconds),
        )
        return max(0.01, (over - self._judge.clock()).total_seconds())

    async def _something(self, changed: asyncio.Event, *, seconds: float) -> None:
        """Return when something changed, when we stop, or after so many seconds."""
        waits = {asyncio.create_task(changed.wait()), asyncio.create_task(self._stopping.wait())}
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _refuse(self, refused: Refused, facts: Facts, request: RequestHead, client: Connection) -> None:
        reference = reference_of(request.headers.get("X-Request-Id"))
        told = answer(refused, facts, reference=reference)
        self._metrics.decided(refused.why.value)
        note_refusal(refused, facts, status=told.status, reference=reference)
        client[1].write(own_answer(told.status, told.headers, told.body))


def _tell(event: str, opening: Opening, ending: Ending) -> None:
    name = opening.passed.tenancy.installation.metadata.name
    _log.info(event, cause=ending.cause, detail=ending.reason, installation=name)


@contextlib.asynccontextmanager
async def _connected(upstream: str) -> AsyncIterator[Connection]:
    """A connection to ``ip:port``. Raises OSError and TimeoutError."""
    host, _, port = upstream.rpartition(":")
    async with asyncio.timeout(CONNECT_SECONDS):
        connection = await asyncio.open_connection(host.strip("[]"), int(port), limit=LONGEST)
    try:
        _keep_alive(connection[1])
        yield connection
    finally:
        await end(connection[1])


async def _final_head(tenant: asyncio.StreamReader) -> ResponseHead:
    """The answer that counts, after what may be said before it (RFC 9110, 15.2). Raises BadHeadError."""
    for _ in range(MOST_HINTS + 1):
        head = response_head(await tenant.readuntil(b"\r\n\r\n"))
        if head.status == 101 or head.status >= 200:
            return head
    raise BadHeadError("too many informational answers")


def _check(answered: ResponseHead, key: str) -> None:
    """Look at an answer as a client would that had sent ``key``. Raises BadHeadError.

    To a client over HTTP/2 any 2xx says that its WebSocket is open.
    """
    if answered.status == 101 and not answered.accepts(key):
        raise BadHeadError("the WebSocket's key was not answered")
    if 200 <= answered.status < 300:
        raise BadHeadError("success, but no WebSocket")


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    """Notice a peer that vanished without a word."""
    plain: socket.socket | None = writer.get_extra_info("socket")
    if plain is not None:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
