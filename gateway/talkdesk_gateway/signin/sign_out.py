"""``/_td/sign-out`` at the tenant: a page that asks, and the form that it sends.

All of the user's sessions in the installation end: a TalkdeskRevocation gives them a new epoch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_gateway import sessions
from talkdesk_gateway.decide import Facts, cross_site
from talkdesk_gateway.pages import steps
from talkdesk_gateway.seams import NotAskedError
from talkdesk_gateway.signin.edge import PARTS, carry_out, moment_of, only_host, our_cookies
from talkdesk_gateway.signin.login import no_logins
from talkdesk_gateway.signin.step import Moment, Outcome, Show, refuse
from talkdesk_gateway.verdict import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from talkdesk_gateway.sessions import Session
    from talkdesk_gateway.tenancy import Tenancy


def signed_in(tenancy: Tenancy, cookies: Mapping[str, str], moment: Moment) -> tuple[Session, str] | None:
    """The session that counts here, and its user's name for people; None where there is none. Pure."""
    session = sessions.read(cookies, host=tenancy.host, keys=moment.keys, now=moment.now)
    user = sessions.entry(session, tenancy, moment.now) if session is not None else None
    if session is None or user is None:
        return None
    return session, user.name or user.email or "this user"


def asked(tenancy: Tenancy | None, cookies: Mapping[str, str], moment: Moment) -> Show:
    """The page that asks; signed out already: the page that says so. Pure."""
    if tenancy is None:
        return refuse(Refusal.UNKNOWN_HOST, moment)
    found = signed_in(tenancy, cookies, moment)
    if found is None:
        return gone(tenancy, cookies, moment)
    page = steps.sign_out(found[1], back=moment.origin(tenancy.host) + "/", app=tenancy.app)
    return Show(page, "asked", tenancy=tenancy)


def gone(tenancy: Tenancy, cookies: Mapping[str, str], moment: Moment) -> Show:
    """Signed out: the cookies go, those of sign-ins under way with them. Pure."""
    page = steps.signed_out(again=moment.start(tenancy.host), app=tenancy.app)
    away = (*sessions.no_session_cookies(), *no_logins(cookies))
    return Show(page, "signed-out", tenancy=tenancy, cookies=away)


async def show(request: web.Request) -> web.StreamResponse:
    """``GET``."""
    parts, moment = request.app[PARTS], moment_of(request)
    tenancy = parts.directory.by_host(only_host(request))
    return carry_out(request, "sign-out", asked(tenancy, our_cookies(request), moment), moment)


async def sign_out(request: web.Request) -> web.StreamResponse:
    """``POST``, from our own page alone."""
    parts, moment, host = request.app[PARTS], moment_of(request), only_host(request)
    tenancy, cookies = parts.directory.by_host(host), our_cookies(request)
    outcome: Outcome
    if tenancy is None:
        outcome = refuse(Refusal.UNKNOWN_HOST, moment)
    elif foreign := cross_site(_facts(request, host), origin=parts.origin(host)):
        outcome = refuse(Refusal.CROSS_SITE, moment, tenancy=tenancy, detail=foreign)
    elif (found := signed_in(tenancy, cookies, moment)) is None:
        outcome = gone(tenancy, cookies, moment)
    else:
        session, _ = found
        try:
            await parts.sign_out.sign_out(tenancy, session.user, f"sign-out/{session.sid}")
            outcome = gone(tenancy, cookies, moment)
        except NotAskedError as failed:
            page = steps.not_signed_out(app=tenancy.app, reference=moment.reference)
            outcome = Show(page, Refusal.UNAVAILABLE.value, tenancy=tenancy, detail=str(failed))
    return carry_out(request, "sign-out", outcome, moment)


def _facts(request: web.Request, host: str) -> Facts:
    def said(name: str) -> str | None:
        return ", ".join(request.headers.getall(name, [])) or None

    return Facts(method=request.method, host=host, origin=said("Origin"), fetch_site=said("Sec-Fetch-Site"))
