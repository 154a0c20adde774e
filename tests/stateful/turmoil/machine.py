"""The state machine that hypothesis drives, and what plays given moves without it."""

from __future__ import annotations

import os
import random
import time
from typing import TYPE_CHECKING, ClassVar

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from turmoil.actions import ACTIONS, DIRECTED
from turmoil.ending import judge_ending
from turmoil.record import Move, Record
from turmoil.round import CALM_WITHIN, Round, begin, end

if TYPE_CHECKING:
    from collections.abc import Iterable

    from turmoil.arena import Arena
    from turmoil.loop import LoopThread

#: How often each action is in the deck that an example plays.
TIMES = 4
_TRIES = 3
#: ``TURMOIL_SEED=random`` or a number of one's own tries other orders.
SEED = os.environ.get("TURMOIL_SEED", "20261122")
_NUMBERS = st.integers(min_value=0, max_value=999)


def shuffled(cards: Iterable[str], *, seed: int) -> list[str]:
    """In an order of the seed's."""
    mixed = list(cards)
    random.Random(seed).shuffle(mixed)
    return mixed


def deck() -> list[str]:
    """Every action, a few times, well mixed: hypothesis takes from it, in an order of its own."""
    return shuffled(sorted(ACTIONS) * TIMES, seed=5)


#: What Talkdesk does not document, by example: (what an update shows, what overlaps), as ``talkdesk_is_like``
#: takes them. In turn, for a few draws might all be the same.
LIKE = ((0, 0), (1, 1), (0, 1), (1, 0))


class Turmoil(RuleBasedStateMachine):
    """One example plays the whole deck.

    A rule of its own for each action would let hypothesis leave many out of an example (it tries subsets),
    and nothing would bound from below how often each happens.
    """

    loop: ClassVar[LoopThread]
    arena: ClassVar[Arena]
    records: ClassVar[list[Record]]
    #: The first failure: hypothesis would play the example again, which costs minutes and shows less.
    failed: ClassVar[BaseException | None]
    #: What an example plays, in how many accounts of how many apps, and how long its end may take.
    cards: ClassVar[list[str]] = deck()
    apps: ClassVar[int] = 2
    accounts: ClassVar[int] = 4
    calm_within: ClassVar[float] = CALM_WITHIN

    def __init__(self) -> None:
        super().__init__()
        if (failed := type(self).failed) is not None:
            raise failed
        self._deck = list(self.cards)
        self._record = Record()
        self.records.append(self._record)
        self._whole = True
        like = LIKE[(len(self.records) - 1) % len(LIKE)]
        self._round: Round = self.loop.run(begin(self.arena, apps=self.apps, accounts=self.accounts))
        self._round.calm_within = self.calm_within
        self.loop.run(perform(self._round, self._record, Move("talkdesk_is_like", *like)))

    @rule(card=_NUMBERS, a=_NUMBERS, b=_NUMBERS)
    def act(self, card: int, a: int, b: int) -> None:
        """The next card."""
        if not self._deck:
            return
        name = self._deck.pop(card % len(self._deck))
        self._guarded(lambda: self.loop.run(perform(self._round, self._record, Move(name, a, b))))

    @invariant()
    def holds(self) -> None:
        """What must hold after each step."""
        self._guarded(self._round.judge.check)

    def teardown(self) -> None:
        """What must hold in the end."""
        try:
            if self._whole:
                self._guarded(lambda: self.loop.run(judge_ending(self._round)))
        finally:
            self.loop.run(end(self._round))

    def _guarded(self, work: object) -> None:
        assert callable(work)
        try:
            work()
        except BaseException as failure:
            self._whole = False
            type(self).failed = failure
            raise


def run(machine: type[Turmoil], *, examples: int) -> None:
    """Play so many examples, always in the same order but for ``TURMOIL_SEED``. Raises what was found."""
    profile = settings(
        max_examples=examples,
        stateful_step_count=len(machine.cards),
        phases=(Phase.generate,),
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    seeded = seed(int(SEED))(machine) if SEED != "random" else machine
    try:
        run_state_machine_as_test(seeded, settings=profile)
    except BaseException:
        if machine.failed is not None:
            raise machine.failed from None
        raise


async def perform(made: Round, record: Record, move: Move) -> None:
    """Do it and write it down; what has no effect on the one is tried on another, and another."""
    began = time.monotonic()
    act = {**ACTIONS, **DIRECTED}[move.name]
    effect = None
    for other in range(_TRIES):
        if effect is None:
            effect = await act(made, move.a + other, move.b + other)
    record.add(move, effect, time.monotonic() - began)
    if os.environ.get("TURMOIL_TELL"):
        print(record.table().splitlines()[-1], flush=True)


async def play(
    arena: Arena, moves: Iterable[Move], record: Record, *, calm_within: float = CALM_WITHIN
) -> None:
    """Play these moves as one example, with all that is judged in one. Raises Violation.

    :param calm_within: seconds that each thing which must become so in the end may take.
    """
    made = await begin(arena)
    made.calm_within = calm_within
    try:
        for move in moves:
            await perform(made, record, move)
            made.judge.check()
        await judge_ending(made)
    finally:
        await end(made)
