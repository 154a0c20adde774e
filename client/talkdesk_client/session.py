"""Authenticated, repeated, limited requests: what every call of the API goes through."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakValueDictionary

import httpx

from talkdesk_client.answers import validated
from talkdesk_client.errors import TalkdeskError, Unauthorized
from talkdesk_client.grants import grant_request
from talkdesk_client.refusals import refusal
from talkdesk_client.retry import RetryPolicy
from talkdesk_client.tokens import Token, TokenAnswer, TokenCache, TokenKey, token_from
from talkdesk_client.wire import exchange

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Mapping

    from pydantic import SecretStr

    from talkdesk_client.clock import Clock
    from talkdesk_client.credentials import Credentials, InstallationRef
    from talkdesk_client.options import ClientOptions
    from talkdesk_client.wire import Answer

T = TypeVar("T")

logger = logging.getLogger(__name__)

_GRANT = "client_credentials"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request of the API. ``means``: statuses that mean more here than they do elsewhere."""

    method: str
    url: httpx.URL
    body: Mapping[str, str] | None = None
    means: Mapping[int, type[TalkdeskError]] = field(default_factory=dict)


class BearerAuth(httpx.Auth):
    """Puts the token into the request at the last moment, so that nothing else holds it in clear."""

    def __init__(self, token: SecretStr) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._token.get_secret_value()}"
        yield request


class Session:
    """See :class:`talkdesk_client.TalkdeskClient`, whose inner half this is."""

    def __init__(self, http: httpx.AsyncClient, options: ClientOptions, clock: Clock) -> None:
        self._http = http
        self._options = options
        self._clock = clock
        self._policy = RetryPolicy.of(options)
        self._tokens = TokenCache(self._fetch_token, monotonic=clock.monotonic)
        self._lanes: WeakValueDictionary[tuple[str, str, str], asyncio.Semaphore] = WeakValueDictionary()

    async def aclose(self) -> None:
        await self._tokens.aclose()

    async def authorized(self, ref: InstallationRef, call: Call, *, scope: str) -> Answer:
        """The 2xx answer to ``call`` with a token for ``scope``; one 401 is met with a new token."""
        key = TokenKey(ref=ref, scope=scope)
        token = await self._tokens.get(key)
        try:
            return await self._with_token(ref, call, token)
        except Unauthorized:
            self._tokens.forget(key, token)
        token = await self._tokens.get(key)
        return await self._with_token(ref, call, token)

    async def as_user(self, ref: InstallationRef, call: Call, *, token: SecretStr) -> Answer:
        """The 2xx answer to ``call`` with a user's ``token``, for which there is no other."""
        return await self._with_token(ref, call, Token(value=token, renew_at=0.0))

    async def exchanged(
        self, ref: InstallationRef, *, fields: Mapping[str, str], hidden: Mapping[str, SecretStr]
    ) -> Answer:
        """The token endpoint's 2xx answer to what can be asked once only."""
        return await self._grant(ref, fields=fields, hidden=hidden, change=True)

    async def anonymous(self, call: Call) -> Answer:
        """The 2xx answer to ``call``, which carries no authentication."""

        async def once() -> Answer:
            request = self._http.build_request(call.method, call.url)
            return self._success(await self._exchange(request, auth=None, lane=None, change=False))

        return await self._repeated(once, reads=True)

    async def _with_token(self, ref: InstallationRef, call: Call, token: Token) -> Answer:
        change = call.method != "GET"
        secrets = (token.value, *_secrets(ref.credentials))

        async def once() -> Answer:
            request = self._http.build_request(call.method, call.url, json=call.body)
            answer = await self._exchange(
                request, auth=BearerAuth(token.value), lane=self._lane(ref), change=change
            )
            return self._success(answer, means=call.means, secrets=secrets)

        return await self._repeated(once, reads=not change)

    async def _fetch_token(self, key: TokenKey) -> Token:
        """Asks the token endpoint; repeated like a read, for a token nobody uses does no harm."""
        fields = {"grant_type": _GRANT} | ({"scope": key.scope} if key.scope else {})

        async def once() -> Token:
            asked_at = self._clock.monotonic()
            answer = await self._grant(key.ref, fields=fields, hidden={}, change=False)
            return token_from(
                validated(TokenAnswer, answer),
                wanted=key.scope,
                asked_at=asked_at,
                default_life=self._options.token_life,
                renew_before=self._options.token_renew_before,
            )

        return await self._repeated(once, reads=True)

    async def _grant(
        self,
        ref: InstallationRef,
        *,
        fields: Mapping[str, str],
        hidden: Mapping[str, SecretStr],
        change: bool,
    ) -> Answer:
        """One request to the token endpoint. Built anew each time: an assertion is good once only."""
        asked = grant_request(
            self._http, ref, fields=fields, hidden=hidden, options=self._options, now=self._clock.wall()
        )
        answer = await self._exchange(asked.request, auth=asked.auth, lane=self._lane(ref), change=change)
        secrets = (*asked.secrets, *_secrets(ref.credentials))
        return self._success(answer, secrets=secrets, at_token_endpoint=True)

    async def _exchange(
        self,
        request: httpx.Request,
        *,
        auth: httpx.Auth | None,
        lane: asyncio.Semaphore | None,
        change: bool,
    ) -> Answer:
        began = self._clock.monotonic()
        answer = await exchange(
            self._http,
            request,
            auth=auth,
            lane=lane,
            timeout=self._options.attempt_timeout,
            max_bytes=self._options.max_bytes,
            change=change,
        )
        logger.debug(
            "%s %s: %d in %.3f s", answer.method, answer.url, answer.status, self._clock.monotonic() - began
        )
        return answer

    def _success(
        self,
        answer: Answer,
        *,
        means: Mapping[int, type[TalkdeskError]] | None = None,
        secrets: tuple[SecretStr, ...] = (),
        at_token_endpoint: bool = False,
    ) -> Answer:
        if answer.ok:
            return answer
        raise refusal(
            answer,
            means=means,
            secrets=secrets,
            at_token_endpoint=at_token_endpoint,
            now=self._clock.wall(),
        )

    async def _repeated(self, once: Callable[[], Awaitable[T]], *, reads: bool) -> T:
        """What ``once`` returns; for ``reads``, tried again as the policy says. The last error is raised."""
        began = self._clock.monotonic()
        made = 0
        while True:
            made += 1
            try:
                return await once()
            except TalkdeskError as error:
                wait = None
                if reads:
                    elapsed = self._clock.monotonic() - began
                    wait = self._policy.wait(error, made=made, elapsed=elapsed, chance=self._clock.chance())
                if wait is None:
                    raise
                logger.info("%s; again in %.2f s", error, wait)
            await self._clock.sleep(wait)

    def _lane(self, ref: InstallationRef) -> asyncio.Semaphore:
        """What limits the requests under way for one installation; lives as long as someone uses it."""
        key = (ref.app_id, ref.account_id, ref.installation_id)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = asyncio.Semaphore(self._options.concurrency)
        return lane


def _secrets(credentials: Credentials) -> tuple[SecretStr, ...]:
    held = (credentials.client_secret, credentials.private_key)
    return tuple(secret for secret in held if secret is not None)
