"""Who is signed in at Talkdesk: one session for each browser and account, known by a cookie."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from talkdesk_sandbox.talkdesk.keys import digest, new_id

if TYPE_CHECKING:
    from aiohttp import web

COOKIE = "talkdesk_session"


@dataclass(frozen=True, kw_only=True)
class SignIn:
    """A user's session at Talkdesk; ``sid`` is its public name."""

    account_id: str
    user_id: str
    sid: str


class SignIns:
    """The sessions. Only digests of the cookies are kept."""

    def __init__(self) -> None:
        self._sessions: dict[bytes, SignIn] = {}

    def begin(self, *, account_id: str, user_id: str) -> str:
        """Sign a user in: the cookie's value."""
        value = secrets.token_urlsafe(32)
        self._sessions[digest(value)] = SignIn(account_id=account_id, user_id=user_id, sid=new_id())
        return value

    def of(self, request: web.Request, *, account_id: str) -> SignIn | None:
        """The session of the request's browser in that account."""
        found = self._sessions.get(digest(request.cookies.get(COOKIE, "")))
        return found if found is not None and found.account_id == account_id else None

    def end(self, request: web.Request) -> None:
        """End the session of the request's browser, if it has one."""
        self._sessions.pop(digest(request.cookies.get(COOKIE, "")), None)

    def end_all(self, user_id: str) -> None:
        """End every session of a user."""
        self._sessions = {key: one for key, one in self._sessions.items() if one.user_id != user_id}
