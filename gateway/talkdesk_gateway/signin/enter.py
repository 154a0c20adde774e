"""``GET /_td/enter`` at the tenant: the ticket meets the browser that began, and becomes a session.

The nonce is taken out of the browser's cookie as it is used: a ticket serves once. The epoch that counts is
the one from before the user went to Talkdesk, where the launch named them.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any

from talkdesk_gateway import sessions
from talkdesk_gateway.cookies import removed
from talkdesk_gateway.pages import steps
from talkdesk_gateway.seal import Kind, unseal
from talkdesk_gateway.signin.edge import (
    PARTS,
    carry_out,
    is_navigation,
    moment_of,
    one,
    only_host,
    our_cookies,
)
from talkdesk_gateway.signin.login import Login, has_any, login_of
from talkdesk_gateway.signin.step import Go, Moment, Outcome, Show, refuse
from talkdesk_gateway.signin.talkdesk import switch_url
from talkdesk_gateway.signin.waiting import caught_up
from talkdesk_gateway.verdict import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from talkdesk_crds.user_slice import LicensedUser
    from talkdesk_gateway.tenancy import Tenancy


def enter(
    ticket: str | None,
    *,
    host: str,
    tenancy: Tenancy | None,
    cookies: Mapping[str, str],
    switch_path: str,
    moment: Moment,
) -> Outcome:
    """What comes of ``ticket`` at ``host``. Raises NoKeysError. Pure."""
    if tenancy is None:
        return refuse(Refusal.UNKNOWN_HOST, moment)
    claims = opened(ticket, host=host, moment=moment)
    if claims is None or not _is_of(claims, tenancy):
        retry = moment.start(host)
        detail = "no ticket of this host, or one that has ended"
        return refuse(Refusal.BAD_STEP, moment, tenancy=tenancy, detail=detail, retry=retry)
    login = login_of(claims["nonce"], cookies, host=host, moment=moment)
    if login is None:
        return _not_begun_here(claims, host=host, tenancy=tenancy, cookies=cookies, moment=moment)
    if not tenancy.allowed:
        used = (removed(login.cookie),)
        return refuse(Refusal.SUSPENDED, moment, tenancy=tenancy, cookies=used)
    return _admit(claims, login=login, tenancy=tenancy, switch_path=switch_path, moment=moment)


def _admit(
    claims: Mapping[str, Any], *, login: Login, tenancy: Tenancy, switch_path: str, moment: Moment
) -> Outcome:
    """The browser is the one that began: is the user the one launched, licensed, and still signed in?"""
    used, user_id = (removed(login.cookie),), str(claims["user"])
    user = tenancy.user(user_id)
    if user is None:
        retry = moment.start(tenancy.host, hint=login.hint, to=_unless_home(login.to))
        why = Refusal.NOT_LICENSED if tenancy.users_known else Refusal.UNAVAILABLE
        detail = f"user {user_id}, since the callback"
        return refuse(why, moment, tenancy=tenancy, detail=detail, retry=retry, cookies=used)
    if login.hint not in (None, user_id):
        return _another(user_id, user, login=login, tenancy=tenancy, switch_path=switch_path, moment=moment)
    epoch = _epoch(login, claims)
    if not hmac.compare_digest(user.epoch, epoch):
        return _signed_out_meanwhile(user_id, login=login, tenancy=tenancy, moment=moment)
    session = sessions.Session(
        host=tenancy.host,
        installation=claims["installation"],
        uid=claims["uid"],
        user=user_id,
        epoch=epoch,
        sid=claims["sid"],
        began=moment.now,
        used=moment.now,
    )
    made = sessions.session_cookies(session, tenancy.app.spec.session, keys=moment.keys, now=moment.now)
    return Go(moment.origin(tenancy.host) + login.to, (*made, *used))


def opened(ticket: str | None, *, host: str, moment: Moment) -> dict[str, Any] | None:
    """The claims of a ticket for this host; else None. Pure."""
    claims = unseal(Kind.TICKET, ticket, keys=moment.keys, now=moment.now)
    return claims if claims is not None and claims["host"] == host else None


def _is_of(claims: Mapping[str, Any], tenancy: Tenancy) -> bool:
    """The ticket is for this very installation."""
    metadata = tenancy.installation.metadata
    return (claims["installation"], claims["uid"]) == (metadata.name, metadata.uid)


def behind(claims: Mapping[str, Any], tenancy: Tenancy | None) -> bool:
    """Whether another replica has seen the ticket's installation or user as this one does not (yet). Pure."""
    if tenancy is None or not _is_of(claims, tenancy):
        return True
    user = tenancy.user(claims["user"])
    return user is None or user.epoch != claims["epoch"]


