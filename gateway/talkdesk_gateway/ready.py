"""Whether this replica may be relied on: every watch complete once, and none silent for too long."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from talkdesk_gateway.seams import Keys
    from talkdesk_kube import Reflector


@dataclass
class Watches:
    """All watches of the process.

    :ivar stale: seconds without word from Kubernetes until which one goes on with what is known.
    """

    reflectors: tuple[Reflector, ...]
    stale: float
    #: Until when all is well, whatever is heard or not until then.
    _well_until: float = -math.inf

    async def run(self) -> None:
        """Keep all of them current until cancelled."""
        async with asyncio.TaskGroup() as group:
            for reflector in self.reflectors:
                group.create_task(reflector.run(), name=f"watch {reflector.resource.plural}")

    def fault(self) -> str | None:
        """Why what they show should not be relied on, in one line; None where it may be."""
        # Asked at every request. A complete list stays one, and every word that comes only defers silence.
        if self.reflectors[0].now() < self._well_until:
            return None
        if fault := self._fault():
            return fault
        self._well_until = self.stale + min(
            one.heard if one.heard is not None else -math.inf for one in self.reflectors
        )
        return None

    def _fault(self) -> str | None:
        if waiting := {str(one.resource) for one in self.reflectors if not one.synced.is_set()}:
            return f"not read completely yet: {', '.join(sorted(waiting))}"
        silent = {str(one.resource) for one in self.reflectors if not one.fresh_within(self.stale)}
        if silent:
            return f"no word from Kubernetes for {self.stale:.0f} s: {', '.join(sorted(silent))}"
        return None


@dataclass
class Readiness:
    """Answers of ``/readyz`` and ``/healthz``: None is well, else what is wrong.

    A gateway without keys can let nobody in; one that Kubernetes does not answer is alive all the same: to
    begin anew would lose what it knows.
    """

    fault: Callable[[], str | None]
    keys: Keys
    draining: bool = False

    def ready(self) -> str | None:
        """Browsers may be sent here."""
        if self.draining:
            return "stopping"
        if (fault := self.fault()) is not None:
            return fault
        if not self.keys.session_keys() or not self.keys.identity_keys():
            return "the keys are missing: the operator makes them"
        return None

    def healthy(self) -> str | None:
        """The event loop answers."""
        return None
