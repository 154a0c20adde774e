"""Client authentication and access tokens: what a token request must prove, and what a token is good for.

The checks are Talkdesk's side of private_key_jwt (RFC 7523) and are written from its documents alone; they
share no code with the product's client.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import math
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from talkdesk_sandbox.talkdesk.keys import digest, new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from talkdesk_sandbox.talkdesk.model import Credential
    from talkdesk_sandbox.talkdesk.switches import Switches

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LONGEST_ASSERTION_SECONDS = 300


class TokenRefusedError(Exception):
    """The token endpoint's refusal, as ``{error, error_description}``."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.error = error
        self.description = description


@dataclass(frozen=True, kw_only=True)
class Grant:
    """An access token's meaning; ``user_id`` is whom it speaks for, None for a client's own."""

    installation_id: str
    account_id: str
    region: str
    client_id: str
    scopes: tuple[str, ...]
    expires_at: datetime
    user_id: str | None = None


class SeenAssertions:
    """Which ``jti`` a client has used, until its assertion could not be used again anyway."""

    def __init__(self) -> None:
        self._until: dict[tuple[str, str], float] = {}

    def first_use(self, client_id: str, jti: str, *, until: float, now: float) -> bool:
        """Remember this use; False if there was one before."""
        if len(self._until) > 10_000:
            self._until = {key: end for key, end in self._until.items() if end >= now}
        if self._until.get((client_id, jti), 0.0) >= now:
            return False
        self._until[client_id, jti] = until
        return True


def check_assertion(
    assertion: str,
    *,
    credential_of: Callable[[str], Credential | None],
    audiences: tuple[str, ...],
    seen: SeenAssertions,
    leeway: float,
    now: float,
) -> Credential:
    """The credentials that signed ``assertion``. ``now`` is wall time: it is the client's clock too.

    Raises :class:`TokenRefusedError` with 401 ``invalid_client`` and what is wrong.
    """
    parsed, claims = _parsed(assertion)
    issuer = claims.get("iss")
    credential = credential_of(issuer) if isinstance(issuer, str) else None
    if not isinstance(issuer, str) or credential is None:
        raise _unknown("iss is no client of this account")
    _check_signature(parsed, credential=credential)
    if claims.get("sub") != issuer:
        raise _unknown("sub must equal iss")
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    if not any(one in audiences for one in named):
        raise _unknown(f"aud must be {' or '.join(audiences)}")
    expires_at = _check_times(claims, leeway=leeway, now=now)
    jti = claims.get("jti")
    if not isinstance(jti, str) or not jti:
        raise _unknown("jti is missing")
    if not seen.first_use(issuer, jti, until=expires_at + leeway, now=now):
        raise _unknown("jti was used before")
    return credential


def _parsed(assertion: str) -> tuple[jws.CompactSignature, dict[str, Any]]:
    """A compact JWS and its claims, neither trusted yet."""
    try:
        parsed = jws.extract_compact(assertion.encode("ascii"))
        claims = json.loads(parsed.payload or b"")
    except (JoseError, ValueError, RecursionError):
        raise _unknown("client_assertion is no signed JWT") from None
    if not isinstance(claims, dict):
        raise _unknown("claims are no JSON object")
    return parsed, claims


def _check_signature(parsed: jws.CompactSignature, *, credential: Credential) -> None:
    """Header and signature are of exactly this client's key."""
    header = parsed.headers()
    if header.get("alg") != credential.key_algorithm:
        raise _unknown(f"alg must be {credential.key_algorithm}")
    if header.get("kid") != credential.key_id:
        raise _unknown("kid is not this client's key_id")
    try:
        genuine = jws.validate_compact(parsed, _public_key(credential), algorithms=[credential.key_algorithm])
    except (JoseError, ValueError):
        genuine = False
    if not genuine:
        raise _unknown("signature does not match the client's key")


def _check_times(claims: Mapping[str, Any], *, leeway: float, now: float) -> float:
    """``exp``, once it and ``iat`` are in order."""
    issued_at, expires_at = _time(claims, "iat"), _time(claims, "exp")
    if issued_at > now + leeway:
        raise _unknown("iat is in the future")
    if expires_at <= now - leeway:
        raise _unknown("assertion has expired")
    if expires_at > issued_at + LONGEST_ASSERTION_SECONDS + leeway:
        raise _unknown(f"exp is more than {LONGEST_ASSERTION_SECONDS} s after iat")
    if "nbf" in claims and _time(claims, "nbf") > now + leeway:
        raise _unknown("nbf is in the future")
    return expires_at


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _unknown(f"{name} must be a number")
    return float(value)


