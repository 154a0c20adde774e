"""The client assertion of ``private_key_jwt`` (RFC 7523; https://docs.talkdesk.com/docs/signed-jwt)."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from pydantic import SecretStr

from talkdesk_client.errors import UnusableCredentials
from talkdesk_client.keys import algorithm_for, load_private_key

if TYPE_CHECKING:
    from typing import Literal

    from talkdesk_client.credentials import Credentials

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#: Seconds an assertion is good for; Talkdesk's own samples use five minutes.
LIFE = 300
#: How much earlier it says that it was issued, in seconds: clocks differ, and the future is refused.
EARLIER = 30


def audience(token_url: str, form: Literal["token_url", "origin"]) -> str:
    """``aud``: the (checked) token URL as the link has it, or only its scheme and host."""
    if form == "token_url":
        return token_url
    parts = urlsplit(token_url)
    return f"{parts.scheme}://{parts.netloc}"


def client_assertion(credentials: Credentials, *, audience: str, now: float) -> SecretStr:
    """A signed JWT, good once (``jti``); ``now`` is in seconds since 1970.

    It is dated :data:`EARLIER` seconds back, and ends :data:`LIFE` seconds after that date.

    UnusableCredentials when key, key id or algorithm are missing or do not belong together.
    """
    if credentials.private_key is None or credentials.key_id is None:
        missing = "private_key" if credentials.private_key is None else "key_id"
        raise UnusableCredentials(f"the credentials hold no {missing}, which private_key_jwt needs")
    key = load_private_key(credentials.private_key)
    algorithm = algorithm_for(key, credentials.key_algorithm)
    issued = int(now) - EARLIER
    return SecretStr(
        jwt.encode(
            {"alg": algorithm, "kid": credentials.key_id},
            {
                "jti": str(uuid.uuid4()),
                "iss": credentials.client_id,
                "sub": credentials.client_id,
                "aud": audience,
                "iat": issued,
                "exp": issued + LIFE,
            },
            ECKey(key, key) if isinstance(key, ec.EllipticCurvePrivateKey) else RSAKey(key, key),
            algorithms=[algorithm],
        )
    )
