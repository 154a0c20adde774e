"""Ready to take deliveries: the API server has been reached once, with the rights and the kind needed.

One that goes away later does not make the webhook unready: it then answers 503 itself, which Talkdesk
understands, while a Service without endpoints would cut connections.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Self

import structlog

from talkdesk_kube import KubeError, NotFound
from talkdesk_kube.resources import INSTALLATIONS

if TYPE_CHECKING:
    from types import TracebackType

    from talkdesk_kube import Kube

#: A name that no installation has: labels of this form are hashed.
PROBED_NAME: Final = "x-readiness"
FIRST_WAIT: Final = 0.1
LONGEST_WAIT: Final = 2.0

_log = structlog.get_logger("talkdesk_webhook.readiness")


class Readiness:
    """Asks, while the context is open, until the API server answered; ``draining`` takes readiness back."""

    def __init__(self, kube: Kube, *, namespace: str) -> None:
        self._kube = kube
        self._namespace = namespace
        self._reached = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.draining = False

    def ready(self) -> bool:
        """Whether deliveries should be sent here."""
        return self._reached.is_set() and not self.draining

    async def reached(self) -> None:
        """Wait until the API server has answered."""
        await self._reached.wait()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._ask_until_reached(), name="readiness")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _ask_until_reached(self) -> None:
        wait = FIRST_WAIT
        while True:
            trouble = await self._ask()
            if trouble is None:
                self._reached.set()
                return
            _log.warning("API server not usable yet", error=trouble)
            await asyncio.sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT)

    async def _ask(self) -> str | None:
        try:
            await self._kube.get(INSTALLATIONS, PROBED_NAME, namespace=self._namespace)
        except NotFound as error:
            # Without the kind the server answers 404 too, but names no reason.
            return None if error.status.reason == "NotFound" else str(error)
        except KubeError as error:
            return str(error)
        return None
