"""``GET /_td/start`` at the tenant: binds a sign-in to this browser and sends it to Talkdesk.

A launch names the installation that another replica found here: it is waited for, and decides nothing. A
callback that begins a sign-in anew names the one ``after`` which it comes: only this browser knows where that
one leads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from talkdesk_crds.names import installation_name
from talkdesk_gateway.seal import Kind, seal
from talkdesk_gateway.seams import NotAskedError, TalkdeskUnavailableError
from talkdesk_gateway.signin.edge import (
    PARTS,
    carry_out,
    is_navigation,
    moment_of,
    one,
    only_host,
    our_cookies,
)
from talkdesk_gateway.signin.login import LOGIN_LIFE, Login, cookies_of, digest, login_of
from talkdesk_gateway.signin.step import Go, Moment, Outcome, Show, identifier, refuse
from talkdesk_gateway.signin.talkdesk import redirect_uri
from talkdesk_gateway.signin.waiting import caught_up
from talkdesk_gateway.to import safe_to
from talkdesk_gateway.verdict import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from talkdesk_gateway.signin.edge import Parts
    from talkdesk_gateway.tenancy import Tenancy


@dataclass(frozen=True)
class Departure:
    """What goes with the browser: ``state`` through Talkdesk, ``cookies`` (``Set-Cookie``) at home.

    ``nonce`` is OpenID's, ``verifier`` PKCE's; both are in ``state`` too, as is ``redirect_uri``.
    """

    tenancy: Tenancy
    redirect_uri: str
    state: str
    nonce: str
    verifier: SecretStr
    cookies: tuple[str, ...]


def start(
    *,
    host: str,
    tenancy: Tenancy | None,
    hint: str | None,
    to: str,
    again: bool,
    cookies: Mapping[str, str],
    moment: Moment,
) -> Departure | Show:
    """Begins a sign-in at ``host``. Raises NoKeysError. Pure but for ``moment.draw``.

    The hinted user's epoch is noted now: should they sign out on the way, this sign-in is worth nothing.
    """
    if tenancy is None:
        return refuse(Refusal.UNKNOWN_HOST, moment)
    retry = moment.start(host, hint=hint, to=to)
    if not tenancy.allowed:
        return refuse(Refusal.SUSPENDED, moment, tenancy=tenancy, retry=retry)
    try:
        back = redirect_uri(tenancy, moment.origin)
    except TalkdeskUnavailableError as failed:
        why, detail = Refusal.TALKDESK_UNAVAILABLE, str(failed)
        return refuse(why, moment, tenancy=tenancy, detail=detail, retry=retry)
    hinted = tenancy.user(hint) if hint else None
    login = Login(
        nonce=moment.draw(), to=to, hint=hint, hint_epoch=hinted.epoch if hinted else None, again=again
    )
    nonce, verifier = moment.draw(), moment.draw()
    claims: dict[str, Any] = {
        "host": host,
        "installation": tenancy.installation.metadata.name,
        "uid": tenancy.installation.metadata.uid,
        "nonce": digest(login.nonce),
        "oauth": nonce,
        "verifier": verifier,
        "hint": hint,
        # Both may be others by the time that the browser is back, and a code is good with these alone.
        "credentials": tenancy.installation.status.credentials,
        "redirect_uri": back,
        "again": again,
    }
    return Departure(
        tenancy=tenancy,
        redirect_uri=back,
        state=seal(Kind.STATE, claims, keys=moment.keys, now=moment.now, life=LOGIN_LIFE),
        nonce=nonce,
        verifier=SecretStr(verifier),
        cookies=cookies_of(login, cookies, host=host, moment=moment),
    )


async def handle(request: web.Request) -> web.StreamResponse:
    """Answers a start; only a browser that opens a page can begin one."""
    parts, moment, host = request.app[PARTS], moment_of(request), only_host(request)
    hint, to, cookies = identifier(one(request, "hint")), safe_to(one(request, "to")), our_cookies(request)
    tenancy = parts.directory.by_host(host)
    if not is_navigation(request):
        shown = refuse(Refusal.CROSS_SITE, moment, tenancy=tenancy, detail="not a navigation")
        return carry_out(request, "start", shown, moment)
    if (launched := identifier(one(request, "installation"))) is not None:
        name = installation_name(launched)
        tenancy = await caught_up(parts, host, name, lambda at: _is_at_home(launched, at))
    if (after := identifier(one(request, "after"))) is not None:
        before = login_of(after, cookies, host=host, moment=moment)
        to = before.to if before is not None else to
    begun = start(
        host=host,
        tenancy=tenancy,
        hint=hint,
        to=to,
        again=one(request, "again") == "1",
        cookies=cookies,
        moment=moment,
    )
    if isinstance(begun, Show):
        return carry_out(request, "start", begun, moment)
    retry = moment.start(host, hint=hint, to=to)
    return carry_out(request, "start", await _depart(parts, begun, moment, retry=retry), moment)


def _is_at_home(installation_id: str, tenancy: Tenancy | None) -> bool:
    return tenancy is not None and tenancy.installation.spec.installation_id == installation_id


async def _depart(parts: Parts, begun: Departure, moment: Moment, *, retry: str) -> Outcome:
    tenancy = begun.tenancy
    try:
        url = await parts.talkdesk.authorize_url(
            tenancy,
            redirect_uri=begun.redirect_uri,
            state=begun.state,
            nonce=begun.nonce,
            verifier=begun.verifier,
        )
    except TalkdeskUnavailableError as failed:
        why, detail = Refusal.TALKDESK_UNAVAILABLE, str(failed)
    except NotAskedError as failed:
        why, detail = Refusal.UNAVAILABLE, str(failed)
    else:
        return Go(url, begun.cookies)
    return refuse(why, moment, tenancy=tenancy, detail=detail, retry=retry)
