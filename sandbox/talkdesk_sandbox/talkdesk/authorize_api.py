"""``GET /oauth/authorize``: the step of a sign-on that happens in the user's browser.

What is wrong with the client or its redirect_uri ends on a page here; everything else is told to the app by
a redirect (RFC 6749 §4.1.2.1). Talkdesk authenticates: whether a user may use the app is the app's business.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, cast
from urllib.parse import quote, urlencode, urlsplit

from aiohttp import web

from talkdesk_sandbox.talkdesk.answers import TALKDESK, about, account_at
from talkdesk_sandbox.talkdesk.codes import Authorization, Challenge
from talkdesk_sandbox.talkdesk.pages import problem
from talkdesk_sandbox.talkdesk.tokens import TokenRefusedError, granted_scopes

if TYPE_CHECKING:
    from typing import Literal

    from talkdesk_sandbox.talkdesk.model import Installation

routes = web.RouteTableDef()
_CHALLENGE = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_METHODS = ("S256", "plain")


class _SentBackError(Exception):
    """An error that the app is told by the redirect."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


@routes.get("/oauth/authorize", allow_head=False)
async def authorize(request: web.Request) -> web.Response:
    """A code for the signed-in user, by way of the sign-in page where nobody is signed in."""
    talkdesk, account, query = request.app[TALKDESK], account_at(request), request.query
    if repeated := sorted({name for name in query if len(query.getall(name)) > 1}):
        return problem(400, f"A parameter is repeated: {', '.join(repeated)}.", error="invalid_request")
    found = talkdesk.client(query.get("client_id", ""), account=account)
    if found is None:
        return problem(
            400, f"client_id is no client of the account {account.name}.", error="unauthorized_client"
        )
    installation, credential = found
    noted = about(request)
    noted.installation_id = installation.id
    noted.detail["client_id"] = credential.client_id
    redirect_uri = query.get("redirect_uri", "")
    app = talkdesk.app(installation.app_id)
    if redirect_uri not in app.urls(installation.version.id).redirect_uris:
        return problem(
            400,
            f"redirect_uri is none that version {installation.version.name} of {app.name} has registered.",
            error="invalid_request",
        )
    state = query.get("state")
    try:
        wanted = _wanted(request, installation=installation)
    except _SentBackError as wrong:
        noted.detail["outcome"] = wrong.error
        told = {"error": wrong.error, "error_description": wrong.description}
        return _back(redirect_uri, told, state=state)
    session = talkdesk.sign_ins.of(request, account_id=account.id)
    if session is None or not talkdesk.user(session.user_id).active:
        noted.detail["outcome"] = "sign-in"
        return _to(f"/login?return_to={quote(request.path_qs, safe='')}")
    code = talkdesk.codes.issue(
        Authorization(
            client_id=credential.client_id,
            user_id=session.user_id,
            sid=session.sid,
            scopes=wanted,
            redirect_uri=redirect_uri,
            nonce=query.get("nonce"),
            challenge=_challenge(request),
        ),
        expires_at=talkdesk.clock.now() + timedelta(seconds=talkdesk.switches.code_seconds),
    )
    noted.detail |= {"outcome": "code", "user_id": session.user_id, "scope": " ".join(wanted)}
    return _back(redirect_uri, {"code": code}, state=state)


def _wanted(request: web.Request, *, installation: Installation) -> tuple[str, ...]:
    """The scopes asked for, once the request is in order. Raises :class:`_SentBackError`."""
    if request.query.get("response_type") != "code":
        raise _SentBackError("unsupported_response_type", "response_type must be code")
    _challenge(request)
    try:
        return granted_scopes(request.query.get("scope"), allowed=installation.scopes)
    except TokenRefusedError as refused:
        raise _SentBackError(refused.error, refused.description) from None


def _challenge(request: web.Request) -> Challenge | None:
    """PKCE's challenge, if one was sent. Raises :class:`_SentBackError`."""
    text = request.query.get("code_challenge")
    method = request.query.get("code_challenge_method", "plain")
    if text is None:
        if "code_challenge_method" in request.query:
            raise _SentBackError("invalid_request", "code_challenge_method without code_challenge")
        return None
    if method not in _METHODS or not _CHALLENGE.fullmatch(text):
        raise _SentBackError("invalid_request", "code_challenge is none of method S256 or plain")
    return Challenge(text=text, method=cast("Literal['S256', 'plain']", method))


def _back(redirect_uri: str, answer: dict[str, str], *, state: str | None) -> web.Response:
    """To the app, its own query kept."""
    parts = urlsplit(redirect_uri)
    more = urlencode(answer | ({} if state is None else {"state": state}), quote_via=quote)
    return _to(parts._replace(query="&".join(filter(None, (parts.query, more)))).geturl())


def _to(location: str) -> web.Response:
    return web.Response(status=302, headers={"Location": location, "Cache-Control": "no-store"})
