"""What the probes ask: is this process alive, is it ready? Both replicas are ready; one of them works."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from talkdesk_operator.cache import Caches
    from talkdesk_operator.kopf_edge import KopfEdge


@dataclass
class Health:
    """Answers of ``/healthz`` and ``/readyz``: None is well, else what is wrong."""

    caches: Caches
    edge: KopfEdge
    #: Seconds after which a silent watch counts as dead.
    stale: float
    monotonic: Callable[[], float]
    started: float
    stopping: bool = False

    def healthy(self) -> str | None:
        """Watches are heard of and Kopf's thread lives; a process that stops on purpose is healthy."""
        if self.stopping:
            return None
        if not self.edge.alive:
            return "kopf has ended"
        young = self.monotonic() - self.started < self.stale
        if not young and not self.caches.fresh_within(self.stale):
            return f"a watch was silent for {self.stale:.0f} s"
        return None

    def ready(self) -> str | None:
        """The caches are complete, so that this replica could take over at once."""
        if self.stopping:
            return "stopping"
        return None if self.caches.ready else "the caches are not complete yet"
