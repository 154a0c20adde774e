"""``GET /_td/callback`` at the launch host: Talkdesk sends the browser back, with a code and our state.

The code is exchanged with the installation's own key, the one that it was asked for with, and userinfo alone
decides who it is. Whether that user is licensed is looked up by id, never by e-mail. What comes of it is a
ticket for the tenant's host, where the browser that began is told from any other.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr

from talkdesk_gateway.pages import steps
from talkdesk_gateway.seal import Kind, seal, unseal
from talkdesk_gateway.seams import CodeRefusedError, NotAskedError, TalkdeskUnavailableError
from talkdesk_gateway.signin.edge import PARTS, carry_out, moment_of, one
from talkdesk_gateway.signin.step import Go, Moment, Outcome, Show, identifier, refuse
from talkdesk_gateway.signin.talkdesk import CredentialsEndedError, redirect_uri, switch_url
from talkdesk_gateway.signin.waiting import caught_up
from talkdesk_gateway.verdict import Refusal

if TYPE_CHECKING:
    from aiohttp import web

    from talkdesk_client import UserInfo
    from talkdesk_gateway.signin.edge import Parts
    from talkdesk_gateway.tenancy import Tenancy

#: How long the browser may take from here to the tenant's host.
TICKET_LIFE: Final = timedelta(seconds=60)

_MAX_CODE: Final = 4096
#: RFC 6749 §4.1.2.1; anything else is not repeated, not even in the log.
_ERROR: Final = re.compile(r"[a-z_]{1,40}")


@dataclass(frozen=True)
class State:
    """What came back sealed: which tenant, which browser (``nonce``: a digest), and the hint.

    ``credentials`` names the Secret that the code was asked for with; it and ``redirect_uri`` are None in
    states that older replicas made. ``again``: the sign-in was begun anew by itself once already.
    """

    host: str
    installation: str
    uid: str | None
    nonce: str
    verifier: SecretStr
    hint: str | None
    credentials: str | None = None
    redirect_uri: str | None = None
    again: bool = False

    def of(self, tenancy: Tenancy | None) -> Tenancy | None:
        """``tenancy``, if it is still the one that the sign-in began for."""
        if tenancy is None:
            return None
        metadata = tenancy.installation.metadata
        return tenancy if (metadata.name, metadata.uid) == (self.installation, self.uid) else None

    def as_begun(self, tenancy: Tenancy) -> Tenancy:
        """``tenancy`` under the credentials that the sign-in began with."""
        installation = tenancy.installation
        named = {"credentials": self.credentials or installation.status.credentials}
        status = installation.status.model_copy(update=named)
        return replace(tenancy, installation=installation.model_copy(update={"status": status}))

    def outlived(self, tenancy: Tenancy) -> bool:
        """Whether other credentials are in use by now."""
        return self.credentials not in (None, tenancy.installation.status.credentials)


def opened(sealed: str | None, moment: Moment) -> State | None:
    """The state; None for none, a foreign, forged or ended one. Pure."""
    claims = unseal(Kind.STATE, sealed, keys=moment.keys, now=moment.now)
    if claims is None:
        return None
    return State(
        host=claims["host"],
        installation=claims["installation"],
        uid=claims["uid"],
        nonce=claims["nonce"],
        verifier=SecretStr(claims["verifier"]),
        hint=claims["hint"],
        credentials=claims.get("credentials"),
        redirect_uri=claims.get("redirect_uri"),
        again=claims.get("again", False),
    )


def returned(
    state: State | None, tenancy: Tenancy | None, *, code: str | None, error: str | None, moment: Moment
) -> Show | None:
    """The page for what can be said before Talkdesk is asked; None where ``code`` is to be exchanged. Pure.

    :param tenancy: at the state's host.
    """
    if state is None:
        return refuse(Refusal.BAD_STEP, moment, detail="no state of ours, or one that has ended")
    retry = moment.start(state.host, hint=state.hint)
    tenancy = state.of(tenancy)
    if tenancy is None:
        return refuse(Refusal.BAD_STEP, moment, detail="the installation is another by now", retry=retry)
    if error is not None:
        return _said_no(error, tenancy, retry=retry, moment=moment)
    if not tenancy.allowed:
        return refuse(Refusal.SUSPENDED, moment, tenancy=tenancy, retry=retry)
    if not code or len(code) > _MAX_CODE:
        return refuse(Refusal.BAD_STEP, moment, tenancy=tenancy, detail="no usable code", retry=retry)
    return None


def _said_no(error: str, tenancy: Tenancy, *, retry: str, moment: Moment) -> Show:
    """RFC 6749 §4.1.2.1: the user or the account refused, or the request or Talkdesk is at fault."""
    if error == "access_denied":
        page = steps.denied(retry=retry, app=tenancy.app, reference=moment.reference)
        return Show(page, "denied", tenancy=tenancy)
    told = f"error={error if _ERROR.fullmatch(error) else 'unreadable'}"
    return refuse(Refusal.TALKDESK_UNAVAILABLE, moment, tenancy=tenancy, detail=told, retry=retry)


def recognised(
    state: State, tenancy: Tenancy | None, user: UserInfo, *, switch: str | None, moment: Moment
) -> Outcome:
    """Talkdesk has said who it is: on to the tenant with a ticket, or the page that says why not. Pure.

    Raises NoKeysError. ``switch`` is where one signs in to Talkdesk as somebody else.
    """
    retry = moment.start(state.host, hint=state.hint)
    tenancy = state.of(tenancy)
    if tenancy is None:
        return refuse(Refusal.BAD_STEP, moment, detail="the installation is another by now", retry=retry)
    if not tenancy.allowed:
        return refuse(Refusal.SUSPENDED, moment, tenancy=tenancy, retry=retry)
    entry = tenancy.user(user.id)
    if entry is None and not tenancy.users_known:
        return refuse(
            Refusal.UNAVAILABLE, moment, tenancy=tenancy, detail="users are not known yet", retry=retry
        )
    if entry is None and state.hint not in (None, user.id):
        name = user.name or user.email or "another user"
        page = steps.wrong_user(name, switch=switch, retry=retry, app=tenancy.app, reference=moment.reference)
        detail = f"user {identifier(user.id)}, not the hinted one"
        return Show(page, Refusal.NOT_LICENSED.value, tenancy=tenancy, detail=detail)
    if entry is None:
        detail = f"user {identifier(user.id)}"
        return refuse(Refusal.NOT_LICENSED, moment, tenancy=tenancy, detail=detail, retry=retry)
    claims = {
        "host": state.host,
        "installation": state.installation,
        "uid": state.uid,
        "nonce": state.nonce,
        "user": user.id,
        "epoch": entry.epoch,
        "sid": moment.draw(),
    }
    ticket = seal(Kind.TICKET, claims, keys=moment.keys, now=moment.now, life=TICKET_LIFE)
    return Go(f"{moment.origin(state.host)}/_td/enter?ticket={ticket}")


async def handle(request: web.Request) -> web.StreamResponse:
    """Answers a callback."""
    parts, moment = request.app[PARTS], moment_of(request)
    state = opened(one(request, "state"), moment)
    tenancy = None
    if state is not None:
        tenancy = await caught_up(parts, state.host, state.installation, lambda at: state.of(at) is not None)
    code, error = one(request, "code"), one(request, "error")
    if error is None and "error" in request.query:
        error = "unreadable"
    outcome: Outcome | None = returned(state, tenancy, code=code, error=error, moment=moment)
    if outcome is None and state is not None and tenancy is not None and code is not None:
        outcome = await _ask(parts, state, tenancy, SecretStr(code), moment)
    return carry_out(request, "callback", outcome or refuse(Refusal.BAD_STEP, moment), moment)


async def _ask(parts: Parts, state: State, tenancy: Tenancy, code: SecretStr, moment: Moment) -> Outcome:
    """Asks Talkdesk who it is and, for somebody unknown, once more who is licensed."""
    retry = moment.start(state.host, hint=state.hint)
    try:
        user = await _identify(parts, state, tenancy, code)
        known: Tenancy | None = parts.directory.by_host(state.host)
        if (now_known := state.of(known)) is not None and now_known.user(user.id) is None:
            known = await _look(parts, now_known, user.id)
    except (CodeRefusedError, CredentialsEndedError) as refused:
        return _refused(refused, state, tenancy, moment)
    except TalkdeskUnavailableError as failed:
        return refuse(Refusal.TALKDESK_UNAVAILABLE, moment, tenancy=tenancy, detail=str(failed), retry=retry)
    except NotAskedError as failed:
        return refuse(Refusal.UNAVAILABLE, moment, tenancy=tenancy, detail=str(failed), retry=retry)
    switch = switch_url(tenancy, parts.switch_path)
    return recognised(state, known, user, switch=switch, moment=moment)


def _refused(
    refused: CodeRefusedError | CredentialsEndedError, state: State, tenancy: Tenancy, moment: Moment
) -> Outcome:
    """Of credentials that are in use no more: once, the sign-in begins anew by itself. Pure."""
    if state.outlived(tenancy) and not state.again:
        anew = moment.start(state.host, hint=state.hint, after=state.nonce, again="1")
        return Go(anew, outcome="again")
    used_or_foreign = isinstance(refused, CodeRefusedError)
    why = Refusal.BAD_STEP if used_or_foreign else Refusal.TALKDESK_UNAVAILABLE
    retry = moment.start(state.host, hint=state.hint)
    return refuse(why, moment, tenancy=tenancy, detail=str(refused), retry=retry)


async def _identify(parts: Parts, state: State, tenancy: Tenancy, code: SecretStr) -> UserInfo:
    began, outcome = time.monotonic(), "failed"
    try:
        async with asyncio.timeout(parts.talkdesk_seconds):
            back = state.redirect_uri or redirect_uri(tenancy, parts.origin)
            user = await parts.talkdesk.identify(
                state.as_begun(tenancy), code=code, redirect_uri=back, verifier=state.verifier
            )
        outcome = "known"
    except CodeRefusedError:
        outcome = "refused"
        raise
    except TimeoutError:
        raise TalkdeskUnavailableError(f"no answer within {parts.talkdesk_seconds} s") from None
    finally:
        parts.metrics.identified(outcome, time.monotonic() - began)
    return user


async def _look(parts: Parts, tenancy: Tenancy, user_id: str) -> Tenancy:
    outcome = "failed"
    try:
        looked = await parts.lookup.look(tenancy, user_id)
        outcome = "found" if looked.user(user_id) is not None else "unknown"
    finally:
        parts.metrics.looked_up(outcome)
    return looked
