"""What the checks of one walk share: the customer, the app, and the page that is looked at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from talkdesk_certify.check import NotReached
from talkdesk_certify.journey import Journey

if TYPE_CHECKING:
    from playwright.async_api import Page

    from talkdesk_certify.guest import Guest
    from talkdesk_certify.journey import Role
    from talkdesk_certify.reviewer.person import Person
    from talkdesk_certify.reviewer.visit import Visit
    from talkdesk_certify.target import Bar


@dataclass
class Scene:
    """``page`` is what the next screenshot shows. ``others`` are further customers of the walk."""

    app: str
    customer: Journey | Guest
    bar: Bar | None = None
    page: Page | None = None
    others: list[Journey] = field(default_factory=list)

    @property
    def journey(self) -> Journey:
        """The customer in the sandbox. Raises NotReached in a real deployment."""
        if not isinstance(self.customer, Journey):
            raise NotReached("this needs a Talkdesk whose accounts may be changed")
        return self.customer

    async def visit(self, role: Role) -> Visit:
        """The first visit of that person; it is what is looked at."""
        visit = await self.customer.visit(role)
        self.page = visit.page
        return visit

    async def person(self, role: Role) -> Person:
        """That person, with their window."""
        return await self.customer.person(role)

    def needs_bar(self) -> Bar:
        """How the bar is known. Raises NotReached where nobody said."""
        if self.bar is None:
            raise NotReached("left out: nobody said how the Talkdesk bar is known (--bar)")
        return self.bar
