"""The mail about what was just done: added to items 1, 4, 5 and 6."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from talkdesk_certify.check import Item
    from talkdesk_certify.scene import Scene

_FIX = "The condition Notified says why no mail went out: docs/mails.md."


def add_mail(item: Item, *, after: str, to: str = "", fix: str = "") -> None:
    """The check that the administrator was told by mail, once the check ``after`` has passed.

    ``to`` and ``fix`` are further words on whom it goes to, and on what to do first.
    """

    @item.check(
        "mail",
        title="The administrator gets a mail about it",
        how=f"A mail {to}comes within 20 s; it names the app, a contact and a link to go on.",
        fix=fix + _FIX,
        needs=(after,),
    )
    async def mail(scene: Scene) -> str:
        """User experience: the confirmation is sent to the user."""
        journey = scene.journey
        try:
            found = await journey.mailbox.number(len(journey.endings))
        finally:
            scene.page = journey.mailbox.page
        return found.useful(to=journey.emails["admin"], app=journey.app)
