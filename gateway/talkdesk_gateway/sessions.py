"""A user's session in a tenant: two cookies, sealed and bound to the host.

The session cookie is set once, by ``/_td/enter``; the use cookie is renewed by use. Responses that arrive in
any order can therefore neither revive a session that was signed out nor exchange two users in two tabs: the
use cookie counts only beside the session that it names.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from talkdesk_gateway.cookies import removed, set_cookie
from talkdesk_gateway.seal import Kind, seal, unseal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from talkdesk_crds.app import SessionPolicy
    from talkdesk_crds.key_ring import Key
    from talkdesk_crds.user_slice import LicensedUser
    from talkdesk_gateway.tenancy import Tenancy

SESSION_COOKIE: Final = "__Host-td-session"
USE_COOKIE: Final = "__Host-td-use"

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Session:
    """Who is signed in where, since when, and under which epoch of the user's entry.

    ``installation`` is the object's name and ``uid`` its uid: an object that was deleted and made again
    begins a new life. ``began`` is the moment of ``/_td/enter``; ``used`` the newest use that the use cookie
    tells, None where it is missing, unreadable or another session's.
    """

    host: str
    installation: str
    uid: str
    user: str
    epoch: str
    sid: str
    began: datetime
    used: datetime | None = None


def read(cookies: Mapping[str, str], *, host: str, keys: tuple[Key, ...], now: datetime) -> Session | None:
    """The session that ``cookies`` prove at ``host``; None for none, a foreign, forged or ended one. Pure.

    Whether it still counts is for :func:`entry` to say.
    """
    claims = unseal(Kind.SESSION, cookies.get(SESSION_COOKIE), keys=keys, now=now)
    if claims is None or claims.get("host") != host:
        return None
    session = _session(claims)
    if session is None:
        return None
    use = unseal(Kind.USE, cookies.get(USE_COOKIE), keys=keys, now=now)
    if use is None or use.get("host") != host or use.get("sid") != session.sid:
        return session
    used = _moment(use.get("used"))
    return dataclasses.replace(session, used=max(used, session.began)) if used is not None else session


def over(session: Session, policy: SessionPolicy, now: datetime) -> bool:
    """Whether ``session`` has reached its idle or its absolute limit. Pure."""
    used = session.used or session.began
    return now >= used + _span(policy.idle_seconds) or now >= session.began + _span(policy.absolute_seconds)


def renewal_due(session: Session, policy: SessionPolicy, now: datetime) -> bool:
    """Whether this use is worth a new use cookie: not for each of many requests in a short time. Pure.

    Once the last one is older than a twentieth of the idle limit, and than a minute (of very short limits: a
    quarter of it).
    """
    return session.used is None or now - session.used >= _renewal(policy.idle_seconds)


@lru_cache(maxsize=64)
def _span(seconds: int) -> timedelta:
    return timedelta(seconds=seconds)


@lru_cache(maxsize=64)
def _renewal(idle_seconds: int) -> timedelta:
    idle = timedelta(seconds=idle_seconds)
    return min(max(idle / 20, _MINUTE), idle / 4)


def no_longer(session: Session, tenancy: Tenancy, now: datetime) -> str:
    """Why the session does not, or no longer, hold here, whoever is licensed; "" where it does. Pure."""
    metadata, policy = tenancy.installation.metadata, tenancy.app.spec.session
    if session.host != tenancy.host:
        return "another host's session"
    if session.installation != metadata.name or session.uid != metadata.uid:
        return "another installation's session"
    return "the session reached its limit" if over(session, policy, now) else ""


def entry(session: Session, tenancy: Tenancy, now: datetime) -> LicensedUser | None:
    """The user's entry, if ``session`` counts in ``tenancy``; else None. Pure.

    It counts while it is within its limits, made under this very object, and under the entry's epoch.
    """
    if no_longer(session, tenancy, now):
        return None
    user = tenancy.user(session.user)
    return user if user is not None and user.epoch == session.epoch else None


def seconds_left(session: Session, policy: SessionPolicy, now: datetime) -> int:
    """Until the absolute limit, however much it is used. Pure."""
    end = session.began + timedelta(seconds=policy.absolute_seconds)
    return max(0, int((end - now).total_seconds()))


def session_cookies(
    session: Session, policy: SessionPolicy, *, keys: tuple[Key, ...], now: datetime
) -> tuple[str, str]:
    """``Set-Cookie`` of both cookies, for ``/_td/enter`` alone. Raises NoKeysError."""
    life = timedelta(seconds=policy.absolute_seconds)
    claims = {
        "host": session.host,
        "installation": session.installation,
        "uid": session.uid,
        "user": session.user,
        "epoch": session.epoch,
        "sid": session.sid,
        "began": session.began.timestamp(),
    }
    sealed = seal(Kind.SESSION, claims, keys=keys, now=now, life=life)
    return set_cookie(SESSION_COOKIE, sealed, life), use_cookie(session, policy, keys=keys, now=now)


def use_cookie(session: Session, policy: SessionPolicy, *, keys: tuple[Key, ...], now: datetime) -> str:
    """``Set-Cookie`` that says that ``session`` was used ``now``. Raises NoKeysError."""
    life = timedelta(seconds=policy.idle_seconds)
    claims = {"host": session.host, "sid": session.sid, "used": now.timestamp()}
    return set_cookie(USE_COOKIE, seal(Kind.USE, claims, keys=keys, now=now, life=life), life)


def no_session_cookies() -> tuple[str, str]:
    """``Set-Cookie`` that takes both away."""
    return removed(SESSION_COOKIE), removed(USE_COOKIE)


def _session(claims: Mapping[str, Any]) -> Session | None:
    texts = {name: claims.get(name) for name in ("host", "installation", "uid", "user", "epoch", "sid")}
    began = _moment(claims.get("began"))
    if began is None or not all(isinstance(text, str) for text in texts.values()):
        return None
    return Session(**texts, began=began)  # type: ignore[arg-type] # all are str by now


def _moment(stamp: Any) -> datetime | None:
    try:
        return datetime.fromtimestamp(stamp, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
