"""Access tokens: one per installation, credentials and scope, kept until shortly before they expire."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, SecretStr, field_validator

from talkdesk_client.errors import TransportError
from talkdesk_client.models import Integer, Strings, Text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from talkdesk_client.credentials import InstallationRef

#: A token is never trusted for longer than this many seconds, whatever it says.
LONGEST_LIFE = 86_400.0
_PRUNE_FROM = 1024


class TokenAnswer(BaseModel):
    """The token endpoint's success body (RFC 6749 §5.1); validation errors do not show it."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, defer_build=True)

    access_token: SecretStr
    token_type: Text = None
    expires_in: Integer = None
    scope: Annotated[Strings, "as granted; empty when not said"] = ()

    @field_validator("access_token")
    @classmethod
    def _fits_into_a_header(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if not text or not all("!" <= c <= "~" for c in text):
            raise ValueError("access_token is not a run of printable ASCII characters")
        return value

    @field_validator("token_type")
    @classmethod
    def _is_bearer(cls, value: str | None) -> str | None:
        if value is not None and value.lower() != "bearer":
            raise ValueError("token_type is not Bearer")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token and until when (monotonic seconds) it is given out."""

    value: SecretStr
    renew_at: float


def token_from(
    answer: TokenAnswer, *, wanted: str, asked_at: float, default_life: float, renew_before: float
) -> Token:
    """The token of ``answer``; its life is counted from ``asked_at`` (monotonic), when the request was made.

    One with fewer scopes than ``wanted`` is given out once and not kept: a new scope takes minutes to spread,
    and the next request may get it.
    """
    life = default_life if answer.expires_in is None else min(float(answer.expires_in), LONGEST_LIFE)
    narrowed = bool(answer.scope) and not set(wanted.split()) <= set(answer.scope)
    keep = 0.0 if narrowed else max(0.0, life - min(renew_before, life / 2))
    return Token(value=answer.access_token, renew_at=asked_at + keep)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenKey:
    """What a token belongs to. New credentials are another key, so they never meet the old ones' token."""

    ref: InstallationRef
    scope: str


@dataclass(slots=True)
class _Flight:
    task: asyncio.Task[Token]
    waiting: int = 0


class TokenCache:
    """Gives out tokens; fetches each at most once at a time.

    A caller that is cancelled leaves the fetch to the others waiting for it; the last to leave cancels it.
    """

    def __init__(
        self, fetch: Callable[[TokenKey], Awaitable[Token]], *, monotonic: Callable[[], float]
    ) -> None:
        self._fetch = fetch
        self._monotonic = monotonic
        self._tokens: dict[TokenKey, Token] = {}
        self._flights: dict[TokenKey, _Flight] = {}
        self._prune_at = _PRUNE_FROM

    async def get(self, key: TokenKey) -> Token:
        """A token good for at least a little while; whatever ``fetch`` raises."""
        kept = self._tokens.get(key)
        if kept is not None and self._monotonic() < kept.renew_at:
            return kept
        flight = self._flights.get(key)
        if flight is None or flight.task.done():  # landed, and its last passenger has not left yet
            flight = _Flight(asyncio.create_task(self._fetched(key), name="talkdesk token"))
            flight.task.add_done_callback(_retrieve)
            self._flights[key] = flight
        flight.waiting += 1
        try:
            await asyncio.wait((flight.task,))
        finally:
            flight.waiting -= 1
            if not flight.waiting and self._flights.get(key) is flight:
                del self._flights[key]
                flight.task.cancel()
        if flight.task.cancelled():
            raise TransportError("the token was not fetched: the client was closed")
        return flight.task.result()

    def forget(self, key: TokenKey, token: Token) -> None:
        """Drops ``token`` if it is still the one kept: another caller may have renewed it meanwhile."""
        if self._tokens.get(key) == token:
            del self._tokens[key]

    async def aclose(self) -> None:
        """Cancels what is being fetched and forgets everything."""
        tasks = [flight.task for flight in self._flights.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tokens.clear()

    async def _fetched(self, key: TokenKey) -> Token:
        token = await self._fetch(key)
        self._tokens[key] = token
        if len(self._tokens) >= self._prune_at:
            now = self._monotonic()
            self._tokens = {k: kept for k, kept in self._tokens.items() if now < kept.renew_at}
            self._prune_at = max(_PRUNE_FROM, 2 * len(self._tokens))
        return token


def _retrieve(task: asyncio.Task[Token]) -> None:
    """An exception nobody waits for any more is not worth a warning."""
    if not task.cancelled():
        task.exception()
