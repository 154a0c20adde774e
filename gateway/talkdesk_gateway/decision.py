"""Envoy's question about every request: may it go to the tenant, and what is the tenant told?

An answer of 5xx would count as none, so a page that is a 503 to the browser is answered as 403 with
``x-td-status: 503``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import structlog
from multidict import istr

from talkdesk_gateway import bar
from talkdesk_gateway.answers import Answer, answer, header_lines, reference_of
from talkdesk_gateway.identity import NoIdentityKeyError
from talkdesk_gateway.judge import cookies_of, facts_of
from talkdesk_gateway.seal import NoKeysError
from talkdesk_gateway.sessions import use_cookie
from talkdesk_gateway.verdict import Passed, Refusal, Refused

if TYPE_CHECKING:
    from talkdesk_gateway.decide import Facts
    from talkdesk_gateway.identity import Identity
    from talkdesk_gateway.judge import Headers, Judge
    from talkdesk_gateway.metrics import Metrics
    from talkdesk_gateway.tenancy import Tenancy

PREFIX: Final = "/decide"
_FETCH_DEST: Final = istr("Sec-Fetch-Dest")
_NO_COOKIE: Final = header_lines({"x-envoy-auth-headers-to-remove": "cookie"})

_log = structlog.get_logger("talkdesk_gateway.decision")

#: What anybody on the internet can cause at will leaves no line in the log.
_QUIET: Final = frozenset({Refusal.SIGN_IN, Refusal.UNKNOWN_HOST})


class Decision:
    """Answers ``/decide…``."""

    def __init__(self, judge: Judge, identity: Identity, metrics: Metrics) -> None:
        self._judge = judge
        self._identity = identity
        self._metrics = metrics

    def answer(self, method: str, path: str, headers: Headers) -> Answer:
        """One decision."""
        if not path.startswith(PREFIX):
            return Answer(404, {"content-type": "text/plain"}, b"only /decide is served here\n")
        facts = facts_of(method, path[len(PREFIX) :] or "/", headers)
        ours, left = cookies_of(headers)
        verdict, _ = self._judge.verdict(facts, ours)
        if isinstance(verdict, Passed):
            try:
                passed = self._pass(verdict, headers, left)
            except (NoIdentityKeyError, NoKeysError) as missing:
                verdict = Refused(Refusal.UNAVAILABLE, verdict.tenancy, str(missing))
            else:
                self._metrics.decided("passed")
                return passed
        self._metrics.decided(verdict.why.value)
        return _refuse(verdict, facts, headers)

    def _pass(self, passed: Passed, headers: Headers, cookies: str | None) -> Answer:
        """200 with everything that the tenant and Envoy are told, nothing of it left out.

        :param cookies: the tenant's share of the ``Cookie`` header.
        """
        tenancy, now = passed.tenancy, self._judge.clock()
        lines = self._identity.lines(passed, now=now) + _upstream(tenancy.upstream or "")
        told = self._bar(tenancy) if headers.get(_FETCH_DEST) == "document" else {}
        if cookies is None:
            lines += _NO_COOKIE
        else:
            told["cookie"] = cookies
        if passed.renew:
            keys, policy = self._judge.keys.session_keys(), tenancy.app.spec.session
            told["set-cookie"] = use_cookie(passed.session, policy, keys=keys, now=now)
        return Answer(200, told, lines=lines)

    def _bar(self, tenancy: Tenancy) -> dict[str, str]:
        """For pages alone: Envoy looks for it nowhere else, and most requests are no pages."""
        if not tenancy.shows_bar or tenancy.app.spec.bar is None:
            return {"x-td-bar": "0"}
        sources = bar.csp_sources(tenancy.app.spec.bar, self._judge.origin(tenancy.host))
        return {"x-td-bar": "1", "x-td-bar-csp": sources}


@lru_cache(maxsize=4096)
def _upstream(address: str) -> bytes:
    return header_lines({"x-td-upstream": address})


def _refuse(refused: Refused, facts: Facts, headers: Headers) -> Answer:
    reference = reference_of(headers.get("X-Request-Id"))
    told = answer(refused, facts, reference=reference)
    note_refusal(refused, facts, status=told.status, reference=reference)
    if told.status < 500:
        return told
    return Answer(403, {**told.headers, "x-td-status": str(told.status)}, told.body)


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
