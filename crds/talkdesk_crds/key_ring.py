"""The keys of the gateway: a Secret that the operator makes and turns, and the gateway watches.

Data key ``keys.json``: a JSON list of keys, oldest first. The newest key that has been there for
:data:`SPREADING` seals or signs; every key in the list opens or verifies. A key is dropped once nothing that
it sealed can still be good. Deleting the Secret signs everybody out: the operator makes another at once.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from talkdesk_crds.meta import parse_time, time

if TYPE_CHECKING:
    from collections.abc import Mapping

DATA_KEY = "keys.json"
SECRET_TYPE = "talkdesk-operator.io/keys"  # noqa: S105 - a type's name
#: How long a new key is only known before it is used: until then every replica has seen it.
SPREADING = timedelta(minutes=5)


class UnreadableKeys(ValueError):  # noqa: N818 - named after what it says
    """A Secret that holds no list of keys; the message shows none of it."""


@dataclass(frozen=True)
class Key:
    """One key: ``jwk`` is a JSON Web Key (``oct`` of 256 bits for sessions, ``EC`` P-256 for identity)."""

    id: str
    made_at: datetime
    jwk: SecretStr


def active(keys: tuple[Key, ...], now: datetime) -> Key | None:
    """The key to seal or sign with; None where there is none. Pure.

    The oldest one where all are new: there is nothing else that others may know.
    """
    if not keys:
        return None
    known = [key for key in keys if key.made_at + SPREADING <= now]
    return max(known, key=lambda key: key.made_at) if known else min(keys, key=lambda key: key.made_at)


def render(keys: tuple[Key, ...]) -> dict[str, str]:
    """``data`` of the Secret."""
    listed = [
        {"id": key.id, "madeAt": time(key.made_at), "jwk": json.loads(key.jwk.get_secret_value())}
        for key in keys
    ]
    return {DATA_KEY: base64.b64encode(json.dumps(listed).encode()).decode()}


def parse(secret: Mapping[str, Any]) -> tuple[Key, ...]:
    """The keys in a Secret. Raises UnreadableKeys, which names the Secret and shows nothing of it."""
    try:
        listed = json.loads(base64.b64decode((secret.get("data") or {})[DATA_KEY], validate=True))
        return tuple(
            Key(id=str(one["id"]), made_at=parse_time(one["madeAt"]), jwk=SecretStr(json.dumps(one["jwk"])))
            for one in listed
        )
    except (KeyError, TypeError, ValueError, binascii.Error):
        name = (secret.get("metadata") or {}).get("name")
        raise UnreadableKeys(f"Secret {name} holds no list of keys under {DATA_KEY}") from None
