"""Each test of a family has its turn with some commit, and a commit's run says the same twice."""

from __future__ import annotations

import pytest

from turns import chosen

FAMILY = {f"member {number}": number for number in range(13)}
COMMITS = [f"{number:040x}" for number in range(24)]


@pytest.mark.parametrize("parts", [2, 3, 6])
def test_a_part_has_its_turn_with_each_commit_and_every_member_soon(parts: int) -> None:
    turns = [chosen(FAMILY, parts=parts, wanted="", commit=commit) for commit in COMMITS]
    assert {len(turn) for turn in turns} <= {len(FAMILY) // parts, len(FAMILY) // parts + 1}
    assert {name for turn in turns for name in turn} == set(FAMILY)
    assert chosen(FAMILY, parts=parts, wanted="", commit=COMMITS[0]) == turns[0]
    assert all(list(turn.values()) == sorted(turn.values()) for turn in turns)


def test_whoever_asks_gets_every_one_or_those_that_match() -> None:
    assert chosen(FAMILY, parts=6, wanted="all", commit="") == FAMILY
    assert chosen(FAMILY, parts=6, wanted="^member 1$", commit="") == {"member 1": 1}
