"""The cookies of sign-ins under way: each holds the nonce that binds one of them to this browser.

One cookie for each, for two tabs that begin at the same moment would overwrite each other's in a common one.
They are few and small: the oldest go when a new one comes.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from talkdesk_gateway.cookies import PREFIX, removed, set_cookie
from talkdesk_gateway.seal import Kind, seal, unseal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from talkdesk_gateway.signin.step import Moment

LOGIN_COOKIE: Final = f"{PREFIX}login-"
#: How long a sign-in may take: reading a mail with a code, looking for a telephone.
LOGIN_LIFE: Final = timedelta(minutes=15)
#: Sign-ins that one browser may have under way at once, and what their cookies may have together in bytes:
#: servers refuse headers that are too long.
MOST: Final = 5
MOST_BYTES: Final = 6000


@dataclass(frozen=True)
class Login:
    """One sign-in under way. ``hint_epoch`` is the hinted user's epoch as the sign-in began, if they had one.

    ``again``: it was begun anew by itself once already.
    """

    nonce: str
    to: str
    hint: str | None = None
    hint_epoch: str | None = None
    again: bool = False

    @property
    def cookie(self) -> str:
        """The name of its cookie."""
        return LOGIN_COOKIE + digest(self.nonce)[:12]


def digest(nonce: str) -> str:
    """What state and ticket carry instead of the nonce itself."""
    return hashlib.sha256(nonce.encode()).hexdigest()


def cookies_of(login: Login, cookies: Mapping[str, str], *, host: str, moment: Moment) -> tuple[str, ...]:
    """``Set-Cookie`` of a new sign-in, and of those that make room for it. Raises NoKeysError. Pure."""
    claims = {
        "host": host,
        "nonce": login.nonce,
        "to": login.to,
        "hint": login.hint,
        "hint_epoch": login.hint_epoch,
        "again": login.again,
        "at": moment.now.timestamp(),
    }
    sealed = seal(Kind.LOGIN, claims, keys=moment.keys, now=moment.now, life=LOGIN_LIFE)
    kept, room = 1, MOST_BYTES - len(sealed)
    gone = []
    for name, value in sorted(_theirs(cookies), key=lambda one: -_begun(one[1], host=host, moment=moment)):
        kept, room = kept + 1, room - len(value)
        if kept > MOST or room < 0 or _begun(value, host=host, moment=moment) == 0:
            gone.append(removed(name))
    return set_cookie(login.cookie, sealed, LOGIN_LIFE), *gone


def login_of(nonce_digest: str, cookies: Mapping[str, str], *, host: str, moment: Moment) -> Login | None:
    """The sign-in that a state or ticket with ``nonce_digest`` belongs to, if this browser began it. Pure."""
    value = cookies.get(LOGIN_COOKIE + nonce_digest[:12])
    claims = unseal(Kind.LOGIN, value, keys=moment.keys, now=moment.now)
    if claims is None or claims["host"] != host:
        return None
    if not hmac.compare_digest(digest(claims["nonce"]), nonce_digest):
        return None
    return Login(claims["nonce"], claims["to"], claims["hint"], claims["hint_epoch"], claims["again"])


def has_any(cookies: Mapping[str, str]) -> bool:
    """Whether the browser keeps any of these cookies, ended or not. Pure."""
    return any(True for _ in _theirs(cookies))


def no_logins(cookies: Mapping[str, str]) -> tuple[str, ...]:
    """``Set-Cookie`` that takes all of them away. Pure."""
    return tuple(removed(name) for name, _ in _theirs(cookies))


def _theirs(cookies: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in cookies.items() if name.startswith(LOGIN_COOKIE)]


def _begun(value: str, *, host: str, moment: Moment) -> float:
    """When, as a time stamp; 0 for what cannot be read, or is another host's."""
    claims = unseal(Kind.LOGIN, value, keys=moment.keys, now=moment.now)
    return float(claims["at"]) if claims is not None and claims["host"] == host else 0.0
