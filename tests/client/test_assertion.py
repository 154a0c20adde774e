"""The client assertion, verified by someone else's code: cryptography alone, from the public key."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from talkdesk_client import Credentials, UnusableCredentials
from talkdesk_client.assertion import audience, client_assertion

TOKEN_URL = "https://acme.talkdeskid.eu/oauth/token"
HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _verify(assertion: str, public: Any, algorithm: str) -> None:
    signed, _, last = assertion.rpartition(".")
    signature, digest = _decode(last), HASHES[algorithm[2:]]
    if algorithm.startswith("ES"):
        half = len(signature) // 2
        assert half == (public.curve.key_size + 7) // 8
        der = encode_dss_signature(int.from_bytes(signature[:half]), int.from_bytes(signature[half:]))
        public.verify(der, signed.encode(), ec.ECDSA(digest))
    else:
        pss = padding.PSS(mgf=padding.MGF1(digest), salt_length=digest.digest_size)
        public.verify(signature, signed.encode(), pss, digest)


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512", "PS256", "PS384", "PS512"])
def test_every_algorithm_signs_what_the_public_key_verifies(private_keys: Any, algorithm: str) -> None:
    credentials = Credentials(
        client_id="client-1",
        private_key=private_keys.base64(algorithm),
        key_id="kid-1",
        key_algorithm=algorithm,
    )
    assertion = client_assertion(credentials, audience=TOKEN_URL, now=1_780_000_000.9).get_secret_value()

    _verify(assertion, private_keys[algorithm].public_key(), algorithm)
    header, claims = (json.loads(_decode(part)) for part in assertion.split(".")[:2])
    assert (header["alg"], header["kid"]) == (algorithm, "kid-1")
    assert claims.pop("jti")
    assert claims == {
        "iss": "client-1",
        "sub": "client-1",
        "aud": TOKEN_URL,
        "iat": 1_779_999_970,  # whoever verifies it may be behind
        "exp": 1_780_000_270,
    }


def test_no_two_assertions_share_a_jti(private_keys: Any) -> None:
    credentials = Credentials(client_id="c", private_key=private_keys.base64("ES256"), key_id="k")
    made = [client_assertion(credentials, audience=TOKEN_URL, now=0).get_secret_value() for _ in range(20)]
    assert len({json.loads(_decode(one.split(".")[1]))["jti"] for one in made}) == 20


def test_the_audience_is_the_token_url_or_its_origin() -> None:
    assert audience(TOKEN_URL, "token_url") == TOKEN_URL
    assert audience(TOKEN_URL, "origin") == "https://acme.talkdeskid.eu"


@pytest.mark.parametrize("missing", ["private_key", "key_id"])
def test_incomplete_credentials_say_what_is_missing(private_keys: Any, missing: str) -> None:
    parts = {"client_id": "c", "private_key": private_keys.base64("ES256"), "key_id": "k"} | {missing: " "}
    with pytest.raises(UnusableCredentials, match=missing):
        client_assertion(Credentials(**parts), audience=TOKEN_URL, now=0)
