"""Who a request comes from, as the tenant is told: a signed token, and the same in plain headers.

Every header is always there: one that were left out would let a stranger's through. Values are
percent-encoded UTF-8, so that no name can break a header, and bounded.
"""

from __future__ import annotations

import json
import weakref
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from joserfc import jwt
from joserfc.jwk import ECKey

from talkdesk_crds.key_ring import active
from talkdesk_gateway.answers import header_lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from talkdesk_crds.key_ring import Key
    from talkdesk_gateway.seams import Keys
    from talkdesk_gateway.tenancy import Tenancy
    from talkdesk_gateway.verdict import Passed

#: How long a token is good, and for how long one is given out again, in seconds.
LIFE: Final = 120
REUSED: Final = 30
#: How much earlier a token says it was issued, in seconds: clocks differ, and one from the future is refused.
EARLIER: Final = 30
#: Characters of a name that are told; the schema would allow 512, which some servers take for an attack.
NAME_LENGTH: Final = 128
_KEPT: Final = 4096


class NoIdentityKeyError(Exception):
    """There is no key to sign with (yet): nobody can be let in. Say 503."""


class Identity:
    """Makes the headers of who passed.

    :param origin: a host's origin as browsers write it; the token's issuer.

    They are given out again for half a minute: they say who somebody is, not that they may enter, which is
    decided for each request.
    """

    def __init__(self, keys: Keys, *, origin: Callable[[str], str]) -> None:
        self._keys = keys
        self._origin = origin
        self._made: OrderedDict[tuple[str, str], _Made] = OrderedDict()

    def headers(self, passed: Passed, *, now: datetime) -> dict[str, str]:
        """``x-td-…`` for the tenant, all of them. Raises NoIdentityKeyError."""
        return self._known(passed, now).headers

    def lines(self, passed: Passed, *, now: datetime) -> bytes:
        """The same as HTTP/1.1 has them. Raises NoIdentityKeyError."""
        return self._known(passed, now).lines

    def _known(self, passed: Passed, now: datetime) -> _Made:
        keys, at = self._keys.identity_keys(), now.timestamp()
        index = (passed.tenancy.host, passed.session.user)
        known = self._made.get(index)
        # A tenancy is of one moment: where it is the same one, so is everything that is told.
        if known and known.keys is keys and known.of() is passed.tenancy and 0 <= at - known.at < REUSED:
            return known
        headers = self._make(passed, now, keys)
        made = _Made(headers, header_lines(headers), at, keys, weakref.ref(passed.tenancy))
        self._made[index] = made
        self._made.move_to_end(index)
        if len(self._made) > _KEPT:
            self._made.popitem(last=False)
        return made

    def _make(self, passed: Passed, now: datetime, keys: tuple[Key, ...]) -> dict[str, str]:
        tenancy, user = passed.tenancy, passed.user
        spec = tenancy.installation.spec
        who = {
            "iss": self._origin(tenancy.host),
            "aud": spec.installation_id,
            "sub": passed.session.user,
            "name": (user.name or "")[:NAME_LENGTH],
            "email": user.email or "",
            "role": user.role,
            "plan": tenancy.installation.status.plan or "",
            "account": spec.account_id,
        }
        return {
            "x-td-installation": _plain(who["aud"]),
            "x-td-account": _plain(who["account"]),
            "x-td-user": _plain(who["sub"]),
            "x-td-name": _plain(who["name"]),
            "x-td-email": _plain(who["email"]),
            "x-td-role": _plain(who["role"]),
            "x-td-plan": _plain(who["plan"]),
            "x-td-identity": _signed(who, now, keys),
        }


@dataclass(frozen=True, slots=True)
class _Made:
    """Headers that were made at a moment, with what they were made from."""

    headers: dict[str, str]
    lines: bytes
    at: float
    keys: tuple[Key, ...]
    of: weakref.ref[Tenancy]


def _signed(who: dict[str, str], now: datetime, keys: tuple[Key, ...]) -> str:
    key = active(keys, now)
    if key is None:
        raise NoIdentityKeyError("there is no identity key; the operator makes them")
    signed = int(now.timestamp())
    claims: dict[str, Any] = {**who, "iat": signed - EARLIER, "exp": signed + LIFE}
    return jwt.encode({"alg": "ES256", "kid": key.id, "typ": "JWT"}, claims, _private(key))


def _plain(text: str) -> str:
    return quote(text, safe="@", errors="replace")


@lru_cache(maxsize=16)
def _private(key: Key) -> ECKey:
    return ECKey.import_key(json.loads(key.jwk.get_secret_value()))
