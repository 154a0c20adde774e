"""A token bucket per Talkdesk host, for readings that nobody waits for. The clock is passed in."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass
class Pace:
    """``rate`` readings a second for each host, and ``burst`` at once after a pause.

    A turn is reserved rather than refused: who waits for one is not overtaken by who asks later.
    """

    rate: float
    burst: int = 10
    _last: dict[str, float] = field(default_factory=dict)

    def reserve(self, host: str, now: float) -> float:
        """The time at which the next reading of ``host`` may begin: ``now`` or later."""
        step = 1.0 / self.rate
        turn = max(self._last.get(host, -math.inf), now - self.burst * step) + step
        self._last[host] = turn
        return max(now, turn)
