"""Every duration the node goes by, in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field

from talkdesk_sandbox.node.backoff import Backoff


@dataclass(frozen=True)
class Timings:
    """``restart``: back-off of containers; ``shutdown_grace``: what pods get when the node itself is stopped.

    ``token_renewal`` is the part of a token's life after which it is replaced (the kubelet: 0.8), ``retry``
    the first pause before something that failed is tried again (doubling to ``retry_cap``).
    """

    restart: Backoff = field(default_factory=Backoff)
    shutdown_grace: float = 3.0
    token_renewal: float = 0.8
    retry: float = 0.1
    retry_cap: float = 5.0

    def pause(self, attempt: int) -> float:
        """Seconds before attempt ``attempt`` + 1, counted from 0."""
        return float(min(self.retry_cap, self.retry * 2 ** min(attempt, 16)))
