"""Between aiohttp and the steps: what a request says, how an outcome is answered, counted and logged."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web

from talkdesk_gateway.answers import reference_of
from talkdesk_gateway.cookies import ours
from talkdesk_gateway.pages import STRICT, document
from talkdesk_gateway.signin.step import Go, Moment, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from talkdesk_crds.app import TalkdeskApp
    from talkdesk_gateway.metrics import Metrics
    from talkdesk_gateway.seams import Directory, Keys, Lookup, SignOut, Talkdesk

_log = structlog.get_logger("talkdesk_gateway.sign_in")

#: What is no refusal and needs no line in the log.
_QUIET: Final = frozenset({"on", "waiting", "another-user", "asked", "signed-out", "stored", "not-signed-in"})
#: Longer parameters are nobody's.
_MAX_PARAMETER: Final = 8192


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the steps are carried out with.

    ``origin(host)``       ``scheme://host[:port]`` as a browser writes it
    ``switch_path``        path on the account's identity host where one signs in to Talkdesk as somebody else
    ``talkdesk_seconds``   how long Talkdesk may take to say who a user is
    ``settle_seconds``     how long a step waits for its own watch to show what another replica has seen
    """

    directory: Directory
    keys: Keys
    lookup: Lookup
    sign_out: SignOut
    talkdesk: Talkdesk
    metrics: Metrics
    origin: Callable[[str], str]
    switch_path: str = "/login"
    talkdesk_seconds: float = 10.0
    settle_seconds: float = 3.0
    clock: Callable[[], datetime] = _now


PARTS: Final = web.AppKey("parts", Parts)


def moment_of(request: web.Request) -> Moment:
    """Now, the keys as they are, and a reference for this request: Envoy's id of it, where it came so."""
    parts, reference = request.app[PARTS], reference_of(request.headers.get("X-Request-Id"))
    return Moment(
        now=parts.clock(),
        keys=parts.keys.session_keys(),
        origin=parts.origin,
        reference=reference,
        app=partial(_app_of, parts.directory, only_host(request)),
    )


def _app_of(directory: Directory, host: str) -> TalkdeskApp | None:
    with suppress(Exception):  # whatever broke, a page without a contact is better than none
        return directory.app_of(host)
    return None


def only_host(request: web.Request) -> str:
    """The host that was asked for: lower case, without port; "" where there is no single one."""
    hosts = request.headers.getall("Host", [])
    return hosts[0].partition(":")[0].lower().rstrip(".") if len(hosts) == 1 else ""


def our_cookies(request: web.Request) -> dict[str, str]:
    """Our cookies among the request's."""
    return ours(request.headers.getall("Cookie", []))


def one(request: web.Request, name: str) -> str | None:
    """The query's parameter ``name``, if it comes exactly once and is not endless."""
    values = request.query.getall(name, [])
    return values[0] if len(values) == 1 and len(values[0]) <= _MAX_PARAMETER else None


def is_navigation(request: web.Request) -> bool:
    """False where the browser says that this is no page being opened (an image, a script's request)."""
    return request.headers.get("Sec-Fetch-Mode", "navigate") == "navigate"


def carry_out(request: web.Request, step: str, outcome: Outcome, moment: Moment) -> web.StreamResponse:
    """The answer; a refusal leaves one line in the log, with the page's reference and no query."""
    request.app[PARTS].metrics.step(step, outcome.outcome)
    answer: web.StreamResponse
    if isinstance(outcome, Go):
        answer = web.Response(status=303, headers={"Location": outcome.url, **STRICT})
    else:
        status, headers, html = document(outcome.page)
        answer = web.Response(status=status, headers=headers, body=html.encode())
        if outcome.outcome not in _QUIET:
            name = outcome.tenancy.installation.metadata.name if outcome.tenancy is not None else None
            _log.warning(
                "sign-in refused",
                step=step,
                reason=outcome.outcome,
                detail=outcome.detail or None,
                status=status,
                reference=moment.reference,
                host=only_host(request)[:253],
                installation=name,
            )
    for cookie in outcome.cookies:
        answer.headers.add("Set-Cookie", cookie)
    return answer
