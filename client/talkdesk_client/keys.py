"""Private keys as Talkdesk hands them out: Base64 PKCS#8, armoured or bare, wrapped or in one line."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from talkdesk_client.errors import UnusableCredentials

if TYPE_CHECKING:
    from pydantic import SecretStr

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

#: Algorithm → curve, for ECDSA; the PS algorithms want RSA of at least 2048 bits.
CURVES = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}
RSA_ALGORITHMS = ("PS256", "PS384", "PS512")
MINIMUM_RSA_BITS = 2048

_ARMOUR = re.compile(r"-----[A-Z0-9 ]+-----")
_BLANK = re.compile(r"\\[rn]|\s")  # a line break may also have arrived as two characters
_ARMOURED_TWICE = b"-----BEGIN"


def load_private_key(private_key: SecretStr) -> PrivateKey:
    """The key in ``private_key``: Base64 (also URL-safe, padded or not) of PKCS#8, or of a PEM file.

    UnusableCredentials when there is no EC or RSA private key in it; the message never shows any of it.
    """
    key = _loaded(private_key)
    if key is None:
        raise UnusableCredentials(
            "private_key does not hold an unencrypted EC or RSA private key as Base64 PKCS#8; "
            "ask Talkdesk for new credentials"
        )
    return key


def algorithm_for(key: PrivateKey, announced: str | None) -> str:
    """The JWS algorithm to sign with: ``announced`` if ``key`` can do it; without one, what ``key`` implies.

    UnusableCredentials when the two do not belong together.
    """
    if isinstance(key, ec.EllipticCurvePrivateKey):
        able = [name for name, curve in CURVES.items() if curve == key.curve.name]
        kind = f"an EC key on {key.curve.name}"
    else:
        able = list(RSA_ALGORITHMS) if key.key_size >= MINIMUM_RSA_BITS else []
        kind = f"an RSA key of {key.key_size} bits"
    wanted = announced or (able[0] if able else "any supported algorithm")
    if wanted not in able:
        raise UnusableCredentials(f"key_algorithm {wanted[:32]!a} does not go with {kind}")
    return wanted


def _loaded(private_key: SecretStr) -> PrivateKey | None:
    """None instead of an exception: a traceback would hold the decoded key."""
    text = private_key.get_secret_value()
    for _ in range(2):
        der = _decoded(text)
        if der is None:
            return None
        if not der.lstrip().startswith(_ARMOURED_TWICE):
            return _parsed(der)
        text = der.decode("ascii", "replace")
    return None


def _decoded(text: str) -> bytes | None:
    bare = _BLANK.sub("", _ARMOUR.sub("", text)).translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True) or None
    except (binascii.Error, ValueError):
        return None


def _parsed(der: bytes) -> PrivateKey | None:
    try:
        key = serialization.load_der_private_key(der, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) else None
