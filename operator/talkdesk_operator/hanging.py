"""Talkdesk hosts that keep passes waiting: a few may ask them, so that the other tenants have workers left.

A host that refuses at once holds nobody up. One that takes a request and does not answer holds each pass for
as long as the client tries, and everybody whose turn comes waits behind them. It may answer one call and not
another: what an installation is, and not who its users are.
"""

from __future__ import annotations

import math
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

from talkdesk_client import TalkdeskError, TransportError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Call(Enum):
    """What a host is asked for; that one of them is answered says nothing of the others."""

    #: The installation alone.
    READING = auto()
    #: The installation with account, plan and trial.
    WHOLE_READING = auto()
    USERS = auto()
    ROLES = auto()
    ANSWER = auto()
    ROTATION = auto()


@dataclass
class Hanging:
    """``most`` calls at once wait for a host that hangs; times are in seconds of ``monotonic``.

    A host hangs in a call from a failure that took ``slow`` until it answers that one, or ``lasting`` later.
    """

    most: int
    monotonic: Callable[[], float]
    slow: float = 5.0
    lasting: float = 60.0
    _until: dict[tuple[str, Call], float] = field(default_factory=dict)
    _asking: Counter[tuple[str, Call]] = field(default_factory=Counter)

    @contextmanager
    def asking(self, host: str, call: Call) -> Iterator[None]:
        """A pass asks ``host``. Raises TransportError where it hangs and enough others wait already."""
        key, began = (host, call), self.monotonic()
        if self._hangs(key) and self._waiting(host) >= self.most:
            if not self._asking[key]:
                # All places are other calls', however long: nobody finds out whether this one is answered.
                self._until[key] = began + self.lasting
            message = f"{host} does not answer those who ask it already: it is asked again once it does"
            raise TransportError(message, retry_after=self.slow)
        self._asking[key] += 1
        try:
            yield
        except TalkdeskError:
            if self.monotonic() - began >= self.slow:
                self._until[key] = self.monotonic() + self.lasting
            else:
                self._until.pop(key, None)
            raise
        else:
            self._until.pop(key, None)
        finally:
            self._asking[key] -= 1

    def _hangs(self, key: tuple[str, Call]) -> bool:
        return self.monotonic() < self._until.get(key, -math.inf)

    def _waiting(self, host: str) -> int:
        """How many wait for ``host`` in calls in which it hangs."""
        return sum(count for key, count in self._asking.items() if key[0] == host and self._hangs(key))
