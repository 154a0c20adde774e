"""Sample data: a new customer sees at once what the app will show. An account gets the same each time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

FIRST_HOUR = 8
HOURS = 10
_PEOPLE = ("Ada Flores", "Ben Okafor", "Cleo Martin", "Dan Weber", "Eva Rossi")
_TOPICS = (
    "Billing question",
    "Delivery status",
    "Password reset",
    "Order change",
    "Complaint",
    "New contract",
)
_RESULTS = ("Resolved", "Resolved", "Resolved", "Call back", "Escalated")


@dataclass(frozen=True)
class Hour:
    """Calls of one hour of the day; ``missed`` are among them."""

    hour: int
    calls: int
    missed: int


@dataclass(frozen=True)
class Agent:
    """One person's day; ``minutes`` is the average length of a call."""

    name: str
    calls: int
    minutes: float
    rating: float


@dataclass(frozen=True)
class Call:
    """One call; ``at`` is a time of day."""

    at: str
    agent: str
    topic: str
    minutes: int
    result: str


@dataclass(frozen=True)
class Day:
    """A day of a contact centre. ``wait`` is in seconds, ``answered`` and ``satisfied`` in percent."""

    hours: tuple[Hour, ...]
    agents: tuple[Agent, ...]
    calls: tuple[Call, ...]
    wait: int

    @property
    def total(self) -> int:
        """All calls of the day."""
        return sum(hour.calls for hour in self.hours)

    @property
    def answered(self) -> int:
        """Calls that somebody took."""
        missed = sum(hour.missed for hour in self.hours)
        return round(100 * (self.total - missed) / self.total)

    @property
    def satisfied(self) -> int:
        """By the callers' ratings."""
        return round(20 * sum(agent.rating for agent in self.agents) / len(self.agents))

    @property
    def busiest(self) -> Hour:
        """The hour with most calls."""
        return max(self.hours, key=lambda hour: hour.calls)


class _Numbers:
    """Numbers that look random and hang on ``seed`` alone."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._drawn = 0

    def between(self, low: int, high: int) -> int:
        self._drawn += 1
        digest = hashlib.sha256(f"{self._seed}/{self._drawn}".encode()).digest()
        return low + int.from_bytes(digest[:4]) % (high - low + 1)


def day_of(account_id: str) -> Day:
    """The sample day of an account."""
    draw = _Numbers(account_id).between
    shape = (9, 18, 27, 31, 22, 19, 28, 30, 21, 11)
    hours = []
    for position, usual in enumerate(shape):
        hours.append(Hour(FIRST_HOUR + position, usual + draw(-4, 6), draw(0, 3)))
    agents = tuple(Agent(name, draw(24, 52), draw(28, 74) / 10, draw(40, 49) / 10) for name in _PEOPLE)
    calls = tuple(
        Call(
            at=f"{17 - number // 2:02d}:{draw(30, 59) if number % 2 == 0 else draw(0, 29):02d}",
            agent=_PEOPLE[draw(0, len(_PEOPLE) - 1)],
            topic=_TOPICS[draw(0, len(_TOPICS) - 1)],
            minutes=draw(1, 14),
            result=_RESULTS[draw(0, len(_RESULTS) - 1)],
        )
        for number in range(12)
    )
    return Day(tuple(hours), tuple(sorted(agents, key=lambda one: -one.calls)), calls, draw(9, 38))
