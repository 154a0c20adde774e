"""Sealed values: what opens, and what does not."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwe
from joserfc.jwk import OctKey
from pydantic import SecretStr

from talkdesk_crds.key_ring import Key
from talkdesk_gateway.seal import MAX_LENGTH, Kind, NoKeysError, seal, unseal

NOW = datetime(2026, 1, 10, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def key(kid: str, age: timedelta = timedelta(days=1)) -> Key:
    """A session key made ``age`` ago."""
    return Key(kid, NOW - age, SecretStr(json.dumps(OctKey.generate_key(256).as_dict())))


KEYS = (key("a"),)
SEALED = seal(Kind.TICKET, {"user": "u1"}, keys=KEYS, now=NOW, life=HOUR)


def test_what_was_sealed_opens_until_it_ends() -> None:
    for moment in (NOW, NOW + HOUR - timedelta(seconds=1)):
        claims = unseal(Kind.TICKET, SEALED, keys=KEYS, now=moment)
        assert claims is not None
        assert claims["user"] == "u1"
    assert unseal(Kind.TICKET, SEALED, keys=KEYS, now=NOW + HOUR) is None


def test_none_serves_as_another() -> None:
    for one, other in permutations(Kind, 2):
        sealed = seal(one, {}, keys=KEYS, now=NOW, life=HOUR)
        assert unseal(one, sealed, keys=KEYS, now=NOW) is not None
        assert unseal(other, sealed, keys=KEYS, now=NOW) is None


def test_the_content_cannot_be_read_and_a_second_seal_is_another() -> None:
    assert b"u1" not in base64.urlsafe_b64decode(SEALED.split(".")[3] + "==")
    assert seal(Kind.TICKET, {"user": "u1"}, keys=KEYS, now=NOW, life=HOUR) != SEALED


def test_the_newest_key_that_everybody_knows_seals_and_every_key_opens() -> None:
    keys = (key("old"), key("used", HOUR), key("new", timedelta(seconds=10)))
    sealed = seal(Kind.STATE, {}, keys=keys, now=NOW, life=HOUR)
    assert json.loads(base64.urlsafe_b64decode(sealed.split(".")[0] + "=="))["kid"] == "used"
    assert unseal(Kind.STATE, sealed, keys=keys[1:], now=NOW) is not None
    assert unseal(Kind.STATE, sealed, keys=keys[2:], now=NOW) is None


def test_another_key_under_the_same_name_does_not_open() -> None:
    assert unseal(Kind.TICKET, SEALED, keys=(key("a"),), now=NOW) is None


def test_without_a_key_nothing_is_sealed() -> None:
    with pytest.raises(NoKeysError):
        seal(Kind.STATE, {}, keys=(), now=NOW, life=HOUR)


def test_another_algorithm_with_the_right_key_does_not_open() -> None:
    secret = OctKey.import_key(json.loads(KEYS[0].jwk.get_secret_value()))
    body = json.dumps({"typ": "ticket", "exp": NOW.timestamp() + 60}).encode()
    for algorithm, encryption in (("A256KW", "A256GCM"), ("A256GCMKW", "A256GCM"), ("A256KW", "A128GCM")):
        header = {"alg": algorithm, "enc": encryption, "kid": "a"}
        foreign = jwe.encrypt_compact(header, body, secret, algorithms=[algorithm, encryption])
        assert unseal(Kind.TICKET, foreign, keys=KEYS, now=NOW) is None


@pytest.mark.parametrize(
    "claims", [b"", b"[]", b"null", b"{}", b'{"typ":"ticket"}', b'{"typ":"ticket","exp":"soon"}', b"\xff"]
)
def test_content_that_is_none_of_ours_does_not_open(claims: bytes) -> None:
    secret = OctKey.import_key(json.loads(KEYS[0].jwk.get_secret_value()))
    sealed = jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM", "kid": "a"}, claims, secret)
    assert unseal(Kind.TICKET, sealed, keys=KEYS, now=NOW) is None


@pytest.mark.parametrize("nonsense", [None, "", ".", "....", "a.b.c.d.e", "é" * 5, "x" * (MAX_LENGTH + 1)])
def test_nonsense_does_not_open_and_raises_nothing(nonsense: str | None) -> None:
    assert unseal(Kind.TICKET, nonsense, keys=KEYS, now=NOW) is None


@given(st.text(max_size=60) | st.lists(st.text(max_size=20), min_size=5, max_size=5).map(".".join))
def test_no_text_raises(text: str) -> None:
    assert unseal(Kind.TICKET, text, keys=KEYS, now=NOW) is None


HEADERS = st.dictionaries(
    st.sampled_from(["alg", "enc", "kid", "zip", "crit", "b64", "p2s", "epk"]),
    st.sampled_from(["dir", "A256GCM", "a", "DEF", "none", "PBES2-HS256+A128KW"])
    | st.none()
    | st.integers()
    | st.lists(st.text(max_size=3), max_size=2),
)


@given(HEADERS)
def test_no_header_raises(header: dict[str, object]) -> None:
    forged = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    assert unseal(Kind.TICKET, ".".join([forged, *SEALED.split(".")[1:]]), keys=KEYS, now=NOW) is None


@given(st.integers(0, len(SEALED) - 1), st.sampled_from("ABCxyz019-_.~ "))
def test_a_single_character_more_or_less_does_not_open(place: int, character: str) -> None:
    changed = SEALED[:place] + character + SEALED[place + 1 :]
    opened = unseal(Kind.TICKET, changed, keys=KEYS, now=NOW)
    # The last characters of Base64 may have bits that mean nothing.
    assert opened is None or opened["user"] == "u1"
    assert unseal(Kind.TICKET, SEALED[:place] + SEALED[place + 1 :], keys=KEYS, now=NOW) is None
