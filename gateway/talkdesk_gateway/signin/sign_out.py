"""``/_td/sign-out`` at the tenant: a page that asks, and the form that it sends.

All of the user's sessions in the installation end: a TalkdeskRevocation gives them a new epoch. They are said
to have ended once that is seen. A session beyond its idle limit is proof enough of whose they are, for others
may go on in other browsers; one that a sign-out ended is not, for the user may have signed in again since.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from talkdesk_gateway import sessions
from talkdesk_gateway.decide import Facts, cross_site
from talkdesk_gateway.pages import steps
from talkdesk_gateway.seams import NotAskedError
from talkdesk_gateway.signin.edge import PARTS, carry_out, moment_of, only_host, our_cookies
from talkdesk_gateway.signin.login import no_logins
from talkdesk_gateway.signin.step import Moment, Outcome, Show, refuse
from talkdesk_gateway.signin.waiting import until
from talkdesk_gateway.verdict import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from talkdesk_crds.user_slice import LicensedUser
    from talkdesk_gateway.sessions import Session
    from talkdesk_gateway.signin.edge import Parts
    from talkdesk_gateway.tenancy import Tenancy

_UNKNOWN = "users are not known yet"


@dataclass(frozen=True)
class Proof:
    """A session of this very object, within its absolute limit. ``user`` is its user's entry.

    Without one the user was removed; but for ``unknown``, where nothing can be said of users at this moment.
    """

    session: Session
    user: LicensedUser | None
    unknown: bool

    @property
    def ended(self) -> bool:
        """All that the user had open when this session began is over, by what is known."""
        if self.user is None:
            return not self.unknown
        return self.user.epoch != self.session.epoch


def proof(tenancy: Tenancy, cookies: Mapping[str, str], moment: Moment) -> Proof | None:
    """What ``cookies`` prove of their user; None for nothing. Pure."""
    session = sessions.read(cookies, host=tenancy.host, keys=moment.keys, now=moment.now)
    metadata, policy = tenancy.installation.metadata, tenancy.app.spec.session
    if session is None or (session.installation, session.uid) != (metadata.name, metadata.uid):
        return None
    if sessions.seconds_left(session, policy, moment.now) == 0:
        return None
    user = tenancy.user(session.user)
    return Proof(session, user, unknown=user is None and not tenancy.users_known)


def asked(tenancy: Tenancy | None, cookies: Mapping[str, str], moment: Moment) -> Show:
    """The page that asks; signed out already: the page that says so. Pure."""
    if tenancy is None:
        return refuse(Refusal.UNKNOWN_HOST, moment)
    proved = proof(tenancy, cookies, moment)
    if proved is not None and proved.unknown:
        return refuse(Refusal.UNAVAILABLE, moment, tenancy=tenancy, detail=_UNKNOWN)
    if proved is None or proved.user is None or proved.ended:
        return nothing_to_end(tenancy, cookies, moment, proved)
    user, over = proved.user, sessions.over(proved.session, tenancy.app.spec.session, moment.now)
    # Beyond the idle limit somebody else may sit there.
    name = None if over else user.name or user.email or "this user"
    page = steps.sign_out(name, back=moment.origin(tenancy.host) + "/", app=tenancy.app)
    return Show(page, "asked", tenancy=tenancy)


def nothing_to_end(
    tenancy: Tenancy, cookies: Mapping[str, str], moment: Moment, proved: Proof | None
) -> Show:
    """No session here that counts. Of who was removed it is known that there are no others either. Pure."""
    if proved is not None and proved.user is None:
        return signed_out(tenancy, cookies, moment)
    again, ended = moment.start(tenancy.host), proved is not None
    page = steps.not_signed_in(again=again, app=tenancy.app, ended=ended)
    return Show(page, "not-signed-in", tenancy=tenancy, cookies=_away(cookies))


def signed_out(
    tenancy: Tenancy, cookies: Mapping[str, str], moment: Moment, *, everywhere: bool = True
) -> Show:
    """Signed out: the cookies go, those of sign-ins under way with them. Pure.

    :param everywhere: that all sessions have ended was seen; else the sign-out is stored.
    """
    say, outcome = (steps.signed_out, "signed-out") if everywhere else (steps.sign_out_stored, "stored")
    page = say(again=moment.start(tenancy.host), app=tenancy.app)
    return Show(page, outcome, tenancy=tenancy, cookies=_away(cookies))


def _away(cookies: Mapping[str, str]) -> tuple[str, ...]:
    return (*sessions.no_session_cookies(), *no_logins(cookies))


def failed(tenancy: Tenancy, detail: str, moment: Moment) -> Show:
    """Nothing has ended, and the cookies stay. Pure."""
    page = steps.not_signed_out(app=tenancy.app, reference=moment.reference)
    return Show(page, Refusal.UNAVAILABLE.value, tenancy=tenancy, detail=detail)


async def show(request: web.Request) -> web.StreamResponse:
    """``GET``."""
    parts, moment = request.app[PARTS], moment_of(request)
    tenancy = parts.directory.by_host(only_host(request))
    return carry_out(request, "sign-out", asked(tenancy, our_cookies(request), moment), moment)


async def sign_out(request: web.Request) -> web.StreamResponse:
    """``POST``, from our own page alone."""
    parts, moment, host = request.app[PARTS], moment_of(request), only_host(request)
    tenancy = parts.directory.by_host(host)
    outcome: Outcome
    if tenancy is None:
        outcome = refuse(Refusal.UNKNOWN_HOST, moment)
    elif foreign := cross_site(_facts(request, host), origin=parts.origin(host)):
        outcome = refuse(Refusal.CROSS_SITE, moment, tenancy=tenancy, detail=foreign)
    else:
        outcome = await _end(parts, tenancy, our_cookies(request), moment)
    return carry_out(request, "sign-out", outcome, moment)


async def _end(parts: Parts, tenancy: Tenancy, cookies: Mapping[str, str], moment: Moment) -> Show:
    proved = proof(tenancy, cookies, moment)
    if proved is not None and proved.unknown:
        return failed(tenancy, _UNKNOWN, moment)
    if proved is None or proved.ended:
        return nothing_to_end(tenancy, cookies, moment, proved)
    session = proved.session
    try:
        await parts.sign_out.sign_out(tenancy, session.user, f"sign-out/{session.sid}")
    except NotAskedError as problem:
        return failed(tenancy, str(problem), moment)

    def seen() -> bool:
        now = parts.directory.by_host(tenancy.host)
        after = proof(now, cookies, moment) if now is not None else None
        return after is not None and after.ended

    name = tenancy.installation.metadata.name
    everywhere = await until(seen, parts.directory, name, seconds=parts.settle_seconds)
    return signed_out(tenancy, cookies, moment, everywhere=everywhere)


def _facts(request: web.Request, host: str) -> Facts:
    def said(name: str) -> str | None:
        return ", ".join(request.headers.getall(name, [])) or None

    return Facts(method=request.method, host=host, origin=said("Origin"), fetch_site=said("Sec-Fetch-Site"))
