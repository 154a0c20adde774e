"""Envoy's question about every request: may it go to the tenant, and what is the tenant told?

An answer of 5xx would count as none, so a page that is a 503 to the browser is answered as 403 with
``x-td-status: 503``. aiohttp's low-level server is used as it is: there is one path, and speed matters.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web
from multidict import CIMultiDict

from talkdesk_gateway import bar
from talkdesk_gateway.answers import answer, reference_of
from talkdesk_gateway.identity import NoIdentityKeyError
from talkdesk_gateway.judge import cookies_of, facts_of
from talkdesk_gateway.seal import NoKeysError
from talkdesk_gateway.sessions import use_cookie
from talkdesk_gateway.verdict import Passed, Refusal, Refused

if TYPE_CHECKING:
    from talkdesk_gateway.decide import Facts
    from talkdesk_gateway.identity import Identity
    from talkdesk_gateway.judge import Judge
    from talkdesk_gateway.metrics import Metrics

PREFIX: Final = "/decide"
#: Envoy lets 60 KiB of headers in; ours must never be the first to say that they are too long.
MOST_HEADER_BYTES: Final = 131072

_log = structlog.get_logger("talkdesk_gateway.decision")

#: What anybody on the internet can cause at will leaves no line in the log.
_QUIET: Final = frozenset({Refusal.SIGN_IN, Refusal.UNKNOWN_HOST})


class Decision:
    """Serves ``/decide…`` while it is open."""

    def __init__(
        self, judge: Judge, identity: Identity, metrics: Metrics, *, address: str, port: int
    ) -> None:
        self.port = port
        self._judge = judge
        self._identity = identity
        self._metrics = metrics
        self._address = address
        self._http: web.Server | None = None
        self._socket: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen. Raises OSError where that cannot be done."""
        self._http = web.Server(
            self.handle,
            access_log=None,
            # Envoy gives idle connections up after 4 s: it must always be the first to do so.
            keepalive_timeout=75.0,
            max_line_size=MOST_HEADER_BYTES,
            max_field_size=MOST_HEADER_BYTES,
            max_headers=256,
        )
        loop = asyncio.get_running_loop()
        self._socket = await loop.create_server(self._http, self._address, self.port, backlog=1024)
        self.port = int(self._socket.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Finish what is under way, and end."""
        if self._socket is None or self._http is None:
            return
        self._socket.close()
        await self._http.shutdown(1.0)
        await self._socket.wait_closed()

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """One decision."""
        path = request.raw_path
        if not path.startswith(PREFIX):
            return web.Response(status=404, text="only /decide is served here\n")
        facts = facts_of(request.method, path[len(PREFIX) :] or "/", request.headers)
        verdict, _ = self._judge.verdict(facts, request.headers)
        if isinstance(verdict, Passed):
            try:
                passed = self._pass(verdict, request)
            except (NoIdentityKeyError, NoKeysError) as missing:
                verdict = Refused(Refusal.UNAVAILABLE, verdict.tenancy, str(missing))
            else:
                self._metrics.decided("passed")
                return passed
        self._metrics.decided(verdict.why.value)
        return self._refuse(verdict, facts, request)

    def _pass(self, passed: Passed, request: web.BaseRequest) -> web.Response:
        """200 with everything that the tenant and Envoy are told, nothing of it left out."""
        tenancy, now = passed.tenancy, self._judge.clock()
        headers: CIMultiDict[str] = CIMultiDict(self._identity.headers(passed, now=now))
        headers["x-td-upstream"] = tenancy.upstream or ""
        headers["x-td-bar"] = "0"
        if tenancy.shows_bar and tenancy.app.spec.bar is not None:
            headers["x-td-bar"] = "1"
            headers["x-td-bar-csp"] = bar.csp_sources(tenancy.app.spec.bar, self._judge.origin(tenancy.host))
        left = cookies_of(request.headers)[1]
        if left is None:
            headers["x-envoy-auth-headers-to-remove"] = "cookie"
        else:
            headers["cookie"] = left
        if passed.renew:
            keys, policy = self._judge.keys.session_keys(), tenancy.app.spec.session
            headers["set-cookie"] = use_cookie(passed.session, policy, keys=keys, now=now)
        return web.Response(status=200, headers=headers)

    def _refuse(self, refused: Refused, facts: Facts, request: web.BaseRequest) -> web.Response:
        reference = reference_of(request.headers.get("X-Request-Id"))
        told = answer(refused, facts, reference=reference)
        note_refusal(refused, facts, status=told.status, reference=reference)
        if told.status < 500:
            return web.Response(status=told.status, headers=told.headers, body=told.body)
        headers = {**told.headers, "x-td-status": str(told.status)}
        return web.Response(status=403, headers=headers, body=told.body)


def note_refusal(refused: Refused, facts: Facts, *, status: int, reference: str) -> None:
    """One line in the log, with the page's reference and without the path, which may hold a secret."""
    if refused.why in _QUIET:
        return
    installation = refused.tenancy.installation.metadata.name if refused.tenancy is not None else None
    _log.info(
        "request refused",
        reason=refused.why.value,
        detail=refused.detail or None,
        host=facts.host,
        method=facts.method,
        installation=installation,
        status=status,
        reference=reference,
    )
