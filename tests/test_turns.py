"""Each test of a family has its turn with some commit, and a commit's run says the same twice."""

from __future__ import annotations

import pytest

from turns import chosen

FAMILY = {f"member {number}": number for number in range(13)}
COMMITS = [f"{number:040x}" for number in range(24)]


@pytest.mark.parametrize("parts", [2, 3, 8])
def test_a_part_has_its_turn_with_each_commit_and_every_member_soon(parts: int) -> None:
    turns = [chosen(FAMILY, parts=parts, wanted="", commit=commit) for commit in COMMITS]
    assert {len(turn) for turn in turns} <= {len(FAMILY) // parts, len(FAMILY) // parts + 1}
    assert {name for turn in turns for name in turn} == set(FAMILY)
    assert chosen(FAMILY, parts=parts, wanted="", commit=COMMITS[0]) == turns[0]
    assert all(list(turn.values()) == sorted(turn.values()) for turn in turns)


def test_whoever_asks_gets_every_one_or_those_that_match() -> None:
    assert chosen(FAMILY, parts=3, wanted="all", commit="") == FAMILY
    assert chosen(FAMILY, parts=3, wanted="^member 1$", commit="") == {"member 1": 1}


def test_members_in_the_order_of_their_lengths_make_parts_that_take_as_long_as_each_other() -> None:
    lengths = {f"of {seconds} s": seconds for seconds in range(32, 0, -1)}
    taken = {sum(chosen(lengths, parts=8, wanted="", commit=commit).values()) for commit in COMMITS}
    assert taken == {sum(range(33)) // 8}
