"""Who a request comes from, as the tenant is told: a signed token, and the same in plain headers.

Every header is always there: one that were left out would let a stranger's through. Values are
percent-encoded UTF-8, so that no name can break a header, and bounded.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from joserfc import jwt
from joserfc.jwk import ECKey

from talkdesk_crds.key_ring import active

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from talkdesk_crds.key_ring import Key
    from talkdesk_gateway.seams import Keys
    from talkdesk_gateway.verdict import Passed

#: How long a token is good, and for how long one is given out again, in seconds.
LIFE: Final = 120
REUSED: Final = 30
#: Characters of a name that are told; the schema would allow 512, which some servers take for an attack.
NAME_LENGTH: Final = 128
_KEPT: Final = 4096


class NoIdentityKeyError(Exception):
    """There is no key to sign with (yet): nobody can be let in. Say 503."""


class Identity:
    """Makes the headers of who passed.

    :param origin: a host's origin as browsers write it; the token's issuer.

    A token is given out again for half a minute: it says who somebody is, not that they may enter, which is
    decided for each request.
    """

    def __init__(self, keys: Keys, *, origin: Callable[[str], str]) -> None:
        self._keys = keys
        self._origin = origin
        self._signed: OrderedDict[tuple[str, ...], tuple[float, str]] = OrderedDict()

    def headers(self, passed: Passed, *, now: datetime) -> dict[str, str]:
        """``x-td-…`` for the tenant, all of them. Raises NoIdentityKeyError."""
        tenancy, user = passed.tenancy, passed.user
        spec = tenancy.installation.spec
        name = (user.name or "")[:NAME_LENGTH]
        email, plan = user.email or "", tenancy.installation.status.plan or ""
        who = {
            "iss": self._origin(tenancy.host),
            "aud": spec.installation_id,
            "sub": passed.session.user,
            "name": name,
            "email": email,
            "role": user.role,
            "plan": plan,
            "account": spec.account_id,
        }
        return {
            "x-td-installation": _plain(spec.installation_id),
            "x-td-account": _plain(spec.account_id),
            "x-td-user": _plain(passed.session.user),
            "x-td-name": _plain(name),
            "x-td-email": _plain(email),
            "x-td-role": _plain(user.role),
            "x-td-plan": _plain(plan),
            "x-td-identity": self._token(who, now),
        }

    def _token(self, who: dict[str, str], now: datetime) -> str:
        key = active(self._keys.identity_keys(), now)
        if key is None:
            raise NoIdentityKeyError("there is no identity key; the operator makes them")
        at, index = now.timestamp(), (key.id, *who.values())
        known = self._signed.get(index)
        if known is not None and 0 <= at - known[0] < REUSED:
            return known[1]
        issued = int(at)
        claims: dict[str, Any] = {**who, "iat": issued, "exp": issued + LIFE}
        token = jwt.encode({"alg": "ES256", "kid": key.id, "typ": "JWT"}, claims, _private(key))
        self._signed[index] = (at, token)
        self._signed.move_to_end(index)
        while len(self._signed) > _KEPT:
            self._signed.popitem(last=False)
        return token


@lru_cache(maxsize=8192)
def _plain(text: str) -> str:
    return quote(text, safe="@", errors="replace")


@lru_cache(maxsize=16)
def _private(key: Key) -> ECKey:
    return ECKey.import_key(json.loads(key.jwk.get_secret_value()))
