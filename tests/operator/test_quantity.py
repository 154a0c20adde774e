"""Kubernetes quantities, as the `kubernetes` library reads them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.utils.quantity import parse_quantity

from talkdesk_operator.tenant.quantity import parse

SUFFIXES = ["n", "u", "m", "", *"kMGTPE", *(f"{prefix}i" for prefix in "KMGTPE"), "e3", "E-2", "e+1"]


@given(st.from_regex(r"[+-]?[0-9]{1,6}(\.[0-9]{0,4})?", fullmatch=True), st.sampled_from(SUFFIXES))
def test_it_is_what_the_library_takes_it_for(number: str, suffix: str) -> None:
    assert parse(number + suffix) == parse_quantity(number + suffix)


@pytest.mark.parametrize(
    ("text", "number"), [("250m", "0.25"), ("1Gi", "1073741824"), (".5", "0.5"), ("1E", "1e18")]
)
def test_what_people_write(text: str, number: str) -> None:
    assert parse(text) == Decimal(number)


@pytest.mark.parametrize(
    "text", ["", "m", "one", "1 Gi", "1Gb", "ki", "1ki", "1e", "NaN", "Infinity", "1_0", "٣"]
)
def test_what_is_none(text: str) -> None:
    assert parse(text) is None
