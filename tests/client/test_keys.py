"""A private key is read in whatever form it comes, and never shown in any."""

from __future__ import annotations

import base64
import textwrap
import traceback
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from talkdesk_client import UnusableCredentials
from talkdesk_client.keys import algorithm_for, load_private_key

ALGORITHMS = ["ES256", "ES384", "ES512", "PS256", "PS384", "PS512"]


@st.composite
def wrappings(draw: st.DrawFn) -> Any:
    """A function from Base64 in one line to the same, as somebody may have laid it out."""
    width = draw(st.sampled_from([0, 1, 19, 64, 76]))
    ending = draw(st.sampled_from(["\n", "\r\n", "\r", "\\n", "\\r\\n", "\n\n", " ", "\n\t"]))
    armour = draw(st.sampled_from(["", "PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"]))
    safe = draw(st.booleans())
    padded = draw(st.booleans())
    around = draw(st.sampled_from(["", "\n", "  ", "\r\n"]))

    def lay_out(text: str) -> str:
        if safe:
            text = text.translate(str.maketrans("+/", "-_"))
        if not padded:
            text = text.rstrip("=")
        lines = textwrap.wrap(text, width) if width else [text]
        if armour:
            lines = [f"-----BEGIN {armour}-----", *lines, f"-----END {armour}-----"]
        return around + ending.join(lines) + around

    return lay_out


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(lay_out=wrappings(), algorithm=st.sampled_from(["ES256", "ES384", "ES512", "PS256"]))
def test_every_layout_of_a_key_gives_the_same_key(private_keys: Any, lay_out: Any, algorithm: str) -> None:
    loaded = load_private_key(SecretStr(lay_out(private_keys.base64(algorithm))))
    assert loaded.private_numbers() == private_keys[algorithm].private_numbers()


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512", "PS256"])
def test_the_older_container_and_a_whole_pem_in_base64_are_read_too(
    private_keys: Any, algorithm: str
) -> None:
    key = private_keys[algorithm]
    old = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    twice = base64.b64encode(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())).decode()
    for text in (old, twice):
        assert load_private_key(SecretStr(text)).private_numbers() == key.private_numbers()


def _encrypted() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"password"))
    return base64.b64encode(der).decode()


def _of_another_kind() -> str:
    key = ed25519.Ed25519PrivateKey.generate()
    return base64.b64encode(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())).decode()


@pytest.mark.parametrize(
    "text",
    [
        "CANARY",
        "CANARY===",
        "CANARY é",
        "-----BEGIN PRIVATE KEY-----\nCANARY\n-----END PRIVATE KEY-----",
        "{CANARY}",
    ],
)
def test_what_is_no_key_is_refused_without_showing_any_of_it(text: str) -> None:
    with pytest.raises(UnusableCredentials) as caught:
        load_private_key(SecretStr(text))
    assert "CANARY" not in "".join(traceback.format_exception(caught.value))


def test_an_encrypted_key_and_one_of_another_kind_are_refused() -> None:
    for text in (_encrypted(), _of_another_kind()):
        with pytest.raises(UnusableCredentials):
            load_private_key(SecretStr(text))


@pytest.mark.parametrize("announced", ALGORITHMS)
@pytest.mark.parametrize("held", ["ES256", "ES384", "ES512", "PS256"])
def test_an_algorithm_is_used_only_with_the_key_it_is_for(
    private_keys: Any, announced: str, held: str
) -> None:
    if announced == held or (announced[:2] == held[:2] == "PS"):
        assert algorithm_for(private_keys[held], announced) == announced
    else:
        with pytest.raises(UnusableCredentials, match="does not go with"):
            algorithm_for(private_keys[held], announced)


@pytest.mark.parametrize("announced", ["none", "HS256", "RS256", "es256", "EdDSA"])
def test_an_algorithm_talkdesk_does_not_name_is_refused(private_keys: Any, announced: str) -> None:
    for held in ("ES256", "PS256"):
        with pytest.raises(UnusableCredentials):
            algorithm_for(private_keys[held], announced)


def test_without_an_announced_algorithm_the_key_decides(private_keys: Any) -> None:
    held = {name: algorithm_for(private_keys[name], None) for name in ("ES256", "ES384", "ES512", "PS384")}
    assert held == {"ES256": "ES256", "ES384": "ES384", "ES512": "ES512", "PS384": "PS256"}


def test_a_short_rsa_key_and_a_foreign_curve_are_refused() -> None:
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 # its being short is the point
    foreign = ec.generate_private_key(ec.SECP256K1())
    for key in (short, foreign):
        with pytest.raises(UnusableCredentials):
            algorithm_for(key, None)
