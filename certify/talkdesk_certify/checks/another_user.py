"""Item 3: another user of the account launches the app."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_certify.check import Item
from talkdesk_certify.checks.launching import add_launching

if TYPE_CHECKING:
    from talkdesk_certify.scene import Scene


async def _launched(scene: Scene) -> None:
    await scene.visit("admin")


item = Item("3", "Launching the app with another user", prepare=_launched)
add_launching(item, "second")
