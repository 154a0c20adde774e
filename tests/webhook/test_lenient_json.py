"""JSON as other people write it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from talkdesk_webhook.lenient_json import (
    DEEP_NESTING,
    DUPLICATE_KEYS,
    KEPT_DEPTH,
    NOT_UTF8,
    NotJsonError,
    loads,
)

_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**16), 10**16) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(value=_json, encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le"]))
def test_any_json_in_any_unicode_encoding_is_read_as_it_was_written(value: Any, encoding: str) -> None:
    raw = json.dumps(value).encode(encoding)
    parsed = loads(raw)
    assert parsed.value == value
    assert (NOT_UTF8 in parsed.oddities) == (encoding not in {"utf-8", "utf-8-sig"})


def test_latin_1_is_read_and_named_odd() -> None:
    parsed = loads('{"name":"Müller"}'.encode("latin-1"))
    assert parsed.value == {"name": "Müller"}
    assert parsed.oddities == {NOT_UTF8}


def test_of_duplicate_keys_the_last_counts_and_it_is_named() -> None:
    parsed = loads(b'{"id":"1","data":{"a":1,"a":2},"id":"3"}')
    assert parsed.value == {"id": "3", "data": {"a": 2}}
    assert parsed.oddities == {DUPLICATE_KEYS}


@pytest.mark.parametrize("depth", [KEPT_DEPTH - 1, KEPT_DEPTH, 5_000, 200_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"x":', "}")])
def test_deep_nesting_costs_only_what_is_deep(depth: int, opening: str, closing: str) -> None:
    deep = opening * depth + "1" + closing * depth
    parsed = loads(f'{{"before":"[[{{\\"","deep":{deep},"after":[1,[2]]}}'.encode())
    assert parsed.value["before"] == '[[{"'
    assert parsed.value["after"] == [1, [2]]
    assert (DEEP_NESTING in parsed.oddities) == (depth >= KEPT_DEPTH)


@pytest.mark.parametrize(
    "raw",
    [b"", b" ", b"{", b"nonsense", b'{"a":1}{', b"\xff\xfe", b"[" * 100_000, b"]" * 9, b'"' + b"\\" * 9],
)
def test_what_is_no_json_says_so(raw: bytes) -> None:
    with pytest.raises(NotJsonError, match=r"^not JSON$"):
        loads(raw)


def test_a_number_of_a_million_digits_does_no_harm() -> None:
    parsed = loads(b'{"n":' + b"9" * 1_000_000 + b',"id":"1","f":1e999,"x":NaN}')
    assert parsed.value["id"] == "1"
    assert parsed.value["n"] == "9" * 1_000_000


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_json_or_not_json(raw: bytes) -> None:
    try:
        loads(raw)
    except NotJsonError as error:
        assert str(error) == "not JSON"  # noqa: PT017 - most, but not all bytes are no JSON
