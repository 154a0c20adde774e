"""Is this body Talkdesk's? ECDSA over the raw bytes, in every form Talkdesk may mean.

Talkdesk documents "ECDSA with SHA-512", a hex signature and a Base64 public key, but neither the curve, nor
whether the signature is DER or raw ``r‖s``, nor whether the key is an SPKI or a bare curve point. All of them
are accepted here; which one is meant can always be told from the bytes, except for a point of 65 bytes, whose
curve is a setting.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final, Literal, TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key

HashName: TypeAlias = Literal["sha512", "sha384", "sha256"]
Point65: TypeAlias = Literal["p256", "secp256k1"]
PublicKey: TypeAlias = ec.EllipticCurvePublicKey

#: Longest signature header that is looked at, in characters (DER over P-521 needs 282).
MAX_SIGNATURE_CHARS: Final = 512

_HASHES: Final[dict[HashName, hashes.HashAlgorithm]] = {
    "sha512": hashes.SHA512(),
    "sha384": hashes.SHA384(),
    "sha256": hashes.SHA256(),
}
_POINT65: Final[dict[Point65, ec.EllipticCurve]] = {"p256": ec.SECP256R1(), "secp256k1": ec.SECP256K1()}
_CURVES: Final = (ec.SECP256R1, ec.SECP256K1, ec.SECP384R1, ec.SECP521R1)
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_PEM: Final = b"-----BEGIN"


class UnreadableKeyError(ValueError):
    """A public key is in none of the accepted forms. The message never holds the key."""


def load_public_key(text: str, *, point65: Point65 = "p256") -> PublicKey:
    """The key that Talkdesk's ``public_key`` means: Base64 of PEM, else of SPKI DER, else of a bare point.

    PEM may also stand there as it is. A point is uncompressed: 65 bytes (curve by ``point65``), 97 (P-384) or
    133 (P-521). Raises UnreadableKeyError for anything else, other algorithms and curves included.
    """
    raw = text.strip().encode("utf-8", "replace")
    if not raw.startswith(_PEM):
        raw = _from_base64(raw)
    try:
        if raw.lstrip().startswith(_PEM):
            key: object = load_pem_public_key(raw.strip())
        elif (curve := _point_curve(raw, point65)) is not None:
            key = ec.EllipticCurvePublicKey.from_encoded_point(curve, raw)
        else:
            key = load_der_public_key(raw)
    except (ValueError, UnsupportedAlgorithm):
        raise UnreadableKeyError(
            "public_key is neither PEM, nor an SPKI, nor a point of a known curve"
        ) from None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise UnreadableKeyError(f"public_key is a {type(key).__name__}, not an elliptic curve key")
    if not isinstance(key.curve, _CURVES):
        raise UnreadableKeyError(f"public_key is on curve {key.curve.name}, which is not accepted")
    return key


def verify(*, key: PublicKey, signature: str, body: bytes, hash_name: HashName = "sha512") -> bool:
    """True if ``signature`` (hex; DER, else raw ``r‖s``) is ``key``'s over exactly ``body``; never raises."""
    text = signature.strip()
    if len(text) > MAX_SIGNATURE_CHARS or not _HEX.fullmatch(text):
        return False
    given = bytes.fromhex(text)
    algorithm = ec.ECDSA(_HASHES[hash_name])
    candidates = [given]
    half = (key.curve.key_size + 7) // 8
    if len(given) == 2 * half:
        # About one raw signature in 65,000 looks like the start of a DER one, so both readings are tried.
        r, s = int.from_bytes(given[:half]), int.from_bytes(given[half:])
        candidates.append(encode_dss_signature(r, s))
    for candidate in candidates:
        try:
            key.verify(candidate, body, algorithm)
        except (InvalidSignature, ValueError):
            continue
        return True
    return False


def is_slow(key: PublicKey, body: bytes) -> bool:
    """True where verifying takes long enough (about a millisecond) to be done beside the event loop."""
    return key.curve.key_size > 256 or len(body) > 256 * 1024


def _from_base64(raw: bytes) -> bytes:
    """Base64 in either alphabet, with or without padding and line breaks."""
    compact = b"".join(raw.split()).rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    try:
        return base64.b64decode(compact + b"=" * (-len(compact) % 4), validate=True)
    except binascii.Error:
        raise UnreadableKeyError("public_key is not Base64") from None


def _point_curve(raw: bytes, point65: Point65) -> ec.EllipticCurve | None:
    if not raw.startswith(b"\x04"):
        return None
    match len(raw):
        case 65:
            return _POINT65[point65]
        case 97:
            return ec.SECP384R1()
        case 133:
            return ec.SECP521R1()
        case _:
            return None
