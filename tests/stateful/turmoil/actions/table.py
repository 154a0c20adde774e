"""The table of actions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from turmoil.round import Round

#: Does something, the numbers choosing to whom; says what it did, or None where it had no effect.
Action = Callable[["Round", int, int], Awaitable[str | None]]

#: What the deck is made of.
ACTIONS: dict[str, Action] = {}
#: What else a written sequence may use.
DIRECTED: dict[str, Action] = {}


def action(function: Action) -> Action:
    """Enter ``function`` under its name."""
    ACTIONS[function.__name__] = function
    return function


def directed(function: Action) -> Action:
    """Enter ``function`` under its name, outside the deck."""
    DIRECTED[function.__name__] = function
    return function
