"""A user's session in a tenant: two cookies, sealed and bound to the host.

The session cookie is set once, by ``/_td/enter``; the use cookie is renewed by use. Responses that arrive in
any order can therefore neither revive a session that was signed out nor exchange two users in two tabs: the
use cookie counts only beside the session that it names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

SESSION_COOKIE = "__Host-td-session"
USE_COOKIE = "__Host-td-use"
LOGIN_COOKIE = "__Host-td-login"


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