async def handle(request: web.Request) -> web.StreamResponse:
    """Answers an enter, once this replica has seen what the one before it had seen."""
    parts, moment, host = request.app[PARTS], moment_of(request), only_host(request)
    ticket, tenancy = one(request, "ticket"), parts.directory.by_host(host)
    if not is_navigation(request):
        shown = refuse(Refusal.CROSS_SITE, moment, tenancy=tenancy, detail="not a navigation")
        return carry_out(request, "enter", shown, moment)
    if (claims := opened(ticket, host=host, moment=moment)) is not None:
        tenancy = await caught_up(parts, host, claims["installation"], lambda at: not behind(claims, at))
    outcome = enter(
        ticket,
        host=host,
        tenancy=tenancy,
        cookies=our_cookies(request),
        switch_path=parts.switch_path,
        moment=moment,
    )
    return carry_out(request, "enter", outcome, moment)


def _not_begun_here(
    claims: Mapping[str, Any], *, host: str, tenancy: Tenancy, cookies: Mapping[str, str], moment: Moment
) -> Outcome:
    """Another browser's ticket, or one that was used; whoever comes back to it with its session may go on."""
    session = sessions.read(cookies, host=host, keys=moment.keys, now=moment.now)
    if session is not None and session.sid == claims["sid"]:
        return Go(moment.origin(host) + "/")
    retry = moment.start(host)
    if session is None and not has_any(cookies):
        page = steps.cookies_needed(retry=retry, app=tenancy.app, reference=moment.reference)
        return Show(page, "no-cookies", tenancy=tenancy)
    detail = "begun in another browser, or used already"
    return refuse(Refusal.BAD_STEP, moment, tenancy=tenancy, detail=detail, retry=retry)


def _another(
    user_id: str, user: LicensedUser, *, login: Login, tenancy: Tenancy, switch_path: str, moment: Moment
) -> Show:
    """Licensed, but not whom the app was launched for: they say so, and go through Talkdesk once more."""
    host, to = tenancy.host, _unless_home(login.to)
    page = steps.continue_as(
        user.name or user.email or "the signed-in user",
        proceed=moment.start(host, hint=user_id, to=to),
        switch=switch_url(tenancy, switch_path),
        retry=moment.start(host, hint=login.hint, to=to),
        app=tenancy.app,
        reference=moment.reference,
    )
    return Show(page, "another-user", tenancy=tenancy, cookies=(removed(login.cookie),))


def _signed_out_meanwhile(user_id: str, *, login: Login, tenancy: Tenancy, moment: Moment) -> Outcome:
    """The epoch is another than noted: once, the sign-in begins anew by itself."""
    host, to, used = tenancy.host, _unless_home(login.to), (removed(login.cookie),)
    if not login.again:
        return Go(moment.start(host, hint=user_id, to=to, again="1"), used, outcome="again")
    retry = moment.start(host, hint=user_id, to=to)
    page = steps.signed_out_meanwhile(retry=retry, app=tenancy.app, reference=moment.reference)
    return Show(page, "signed-out-meanwhile", tenancy=tenancy, cookies=used)


def _epoch(login: Login, claims: Mapping[str, Any]) -> str:
    """The hinted user's, from before they went to Talkdesk; else the one that the callback found."""
    if login.hint == claims["user"] and login.hint_epoch is not None:
        return login.hint_epoch
    epoch: str = claims["epoch"]
    return epoch


def _unless_home(to: str) -> str | None:
    return None if to == "/" else to
