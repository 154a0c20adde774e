"""Sealed values: what the gateway hands to a browser and takes back unread and unchanged.

Each is a JWE (``dir``, ``A256GCM``) under one of the session keys. The claim ``typ`` says what it is, so that
none serves as another; ``exp`` when it ends. Opening gives the claims or None, and never says why not.
"""

from __future__ import annotations

import json
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from talkdesk_crds.key_ring import active

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from talkdesk_crds.key_ring import Key

#: Nothing longer is looked at: browsers keep no cookie of more than 4,096 bytes.
MAX_LENGTH = 8192

_ALGORITHMS = ["dir", "A256GCM"]


class Kind(StrEnum):
    """What a sealed value is."""

    LOGIN = "login"
    STATE = "state"
    TICKET = "ticket"
    SESSION = "session"
    USE = "use"


class NoKeysError(Exception):
    """There is no session key (yet): nothing can be sealed. Say 503 and let the browser come again."""


def seal(
    kind: Kind, claims: Mapping[str, Any], *, keys: tuple[Key, ...], now: datetime, life: timedelta
) -> str:
    """``claims`` (JSON) as a value that only :func:`unseal` can read, for ``life``. Raises NoKeysError."""
    key = active(keys, now)
    if key is None:
        raise NoKeysError("there is no session key; the operator makes them")
    body = {**claims, "typ": kind.value, "exp": (now + life).timestamp()}
    header = {"alg": "dir", "enc": "A256GCM", "kid": key.id}
    return jwe.encrypt_compact(header, json.dumps(body, separators=(",", ":")).encode(), _oct(key))


def unseal(kind: Kind, sealed: str | None, *, keys: tuple[Key, ...], now: datetime) -> dict[str, Any] | None:
    """The claims of a value of this ``kind`` that has not ended; None for everything else."""
    if not sealed or len(sealed) > MAX_LENGTH or not sealed.isascii():
        return None
    try:
        found = jwe.decrypt_compact(sealed, lambda opened: _key_of(opened, keys), algorithms=_ALGORITHMS)
        claims = json.loads(found.plaintext or b"")
        good = claims["typ"] == kind.value and now.timestamp() < claims["exp"]
    except (JoseError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return claims if good else None


def _key_of(opened: Any, keys: tuple[Key, ...]) -> OctKey:
    kid = opened.headers()["kid"]
    for key in keys:
        if key.id == kid:
            return _oct(key)
    raise KeyError(kid)


@lru_cache(maxsize=64)
def _oct(key: Key) -> OctKey:
    return OctKey.import_key(json.loads(key.jwk.get_secret_value()))