def _public_key(credential: Credential) -> ECKey | RSAKey:
    der = base64.b64decode(credential.public_key)
    pem = serialization.load_der_public_key(der).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return (ECKey if credential.key_algorithm.startswith("ES") else RSAKey).import_key(pem)


def check_basic(header: str, *, credential_of: Callable[[str], Credential | None]) -> Credential:
    """The credentials named by an ``Authorization: Basic`` value. Raises :class:`TokenRefusedError`."""
    try:
        plain = base64.b64decode(header.removeprefix("Basic "), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise _unknown("Authorization is no Basic credentials") from None
    name, _, secret = plain.partition(":")
    credential = credential_of(unquote_plus(name))
    if credential is None:
        raise _unknown("no client of this account")
    if not hmac.compare_digest(digest(unquote_plus(secret)), credential.secret_digest):
        raise _unknown("client secret does not match")
    return credential


def granted_scopes(asked: str | None, *, allowed: tuple[str, ...]) -> tuple[str, ...]:
    """The scopes asked for, or all granted ones. Raises :class:`TokenRefusedError` with 400."""
    if not asked:
        return allowed
    wanted = tuple(dict.fromkeys(asked.split()))
    foreign = [scope for scope in wanted if scope not in allowed]
    if foreign:
        raise TokenRefusedError(
            400, "invalid_scope", f"not granted to this installation: {' '.join(foreign)}"
        )
    return wanted


def allowed_audiences(identity: str, *, switches: Switches) -> tuple[str, ...]:
    """What ``aud`` may be on the identity host ``identity`` (base URL)."""
    full = f"{identity}/oauth/token"
    return {"full-url": (full,), "host": (identity,), "either": (full, identity)}[switches.audience]


class Issuer:
    """The identity provider: signs access tokens, publishes its key, and knows what it has issued."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._kid = new_id()
        self._jose_key = ECKey.import_key(
            self._key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        self._grants: dict[bytes, Grant] = {}

    def certs(self) -> dict[str, Any]:
        """The JSON Web Key Set."""
        public = self._jose_key.as_dict(private=False)
        return {"keys": [{**public, "use": "sig", "alg": "ES256", "kid": self._kid}]}

    def issue(self, grant: Grant, *, issuer: str, now: datetime, switches: Switches) -> str:
        """A new access token for ``grant``."""
        if switches.token_form == "opaque":  # noqa: S105 - a format's name
            token = secrets.token_urlsafe(32)
        else:
            token = jwt.encode(
                {"alg": "ES256", "kid": self._kid, "typ": "JWT"},
                {
                    "iss": issuer,
                    "aud": "https://api.talkdesk",
                    "iat": int(now.timestamp()),
                    "exp": int(grant.expires_at.timestamp()),
                    "jti": new_id(),
                    "cid": grant.client_id,
                    "aid": grant.account_id,
                    "scp": list(grant.scopes),
                    "reg": grant.region,
                    **({} if grant.user_id is None else {"sub": grant.user_id}),
                },
                self._jose_key,
            )
        self._grants[digest(token)] = grant
        return token

    def id_token(self, claims: dict[str, Any], *, issuer: str, now: datetime, switches: Switches) -> str:
        """A signed ID token; it lives as long as the access token beside it."""
        times = {"iat": int(now.timestamp()), "exp": int(expiry(now, switches=switches).timestamp())}
        header = {"alg": "ES256", "kid": self._kid, "typ": "JWT"}
        return jwt.encode(header, {"iss": issuer, **claims, **times}, self._jose_key)

    def grant(self, token: str, *, now: datetime) -> Grant | None:
        """What ``token`` is good for, unless it is unknown or has expired."""
        key = digest(token)
        grant = self._grants.get(key)
        if grant and grant.expires_at <= now:
            # Told from an unknown one nowhere, so it need not be kept.
            del self._grants[key]
            return None
        return grant


def expiry(now: datetime, *, switches: Switches) -> datetime:
    """When a token issued ``now`` ends."""
    return now + timedelta(seconds=switches.token_seconds)


def _unknown(description: str) -> TokenRefusedError:
    return TokenRefusedError(401, "invalid_client", description)
