"""How long to wait after failures, as a function of how many there were."""

from __future__ import annotations

import random


def backoff(failures: int, *, first: float, longest: float, rng: random.Random | None = None) -> float:
    """Seconds to wait after ``failures`` ≥ 1 failures in a row.

    Doubles from ``first`` up to ``longest``, less a random part of up to a half, so that many who failed
    together do not come back together.
    """
    whole = min(longest, first * 2.0 ** min(failures - 1, 64))
    return whole * (1.0 - 0.5 * (rng or _RANDOM).random())


_RANDOM = random.Random()  # noqa: S311 -- spreads load, guards nothing
