"""Authorization codes and refresh tokens: each good once, for the client that it was made for."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from talkdesk_sandbox.talkdesk.keys import digest
from talkdesk_sandbox.talkdesk.tokens import TokenRefusedError

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Challenge:
    """What a code's verifier must fit (RFC 7636)."""

    text: str
    method: Literal["S256", "plain"]

    def fits(self, verifier: str) -> bool:
        """Whether ``verifier`` is the one it was made from."""
        made = verifier
        if self.method == "S256":
            hashed = hashlib.sha256(verifier.encode()).digest()
            made = base64.urlsafe_b64encode(hashed).rstrip(b"=").decode()
        return hmac.compare_digest(made.encode(), self.text.encode())


@dataclass(frozen=True, kw_only=True)
class Authorization:
    """A user has signed on to an app: which client asked, for what, and in which session (``sid``)."""

    client_id: str
    user_id: str
    sid: str
    scopes: tuple[str, ...]
    redirect_uri: str
    nonce: str | None = None
    challenge: Challenge | None = None


class Codes:
    """The authorization codes that were given out. Only their digests are kept."""

    def __init__(self) -> None:
        self._codes: dict[bytes, tuple[Authorization, datetime]] = {}

    def issue(self, authorization: Authorization, *, expires_at: datetime) -> str:
        """A new code for it."""
        code = secrets.token_urlsafe(32)
        self._codes[digest(code)] = authorization, expires_at
        return code

    def redeem(
        self, code: str, *, client_id: str, redirect_uri: str, verifier: str | None, now: datetime
    ) -> Authorization:
        """What ``code`` stands for; it is used up, also by an attempt of its own client that fails.

        Raises :class:`TokenRefusedError` with 400 ``invalid_grant`` and what is wrong.
        """
        found, expires_at = self._codes.get(digest(code), (None, now))
        if found is None:
            raise _invalid("the code is unknown or was used before")
        if found.client_id != client_id:
            raise _invalid("the code was issued to another client")  # whose it remains
        del self._codes[digest(code)]
        if expires_at <= now:
            raise _invalid("the code has expired")
        if found.redirect_uri != redirect_uri:
            raise _invalid("redirect_uri is not the one that the code was asked for with")
        if found.challenge is None and verifier is not None:
            raise _invalid("the code was asked for without a code_challenge")
        if found.challenge is not None and (verifier is None or not found.challenge.fits(verifier)):
            raise _invalid("code_verifier does not fit the code_challenge")
        return found


class RefreshTokens:
    """Refresh tokens; each is good once, and a new one comes with its use."""

    def __init__(self) -> None:
        self._tokens: dict[bytes, Authorization] = {}

    def issue(self, authorization: Authorization) -> str:
        """A new refresh token."""
        token = secrets.token_urlsafe(32)
        self._tokens[digest(token)] = authorization
        return token

    def redeem(self, token: str, *, client_id: str) -> Authorization:
        """What ``token`` stands for; it is used up. Raises :class:`TokenRefusedError`."""
        found = self._tokens.get(digest(token))
        if found is None or found.client_id != client_id:
            raise _invalid("the refresh token is unknown or was used before")
        del self._tokens[digest(token)]
        return found


def _invalid(description: str) -> TokenRefusedError:
    return TokenRefusedError(400, "invalid_grant", description)
