"""How long a container that ended waits before it runs again (pure)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """Doubling delays in seconds: the first restart is immediate, then ``base``, up to ``cap``.

    A container that ran for ``reset`` seconds starts over. The kubelet's values are 10, 300 and 600; the
    defaults here are shorter, because on a laptop somebody is waiting.
    """

    base: float = 1.0
    cap: float = 30.0
    reset: float = 60.0

    def delay(self, failures: int) -> float:
        """Seconds to wait after the ``failures``-th end in a row (1 is the first)."""
        if failures <= 1:
            return 0.0
        return float(min(self.cap, self.base * 2 ** min(failures - 2, 32)))

    def failures(self, *, before: int, ran: float) -> int:
        """Ends in a row, when one more came after ``ran`` seconds."""
        return 1 if ran >= self.reset else before + 1
