"""Key material: an installation's credentials, and the keys Talkdesk signs its deliveries with."""

from __future__ import annotations

import base64
import hashlib
import secrets
import textwrap
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from talkdesk_sandbox.talkdesk.model import Credential

if TYPE_CHECKING:
    from talkdesk_sandbox.talkdesk.switches import Curve, KeyAlgorithm, Switches

_JOSE_CURVES: dict[str, type[ec.EllipticCurve]] = {
    "ES256": ec.SECP256R1,
    "ES384": ec.SECP384R1,
    "ES512": ec.SECP521R1,
}
_CURVES: dict[Curve, type[ec.EllipticCurve]] = {
    "p256": ec.SECP256R1,
    "p384": ec.SECP384R1,
    "p521": ec.SECP521R1,
    "secp256k1": ec.SECP256K1,
}
_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "sha512": hashes.SHA512,
    "sha384": hashes.SHA384,
    "sha256": hashes.SHA256,
}


def new_id() -> str:
    """32 hex digits: apps, installations, events, versions, clients, keys."""
    return secrets.token_hex(16)


def short_id() -> str:
    """24 hex digits: users, accounts."""
    return secrets.token_hex(12)


def digest(secret: str) -> bytes:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).digest()


def new_credentials(switches: Switches) -> tuple[Credential, dict[str, Any]]:
    """A set of credentials: what Talkdesk keeps, and the part of the event's data that hands it over."""
    algorithm: KeyAlgorithm = switches.key_algorithm
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    if algorithm in _JOSE_CURVES:
        key = ec.generate_private_key(_JOSE_CURVES[algorithm]())
    else:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    client_secret = secrets.token_urlsafe(48)
    credential = Credential(
        client_id=new_id(),
        secret_digest=digest(client_secret),
        public_key=base64.b64encode(public).decode(),
        key_id=new_id(),
        key_algorithm=algorithm,
    )
    return credential, {
        "client_id": credential.client_id,
        "client_secret": client_secret,
        "private_key": _written(private, label="PRIVATE KEY", form=switches.credential_key),
        "public_key": _written(public, label="PUBLIC KEY", form=switches.credential_key),
        "key_id": credential.key_id,
        "key_algorithm": algorithm,
    }


def _written(der: bytes, *, label: str, form: str) -> str:
    text = base64.b64encode(der).decode()
    if form == "base64":
        return text
    wrapped = "\n".join(textwrap.wrap(text, 64))
    return wrapped if form == "wrapped" else f"-----BEGIN {label}-----\n{wrapped}\n-----END {label}-----\n"


@dataclass(frozen=True, kw_only=True)
class SigningKey:
    """A key that signs deliveries. ``form`` is how its public half is published: fixed at its birth,
    for receivers keep it by its id. ``region`` is the only gateway that serves it; None: all do."""

    id: str
    region: str | None
    curve: Curve
    form: str
    created_at: datetime
    expires_at: datetime
    private: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def public_key(self) -> str:
        """The published ``public_key``."""
        public = self.private.public_key()
        if self.form == "point":
            return base64.b64encode(
                public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
            ).decode()
        encoding = serialization.Encoding.PEM if self.form == "pem" else serialization.Encoding.DER
        shown = public.public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
        return shown.decode() if self.form == "pem" else base64.b64encode(shown).decode()

    def sign(self, body: bytes, *, switches: Switches) -> str:
        """ECDSA over ``body``, in hex, DER or r‖s as switched."""
        der = self.private.sign(body, ec.ECDSA(_HASHES[switches.signature_hash]()))
        if switches.signature_encoding == "der":
            return der.hex()
        size = (self.private.curve.key_size + 7) // 8
        r, s = decode_dss_signature(der)
        return (r.to_bytes(size, "big") + s.to_bytes(size, "big")).hex()

    def fits(self, *, now: datetime, switches: Switches) -> bool:
        """Whether new deliveries are still signed with it: until four fifths of its life."""
        turn = self.created_at + (self.expires_at - self.created_at) * 0.8
        return now < turn and self.curve == switches.signature_curve and self.form == switches.key_encoding


def new_signing_key(
    *, region: str | None, now: datetime, switches: Switches, expires_at: datetime | None = None
) -> SigningKey:
    """A fresh signing key of the switched curve and form."""
    return SigningKey(
        id=new_id(),
        region=region,
        curve=switches.signature_curve,
        form=switches.key_encoding,
        created_at=now,
        expires_at=expires_at or now + timedelta(seconds=switches.signing_key_seconds),
        private=ec.generate_private_key(_CURVES[switches.signature_curve]()),
    )
