"""Steps that only written sequences need: they are in no deck."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from talkdesk_crds import names
from turmoil.actions.table import directed

if TYPE_CHECKING:
    from turmoil.round import Round


@directed
async def settle(made: Round, _a: int, _b: int) -> str | None:
    """Wait until Talkdesk waits for nothing any more."""
    await made.all_settled(within=20)
    return "settled"


@directed
async def poke(made: Round, _a: int, _b: int) -> str | None:
    """Ask for a resync of every installation."""
    for installation in made.installed:
        await made.poke(installation)
    return "poked"


@directed
async def talkdesk_is_like(made: Round, a: int, b: int) -> str | None:
    """What it does not document: the users it lists before an update is answered, and what overlaps."""
    changes = {"update_shows": ("old", "new")[a % 2], "overlap": ("replace", "refuse")[b % 2]}
    await made.switch(changes)
    return ", ".join(f"{name} {value}" for name, value in changes.items())


@directed
async def allowed(made: Round, _a: int, _b: int) -> str | None:
    """Wait until access is stored as Allowed for every installation."""
    eyes = made.arena.eyes
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        names_ = [names.installation_name(one) for one in made.installed]
        if all(one in eyes.access and eyes.access[one].states[-1][1] == "Allowed" for one in names_):
            return "allowed"
        await made.something_happens(within=0.1)
    return None
