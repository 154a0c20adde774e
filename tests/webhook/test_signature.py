"""Every form of signature and key that Talkdesk may mean is accepted; nothing else is."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from talkdesk_webhook.signature import UnreadableKeyError, is_slow, load_public_key, verify

if TYPE_CHECKING:
    from talkdesk_webhook.signature import PublicKey

BODY = b'{"id":"1","type":"app.installed"}'
CURVES = ["p256", "p384", "p521", "secp256k1"]
KEY_FORMS = ["pem", "pem-base64", "spki", "point"]
SIGNATURE_FORMS = ["der", "raw"]


def _load(signer: Any, form: str, curve: str) -> PublicKey:
    return load_public_key(signer.public(form), point65="secp256k1" if curve == "secp256k1" else "p256")


@pytest.mark.parametrize("hash_name", ["sha512", "sha384", "sha256"])
@pytest.mark.parametrize("signature_form", SIGNATURE_FORMS)
@pytest.mark.parametrize("key_form", KEY_FORMS)
@pytest.mark.parametrize("curve", CURVES)
def test_every_form_of_key_and_signature_is_accepted(
    signers: Any, curve: str, key_form: str, signature_form: str, hash_name: Any
) -> None:
    signer = signers[curve]
    key = _load(signer, key_form, curve)
    given_hex = signer.sign(BODY, form=signature_form, hash_name=hash_name)
    assert verify(key=key, signature=given_hex, body=BODY, hash_name=hash_name)
    assert verify(key=key, signature=f" {given_hex.upper()} ", body=BODY, hash_name=hash_name)


@pytest.mark.parametrize("signature_form", SIGNATURE_FORMS)
@pytest.mark.parametrize("curve", CURVES)
def test_each_corrupted_byte_of_a_signature_is_refused(signers: Any, curve: str, signature_form: str) -> None:
    signer = signers[curve]
    key = _load(signer, "spki", curve)
    good = bytes.fromhex(signer.sign(BODY, form=signature_form))
    for position in range(len(good)):
        bad = bytearray(good)
        bad[position] ^= 1
        assert not verify(key=key, signature=bad.hex(), body=BODY), position


@pytest.mark.parametrize("signature_form", SIGNATURE_FORMS)
@pytest.mark.parametrize("curve", CURVES)
def test_a_signature_cut_or_lengthened_is_refused(signers: Any, curve: str, signature_form: str) -> None:
    signer = signers[curve]
    key = _load(signer, "spki", curve)
    good = signer.sign(BODY, form=signature_form)
    for bad in ("", good[:-2], good[2:], good[:-1], good + "00", "00" + good, good + good, good + "zz"):
        assert not verify(key=key, signature=bad, body=BODY), bad


@pytest.mark.parametrize("curve", CURVES)
def test_each_corrupted_byte_of_the_body_is_refused(signers: Any, curve: str) -> None:
    signer = signers[curve]
    key = _load(signer, "point", curve)
    given_hex = signer.sign(BODY)
    for position in range(len(BODY)):
        bad = bytearray(BODY)
        bad[position] ^= 0x20
        assert not verify(key=key, signature=given_hex, body=bytes(bad)), position
    for bad_body in (b"", BODY[:-1], BODY + b" ", b"\xef\xbb\xbf" + BODY):
        assert not verify(key=key, signature=given_hex, body=bad_body)


def test_another_key_or_another_hash_refuses(signers: Any) -> None:
    given_hex = signers["p256"].sign(BODY)
    for curve in CURVES[1:]:
        assert not verify(key=_load(signers[curve], "spki", curve), signature=given_hex, body=BODY)
    key = _load(signers["p256"], "spki", "p256")
    assert not verify(key=key, signature=given_hex, body=BODY, hash_name="sha256")


def test_a_raw_signature_of_zeros_is_refused(signers: Any) -> None:
    key = _load(signers["p256"], "spki", "p256")
    for bad in ("00" * 64, "00" * 32 + "01" * 32, "ff" * 64):
        assert not verify(key=key, signature=bad, body=BODY)


@given(junk=st.one_of(st.text(), st.binary().map(bytes.hex)))
def test_nonsense_is_refused_and_never_raises(junk: str) -> None:
    key = ec.derive_private_key(7, ec.SECP256R1()).public_key()
    assert not verify(key=key, signature=junk, body=BODY)


def test_a_65_byte_point_is_read_on_the_curve_of_the_setting(signers: Any) -> None:
    text = signers["p256"].public("point")
    assert load_public_key(text).curve.name == "secp256r1"
    with pytest.raises(UnreadableKeyError):
        load_public_key(text, point65="secp256k1")


@pytest.mark.parametrize("alter", ["wrapped", "unpadded", "url-safe"])
def test_base64_may_be_wrapped_unpadded_or_url_safe(signers: Any, alter: str) -> None:
    text = signers["p256"].public("spki")
    changed = {
        "wrapped": "\n".join(text[i : i + 64] for i in range(0, len(text), 64)) + "\n",
        "unpadded": text.rstrip("="),
        "url-safe": text.replace("+", "-").replace("/", "_"),
    }[alter]
    assert load_public_key(changed).public_numbers() == load_public_key(text).public_numbers()


def test_keys_of_other_kinds_are_unreadable(signers: Any) -> None:
    spki = signers["p256"].public("spki")
    point = base64.b64decode(signers["p256"].public("point"))
    other_curve = ec.generate_private_key(ec.SECP224R1()).public_key()
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    encoded = [
        base64.b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
        for key in (other_curve, rsa_key)
    ]
    off_curve = base64.b64encode(point[:-1] + bytes([point[-1] ^ 1])).decode()
    short = base64.b64encode(point[:-1]).decode()
    for text in ["", "%%%", "AAAA", "\ud800", spki[:-8], off_curve, short, "-----BEGIN x", *encoded]:
        with pytest.raises(UnreadableKeyError):
            load_public_key(text)


@given(st.binary(max_size=200))
def test_no_bytes_make_reading_a_key_fail_in_another_way(raw: bytes) -> None:
    try:
        load_public_key(base64.b64encode(raw).decode())
    except UnreadableKeyError as error:
        assert "public_key" in str(error)  # noqa: PT017 - a random point may, just, be a key


def test_slow_verifications_are_told_from_fast_ones(signers: Any) -> None:
    assert not is_slow(_load(signers["p256"], "spki", "p256"), BODY)
    assert is_slow(_load(signers["p521"], "spki", "p521"), BODY)
    assert is_slow(_load(signers["p256"], "spki", "p256"), bytes(2**20))
