"""The invariants are worth something: each of these bugs, planted in the operator, is found by them.

The machine that plays at random is tried on a third of them, drawn by the commit; ``make turmoil`` tries it
on every one.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from turmoil.arena import PRODUCT
from turmoil.machine import Turmoil, play, run, shuffled
from turmoil.record import Record, moves_of
from turmoil.violation import Invariant, Violation
from turns import in_turn

if TYPE_CHECKING:
    from typing import Any

    from turmoil.loop import LoopThread

    Ground = Any

_LAUNCHER = Path(__file__).with_name("planted.py")
#: Seconds in which a bug has to show; the product itself gets more.
_SHOWN_WITHIN = 8.0

#: By bug: moves that lead to it, and what it breaks.
SCRIPTS: dict[str, tuple[str, Invariant]] = {
    "approves_before_the_gate": ("install 0 0", Invariant.USABLE),
    # Talkdesk lists whom an update removes until it is answered, and cannot be answered for a while.
    "forgets_removals": (
        "talkdesk_is_like 0 0\ninstall 0 0\nanswers_fail 0 0\npoke 0 0\nsettle 0 0",
        Invariant.STAYS_OUT,
    ),
    "approves_an_uninstall_first": (
        "install 0 0\nallowed 0 0\nuninstall 0 0\nsettle 0 0",
        Invariant.REFUSED_FIRST,
    ),
    "gives_every_installation_a_tenant": (
        "install 0 0\nuninstall 0 0\nreinstall 0 0\nsettle 0 0",
        Invariant.ONE_TENANT,
    ),
    "forgets_updates": ("install 0 0\nadd_user 0 0", Invariant.ANSWERED),
    "writes_status_every_time": ("install 0 0", Invariant.QUIET),
    "keeps_for_ever": ("install 0 0\nuninstall 0 0", Invariant.NO_ORPHAN),
}


#: By bug: the seed of a few cards that show it in the hands of the machine.
SEEDS = {
    "approves_before_the_gate": 5,
    "forgets_removals": 24,
    "approves_an_uninstall_first": 31,
    "gives_every_installation_a_tenant": 32,
    "forgets_updates": 3,
    "writes_status_every_time": 22,
    "keeps_for_ever": 18,
}
#: What else a bug breaks, where chance has it that this shows first.
ALSO = {"gives_every_installation_a_tenant": Invariant.TOLD}
#: On which the machine is tried.
IN_TURN = in_turn(SEEDS, parts=3)
_CARDS = ("add_user", "answers_fail", "install", "reinstall", "remove_user", "uninstall")
_IN_HAND = 4


@pytest.fixture(scope="module", params=SCRIPTS)
def bug(request: pytest.FixtureRequest, ground: Ground) -> str:
    """Planted in the operator that runs."""
    name = str(request.param)
    ground.loop.run(ground.arena.run_operator((sys.executable, str(_LAUNCHER), name)))
    return name


def test_a_planted_bug_is_found_by_the_invariant_that_it_breaks(ground: Ground, bug: str) -> None:
    moves, broken = SCRIPTS[bug]
    record = Record()
    with pytest.raises(Violation) as found:
        ground.loop.run(play(ground.arena, moves_of(moves), record, calm_within=_SHOWN_WITHIN))
    print(f"{record.table()}\n{found.value}")
    assert found.value.invariant is broken


@pytest.mark.parametrize("bug", IN_TURN, indirect=True)
def test_a_planted_bug_is_found_by_the_machine_that_plays_at_random(ground: Ground, bug: str) -> None:
    class Short(Turmoil):
        loop: LoopThread = ground.loop
        arena = ground.arena
        records: list[Record] = []  # noqa: RUF012 - of this test alone
        failed = None
        cards = shuffled(_CARDS, seed=SEEDS[bug])[:_IN_HAND]
        apps = 1
        accounts = 2
        calm_within = _SHOWN_WITHIN

    try:
        with pytest.raises(Violation) as found:
            run(Short, examples=1)
    finally:
        print(Short.records[-1].table())
    print(found.value)
    assert found.value.invariant in {SCRIPTS[bug][1], ALSO.get(bug)}


def test_without_a_bug_the_same_moves_break_nothing(ground: Ground) -> None:
    ground.loop.run(ground.arena.run_operator(PRODUCT))
    for bug in ("forgets_removals", "gives_every_installation_a_tenant"):
        ground.loop.run(play(ground.arena, moves_of(SCRIPTS[bug][0]), Record()))
