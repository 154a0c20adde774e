"""What happened in an example, as a table that can be read, and played again."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Move:
    """One action, and the numbers that choose to whom it happens."""

    name: str
    a: int
    b: int

    def __str__(self) -> str:
        return f"{self.name} {self.a} {self.b}"


@dataclass
class Record:
    """The moves of one example."""

    rows: list[tuple[Move, str | None, float]] = field(default_factory=list)

    def add(self, move: Move, effect: str | None, seconds: float) -> None:
        """``effect`` as the action told it."""
        self.rows.append((move, effect, seconds))

    @property
    def effective(self) -> Counter[str]:
        """How often each action had an effect."""
        return Counter(move.name for move, effect, _ in self.rows if effect is not None)

    def table(self) -> str:
        """One line a move: number, move, seconds, effect."""
        lines = [f"{'':>4}  {'move':<34} {'seconds':>7}  effect"]
        lines += [
            f"{number:>4}  {move!s:<34} {seconds:>7.2f}  {effect or '-'}"
            for number, (move, effect, seconds) in enumerate(self.rows, start=1)
        ]
        return "\n".join(lines)


_ROW = re.compile(r"^\s*(?:\d+\s+)?([a-z_0-9]+) (\d+) (\d+)(?:\s|$)")


def moves_of(text: str) -> list[Move]:
    """The moves of a table, or of plain lines ``name a b``; other lines are left out."""
    found = (_ROW.match(line) for line in text.splitlines())
    return [Move(one[1], int(one[2]), int(one[3])) for one in found if one is not None]
