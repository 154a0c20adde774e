"""The error shapes, and what every request to Talkdesk's public hosts has in common: host, token, ledger."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from aiohttp import web

from talkdesk_sandbox.talkdesk.hosts import Host, host
from talkdesk_sandbox.talkdesk.ledger import Kind, shown_body
from talkdesk_sandbox.talkdesk.platform import Talkdesk

if TYPE_CHECKING:
    from talkdesk_sandbox.talkdesk.faults import Fault
    from talkdesk_sandbox.talkdesk.model import Account
    from talkdesk_sandbox.talkdesk.tokens import Grant

Shape = Literal["common", "error", "oauth", "scim"]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

TALKDESK = web.AppKey("TALKDESK", Talkdesk)
#: An application that serves browsers: the identity hosts alone, in plain http and on a port of its own.
FOR_BROWSERS = web.AppKey("FOR_BROWSERS", bool)
_SIGN_IN = frozenset({"/login", "/logout"})
_SCIM_ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
_CODES = {400: "bad_request", 401: "unauthorized", 403: "forbidden", 404: "not_found", 409: "conflict"}


class RefusalError(Exception):
    """An answer other than success: status and JSON body."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body


def refusal(status: int, message: str, *, shape: Shape = "common", error: str = "") -> RefusalError:
    """A refusal in one of the shapes; ``error`` is the OAuth error code, or SCIM's ``scimType``."""
    if shape == "error":
        return RefusalError(status, {"error": message})
    if shape == "oauth":
        return RefusalError(status, {"error": error, "error_description": message})
    if shape == "scim":
        body = {"schemas": [_SCIM_ERROR], "status": str(status), "detail": message}
        return RefusalError(status, body | ({"scimType": error} if error else {}))
    return RefusalError(status, {"code": _CODES.get(status, "unprocessable"), "message": message})


@dataclass
class About:
    """What a handler learns about its request, for the ledger."""

    installation_id: str | None = None
    account_id: str | None = None
    event_id: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)


_ABOUT = web.RequestKey("_ABOUT", About)
_HOST = web.RequestKey("_HOST", Host)


def about(request: web.Request) -> About:
    """The request's :class:`About`."""
    return request[_ABOUT]


def host_of(request: web.Request) -> Host:
    """The host that was asked, already checked by :func:`public`."""
    return request[_HOST]


def account_at(request: web.Request) -> Account:
    """The account whose identity host was asked. Raises :class:`RefusalError`."""
    account = request.app[TALKDESK].account_named(host_of(request))
    if account is not None:
        about(request).account_id = account.id
        return account
    raise RefusalError(404, {"error": "not_found", "error_description": f"no account at {request.host}"})


def answer(request: web.Request, body: Any, *, status: int = 200) -> web.Response:
    """A JSON answer, noted for the ledger."""
    about(request).detail["answer"] = shown_body(body)
    return web.json_response(body, status=status)


def authorize(request: web.Request, *, scope: str, shape: Shape = "common") -> Grant:
    """The grant of the request's bearer token: known here, alive, of credentials still good, with ``scope``.

    Raises :class:`RefusalError`: 403 in ``shape``, 401 in the common one (SCIM has its own for both).
    """
    unknown: Shape = "scim" if shape == "scim" else "common"
    talkdesk = request.app[TALKDESK]
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise refusal(401, "a bearer token is needed", shape=unknown)
    grant = talkdesk.issuer.grant(token, now=talkdesk.clock.now())
    if grant is None or grant.region != host_of(request).region:
        raise refusal(401, "token is unknown or has expired", shape=unknown)
    about(request).installation_id = grant.installation_id
    about(request).account_id = grant.account_id
    about(request).detail["client_id"] = grant.client_id
    client = talkdesk.client(grant.client_id, account=talkdesk.account(grant.account_id))
    if client is None and talkdesk.switches.revoked_tokens == "refused":
        raise refusal(401, "the token's credentials were revoked", shape=unknown)
    if scope not in grant.scopes:
        raise refusal(403, f"scope {scope} is missing", shape=shape)
    return grant


@web.middleware
async def public(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Right host for the path, refusals as JSON, one ledger entry for each request."""
    talkdesk = request.app[TALKDESK]
    noted = About()
    request[_ABOUT] = noted
    began = time.monotonic()
    response: web.StreamResponse
    try:
        _place(request)
        place = request.get(_HOST)
        region = place.region if place else None
        fault = talkdesk.faults.take(request.method, request.path, request.query_string, region)
        response = await (_faulty(request, handler, fault) if fault else handler(request))
    except RefusalError as refused:
        response = answer(request, refused.body, status=refused.status)
    except web.HTTPException as failed:
        body = refusal(failed.status, failed.reason).body
        response = answer(request, body, status=failed.status)
    talkdesk.ledger.add(
        _kind(request.path),
        method=request.method,
        url=f"{request.scheme}://{request.host}{request.path_qs}",
        status=response.status,
        seconds=time.monotonic() - began,
        installation_id=noted.installation_id,
        account_id=noted.account_id,
        event_id=noted.event_id,
        detail=noted.detail,
    )
    return response


async def _faulty(request: web.Request, handler: Handler, fault: Fault) -> web.StreamResponse:
    """Handle the request, or not, as the fault says."""
    about(request).detail["fault"] = {"when": fault.when, "cut": fault.cut, "status": fault.status}
    response: web.StreamResponse | None = None
    if fault.when == "after":
        try:
            response = await handler(request)
        except RefusalError as refused:
            response = answer(request, refused.body, status=refused.status)
    await asyncio.sleep(fault.delay_seconds)
    if fault.cut and request.transport:
        request.transport.abort()
    if fault.cut or fault.status:
        response = answer(request, fault.body, status=fault.status or 503)
        response.headers.update(fault.headers)
    return response or await handler(request)


def _place(request: web.Request) -> None:
    """Identity hosts serve /oauth and the sign-in, gateways everything else; the bar is on any host."""
    if request.app.get(FOR_BROWSERS):
        if request.path == "/bar.js":
            return
        found = host(request.host.partition(":")[0])
        wrong = found is None or found.account is None
    else:
        found = host(request.host.removesuffix(":443"))
        wrong = found is None
    if found is None or wrong:
        raise refusal(421, f"no such host: {request.host}")
    if (found.account is not None) != (request.path.startswith("/oauth/") or request.path in _SIGN_IN):
        raise refusal(404, f"no such resource on this host: {request.path}")
    request[_HOST] = found


def _kind(path: str) -> Kind:
    if path == "/oauth/authorize" or path in _SIGN_IN:
        return "authorize"
    if path == "/oauth/token":
        return "token"
    return "key" if path.startswith("/events/signature-keys/") else "api"
