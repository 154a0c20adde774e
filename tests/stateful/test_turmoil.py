"""Customers, the platform and faults at random, on the real control plane; see ``turmoil``."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from turmoil.actions import ACTIONS
from turmoil.machine import TIMES, Turmoil, play, run
from turmoil.record import Record, moves_of

if TYPE_CHECKING:
    from turmoil.loop import LoopThread

    Ground = Any

#: As many as CI plays: ``make turmoil`` plays more.
EXAMPLES = int(os.environ.get("TURMOIL_EXAMPLES", "2"))
#: Of the times that an action is drawn, so many have an effect: it may meet a situation without room for it.
EFFECTIVE = 5 / 6


def test_whatever_happens_in_whatever_order_the_invariants_hold(ground: Ground) -> None:
    class Here(Turmoil):
        loop: LoopThread = ground.loop
        arena = ground.arena
        records: list[Record] = []  # noqa: RUF012 - of this test alone
        failed = None

    try:
        run(Here, examples=EXAMPLES)
    except BaseException:
        print("\nThe example that failed; TURMOIL_REPLAY=<file with this table> plays it again:\n")
        print(Here.records[-1].table())
        raise
    steps = sum(len(record.rows) for record in Here.records)
    effective: Counter[str] = sum((record.effective for record in Here.records), Counter())
    print(
        f"\n{steps} steps; effective: " + ", ".join(f"{name} {effective[name]}" for name in sorted(ACTIONS))
    )
    assert steps >= 200
    least = EFFECTIVE * EXAMPLES * TIMES
    assert {name: effective[name] for name in ACTIONS if effective[name] < least} == {}


def test_a_table_that_was_printed_can_be_played_again(ground: Ground) -> None:
    given = os.environ.get("TURMOIL_REPLAY")
    text = Path(given).read_text() if given else "install 0 0\nlogout 0 1\nremove_user 0 0\nuninstall 0 0\n"
    record = Record()
    try:
        ground.loop.run(play(ground.arena, moves_of(text), record), within=1200)
    finally:
        print(f"\n{record.table()}")
    assert moves_of(record.table()) == moves_of(text)
