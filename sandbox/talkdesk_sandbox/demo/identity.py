"""Who the user is: the token in ``x-td-identity``, checked against the gateway's published keys.

:func:`claims_of` is the example of ``docs/identity.md``; a test holds the two together.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import aiohttp
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from talkdesk_sandbox.demo.user import KeysUnavailable, NotSignedIn

if TYPE_CHECKING:
    from collections.abc import Callable

_FRESH_SECONDS = 300.0
_PAUSE_SECONDS = 5.0


def claims_of(token: str, keys: KeySet, *, tenant: str, installation: str) -> dict[str, Any]:
    """Who asks; raises JoseError unless this tenant's gateway signed it for this installation just now."""
    claims = jwt.decode(token, keys, algorithms=["ES256"]).claims
    registry = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": tenant},
        aud={"essential": True, "value": installation},
        exp={"essential": True},
        sub={"essential": True},
    )
    registry.validate(claims)
    return claims


class Keys:
    """The gateway's key set at ``url``, read again every five minutes and when a token names another key."""

    def __init__(
        self, url: str, http: aiohttp.ClientSession, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = url
        self._http = http
        self._clock = clock
        self._keys: KeySet | None = None
        self._read_at = float("-inf")
        self._lock = asyncio.Lock()

    async def claims(self, token: str, *, tenant: str, installation: str) -> dict[str, Any]:
        """See :func:`claims_of`. Raises NotSignedIn, KeysUnavailable."""
        try:
            return claims_of(token, await self._current(), tenant=tenant, installation=installation)
        except (JoseError, ValueError):
            if not await self._renewed():
                raise NotSignedIn("the token is not good here") from None
        try:
            return claims_of(token, await self._current(), tenant=tenant, installation=installation)
        except (JoseError, ValueError):
            raise NotSignedIn("the token is not good here") from None

    async def _current(self) -> KeySet:
        async with self._lock:
            if self._keys is None or self._clock() - self._read_at > _FRESH_SECONDS:
                await self._read()
            if self._keys is None:
                raise KeysUnavailable(f"the key set at {self._url} cannot be read")
            return self._keys

    async def _renewed(self) -> bool:
        """Read the keys for a token that may be of a new one; False where that was done a moment ago."""
        async with self._lock:
            if self._clock() - self._read_at < _PAUSE_SECONDS:
                return False
            await self._read()
            return True

    async def _read(self) -> None:
        """What was known stays where the gateway does not answer."""
        self._read_at = self._clock()
        try:
            async with self._http.get(self._url, timeout=aiohttp.ClientTimeout(total=5)) as answer:
                answer.raise_for_status()
                self._keys = KeySet.import_key_set(await answer.json(content_type=None))
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, JoseError):
            if self._keys is None:
                self._read_at = float("-inf")
