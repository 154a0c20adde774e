"""A user of a real deployment: a browser with somebody signed in to Talkdesk, and the link of the icon."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from talkdesk_certify.check import NotReached
from talkdesk_certify.reviewer.person import Person, window

if TYPE_CHECKING:
    from playwright.async_api import Browser

    from talkdesk_certify.journey import Role
    from talkdesk_certify.reviewer.visit import Visit
    from talkdesk_certify.target import Deployment


@dataclass
class Guest:
    """``names`` has the words by which the app shows who its user is, where they are known."""

    browser: Browser
    target: Deployment
    visits: dict[Role, Visit] = field(default_factory=dict)
    somebody: Person | None = None

    @property
    def names(self) -> dict[Role, str]:
        """See the class."""
        return {"admin": self.target.user} if self.target.user else {}

    @property
    def emails(self) -> dict[Role, str]:
        """Addresses of the account's users: none is known."""
        return {}

    @property
    def account_name(self) -> str | None:
        """By which word the app shows whose account it is."""
        return self.target.account

    async def installed(self) -> None:
        """Somebody is signed in to Talkdesk. Raises NotReached."""
        if self.target.state is None:
            raise NotReached(
                "left out: it needs a browser that is signed in to Talkdesk "
                "(--signed-in FILE, made by `playwright open --save-storage=FILE <Talkdesk>`)"
            )

    async def visit(self, role: Role) -> Visit:
        """What the icon's link opens."""
        await self.installed()
        if role not in self.visits:
            self.visits[role] = await (await self.person(role)).opens(self.target.url)
        return self.visits[role]

    async def person(self, role: Role) -> Person:  # noqa: ARG002 - there is one alone
        """Whoever is signed in to Talkdesk."""
        if self.somebody is None:
            context = await window(self.browser, proxy=self.target.proxy, state=self.target.state)
            desk = await context.new_page()
            self.somebody = Person(self.target.user or "the user", "", "", context, desk)
        return self.somebody

    async def tidies_up(self) -> None:
        """Nothing is left lying about."""

    async def close(self) -> None:
        """Close the window."""
        if self.somebody is not None:
            await self.somebody.context.close()
