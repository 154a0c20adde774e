"""Talkdesk hosts that keep passes waiting: a few may ask them, so that the other tenants have workers left.

A host that refuses at once holds nobody up. One that takes a request and does not answer holds each pass for
as long as the client tries, and everybody whose turn comes waits behind them.
"""

from __future__ import annotations

import math
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from talkdesk_client import TalkdeskError, TransportError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass
class Hanging:
    """``most`` passes at once wait for a host that hangs; times are in seconds of ``monotonic``.

    A host hangs from a failure that took ``slow`` until it answers, or ``lasting`` later.
    """

    most: int
    monotonic: Callable[[], float]
    slow: float = 5.0
    lasting: float = 60.0
    _until: dict[str, float] = field(default_factory=dict)
    _asking: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def asking(self, host: str) -> Iterator[None]:
        """A pass asks ``host``. Raises TransportError where it hangs and enough others wait already."""
        began = self.monotonic()
        if began < self._until.get(host, -math.inf) and self._asking[host] >= self.most:
            message = f"{host} does not answer those who ask it already: it is asked again once it does"
            raise TransportError(message, retry_after=self.slow)
        self._asking[host] += 1
        try:
            yield
        except TalkdeskError:
            if self.monotonic() - began >= self.slow:
                self._until[host] = self.monotonic() + self.lasting
            else:
                self._until.pop(host, None)
            raise
        else:
            self._until.pop(host, None)
        finally:
            self._asking[host] -= 1
