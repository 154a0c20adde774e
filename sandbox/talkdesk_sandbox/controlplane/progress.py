"""Telling a person how far a long build is: a live line on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.status import Status


class Progress(Protocol):
    """Where a build says what it does."""

    def line(self, text: str) -> None:
        """Something was begun or done."""

    def update(self, text: str) -> None:
        """How far it is now; called many times a second."""


@dataclass
class Lines:
    """Every line to ``report``, and an update at most every ``seconds``, for logs and pipes."""

    report: Callable[[str], None]
    seconds: float = 10.0
    clock: Callable[[], float] = time.monotonic
    _last: float = field(init=False)

    def __post_init__(self) -> None:
        self._last = self.clock()

    def line(self, text: str) -> None:
        """See Progress."""
        self._last = self.clock()
        self.report(text)

    def update(self, text: str) -> None:
        """See Progress."""
        if self.clock() - self._last >= self.seconds:
            self.line(text)


@dataclass
class _Terminal:
    console: Console
    status: Status

    def line(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False)

    def update(self, text: str) -> None:
        self.status.update(text.replace("[", r"\["))


@contextlib.contextmanager
def shown(report: Callable[[str], None] | None) -> Iterator[Progress]:
    """Progress to ``report`` as lines; by default to standard error, alive if that is a terminal."""
    if report is not None:
        yield Lines(report)
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Lines(lambda text: console.print(text, markup=False, highlight=False, soft_wrap=True))
        return
    with console.status("") as status:
        yield _Terminal(console, status)
