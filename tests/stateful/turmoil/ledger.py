"""The stand-in's ledger, followed as it grows."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

Entry = dict[str, Any]


class Ledger:
    """``entries`` holds all of it, oldest first; :meth:`run` keeps it so."""

    def __init__(self, control: httpx.AsyncClient) -> None:
        self.entries: list[Entry] = []
        self._control = control
        self._grown = asyncio.Event()

    async def run(self) -> None:
        """Follow for ever; ends by being cancelled."""
        position = 0
        while True:
            query = {"since": position, "wait": 30}
            page = (await self._control.get("/control/ledger", params=query, timeout=60)).json()
            position = page["next"]
            self.entries += page["entries"]
            self._grown.set()
            self._grown = asyncio.Event()

    @property
    def position(self) -> int:
        """For ``since``: what comes from now on."""
        return len(self.entries)

    async def until(
        self, wanted: Callable[[Entry], bool], *, since: int, within: float, number: int = 1
    ) -> bool:
        """Whether ``number`` entries like ``wanted`` came after ``since`` within so many seconds."""
        deadline, found = time.monotonic() + within, 0
        while True:
            grown = self._grown
            found += sum(1 for entry in self.entries[since:] if wanted(entry))
            since = self.position
            if found >= number:
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(grown.wait(), min(left, 1.0))
