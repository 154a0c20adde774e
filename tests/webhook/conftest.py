"""Signing as Talkdesk may do it, and events in the documented shapes."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

KeyForm = Literal["pem", "pem-base64", "spki", "point"]
SignatureForm = Literal["der", "raw"]

HASHES = {"sha512": hashes.SHA512(), "sha384": hashes.SHA384(), "sha256": hashes.SHA256()}
CURVES: dict[str, ec.EllipticCurve] = {
    "p256": ec.SECP256R1(),
    "p384": ec.SECP384R1(),
    "p521": ec.SECP521R1(),
    "secp256k1": ec.SECP256K1(),
}


@dataclass(frozen=True)
class Signer:
    """A signing key of Talkdesk's."""

    private: ec.EllipticCurvePrivateKey

    def public(self, form: KeyForm) -> str:
        """``public_key`` as the gateway answers it."""
        key = self.private.public_key()
        if form == "point":
            return base64.b64encode(key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)).decode()
        if form == "spki":
            return base64.b64encode(
                key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            ).decode()
        pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return pem.decode() if form == "pem" else base64.b64encode(pem).decode()

    def sign(self, body: bytes, *, form: SignatureForm = "der", hash_name: str = "sha512") -> str:
        """The signature header."""
        der = self.private.sign(body, ec.ECDSA(HASHES[hash_name]))
        if form == "der":
            return der.hex()
        size = (self.private.curve.key_size + 7) // 8
        return b"".join(number.to_bytes(size) for number in decode_dss_signature(der)).hex()


@pytest.fixture(scope="session")
def signers() -> dict[str, Signer]:
    """One signer a curve."""
    return {name: Signer(ec.generate_private_key(curve)) for name, curve in CURVES.items()}


EventMaker = Callable[..., dict[str, Any]]


@pytest.fixture
def make_event() -> EventMaker:
    """A function that makes the JSON of an event: its type, then fields of ``data``."""
    numbers = itertools.count(1)

    def make(
        event_type: str,
        *,
        envelope: dict[str, Any] | None = None,
        links: dict[str, Any] | None = None,
        **data: Any,
    ) -> dict[str, Any]:
        number = next(numbers)
        return {
            "id": f"{number:032x}",
            "created_at": f"2026-01-05T10:{number // 60:02}:{number % 60:02}Z",
            "api_version": "1",
            "type": event_type,
            "app_id": "a1",
            "app_version_id": "b2",
            "app_version_name": "1.4.0",
            "data": {"installation_id": "c3", "account_id": "d4", "account_name": "acme"} | data,
            "_links": {"root": {"href": "https://api.talkdeskapp.eu"}} | (links or {}),
        } | (envelope or {})

    return make


@pytest.fixture
def as_bytes() -> Callable[[Any], bytes]:
    """Compact JSON, as sent."""
    return lambda value: json.dumps(value, separators=(",", ":")).encode()


@pytest.fixture(scope="session")
def credentials() -> dict[str, str]:
    """The credentials part of ``data``."""
    return {
        "client_id": "e5",
        "client_secret": "s3cret",
        "private_key": "TUlHSEFnRUE=",
        "public_key": "TUZrd0V3WUg=",
        "key_id": "f6",
        "key_algorithm": "ES256",
    }
