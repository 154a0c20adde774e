from __future__ import annotations

import json
from typing import Any

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from talkdesk_kube.encoding import encode

CHARACTERS = st.one_of(st.characters(codec="utf-8"), st.sampled_from('\\"ud83d\n\t\x7f\x85  😀'))
TEXTS = st.text(alphabet=CHARACTERS)
# A key of YAML is at most 1,024 characters long, and an escaped one grows to twelve. Kubernetes' have 317.
KEYS = st.text(alphabet=CHARACTERS, max_size=80)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), TEXTS),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(KEYS, inner)),
    max_leaves=10,
)


@given(VALUES)
@example({"a": "\\😀😀\\\\😀", "\\ud83d\\ude00": "😀"})
def test_json_and_yaml_readers_see_the_same_value(value: Any) -> None:
    data = encode(value)
    assert json.loads(data) == value
    assert yaml.safe_load(data.decode()) == value


def test_half_a_character_becomes_the_replacement_character() -> None:
    assert json.loads(encode({"a": "x\ud83dy\ude00😀"})) == {"a": "x\ufffdy\ufffd😀"}
