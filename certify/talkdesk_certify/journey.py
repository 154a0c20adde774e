"""A customer of the app in the sandbox: the account, its people, and how far they have come.

What an item starts from is brought about by the same steps that the items before it look at, once.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from talkdesk_certify.check import Failed, NotReached
from talkdesk_certify.reviewer.background import asked_in_background
from talkdesk_certify.reviewer.dialogue import choose_account, choose_free_plan, ending, user
from talkdesk_certify.reviewer.mailbox import Mailbox
from talkdesk_certify.reviewer.person import Person, rest, window

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

    from talkdesk_certify.reviewer.console import Account, Console
    from talkdesk_certify.reviewer.dialogue import Ending
    from talkdesk_certify.reviewer.visit import Visit

Role = Literal["admin", "second", "added"]
Act = Literal["install", "users", "plan", "uninstall"]
NAMES: dict[Role, str] = {"admin": "Mara Voss", "second": "Jon Reyes", "added": "Lia Tanaka"}


@dataclass(frozen=True)
class Try:
    """An attempt to get in, ``seconds`` after a dialogue's message.

    ``statuses`` are of what an open page asked for.
    """

    who: str
    how: str
    seconds: float
    visit: Visit | None = None
    statuses: tuple[int, ...] = ()


@dataclass
class Journey:
    """``admin`` installs the app for themself and ``second``; ``added`` gets it later, for ``second``."""

    browser: Browser
    console: Console
    account: Account
    app: str
    install_link: str
    emails: dict[Role, str]
    names: dict[Role, str] = field(default_factory=lambda: dict(NAMES))
    proxy: str | None = None
    people: dict[Role, Person] = field(default_factory=dict)
    visits: dict[Role, Visit] = field(default_factory=dict)
    endings: dict[Act, Ending] = field(default_factory=dict)
    tries: list[Try] = field(default_factory=list)
    dialogue: Page | None = None
    licensed: set[Role] = field(default_factory=set)
    mailbox: Mailbox = field(init=False)
    _left: list[Person] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.mailbox = Mailbox(self.console, self.emails["admin"])

    @property
    def account_name(self) -> str:
        """By which word the app shows whose account it is."""
        return self.account.name

    async def moves_in(self) -> None:
        """Make the users at Talkdesk."""
        await self.console.new_users(
            self.account, [(self.names[role], email) for role, email in self.emails.items()]
        )

    async def person(self, role: Role) -> Person:
        """That person, signed in to Talkdesk in a window of their own."""
        if role not in self.people:
            self.people[role] = await Person.signed_in(
                await window(self.browser, proxy=self.proxy),
                name=self.names[role],
                email=self.emails[role],
                host=self.account.host,
                steady=self.console.steady,
            )
        return self.people[role]

    async def tidies_up(self) -> None:
        """Before the next item: pages of the console that were looked at are left."""
        for page in (self.dialogue, self.mailbox.page):
            if page is not None:
                await rest(page)
        self.dialogue = None

    def leaves(self, role: Role) -> None:
        """Forget that person's browser: they will sign in to Talkdesk in a new one."""
        self.visits.pop(role, None)
        if (person := self.people.pop(role, None)) is not None:
            self._left.append(person)

    async def close(self) -> None:
        """Close everybody's windows."""
        for one in (*self.people.values(), *self._left):
            await one.context.close()

    # The install dialogue, step by step.

    async def opens_install_link(self) -> Page:
        """The admin opens the private-install link and chooses the account. Raises Failed."""
        admin = await self.person("admin")
        self.dialogue = page = await admin.context.new_page()
        answer = await page.goto(self.install_link)
        if answer is None or answer.status != 200:
            raise Failed(f"the link is answered {answer.status if answer else 'by nothing'}")
        await choose_account(page, self.account)
        await page.get_by_role("heading", name=f"Install {self.app}").wait_for()
        return page

    async def chooses_free_plan(self) -> str:
        """The first plan that costs nothing."""
        return await choose_free_plan(self._open_dialogue())

    async def chooses_users(self) -> int:
        """The second user beside the admin, where the dialogue offers them; how many are chosen then."""
        page = self._open_dialogue()
        if "second" in self.emails and await (second := user(page, self.emails["second"])).count():
            await second.check()
        return await page.get_by_role("checkbox", checked=True).count()

    async def confirms_installation(self) -> Ending:
        """Install, and wait for the message; then the admin launches the app at once."""
        page = self._open_dialogue()
        button = page.get_by_role("button", name=f"Install {self.app}")
        async with self.console.steady.one_request():
            self.endings["install"] = end = await ending(page, button)
        if end.succeeded:
            self.licensed = {role for role in self.emails if role != "added"}
            self.visits["admin"] = await (await self.person("admin")).launches(self.app)
        return end

    def _open_dialogue(self) -> Page:
        if self.dialogue is None:
            raise NotReached("no dialogue is open")
        return self.dialogue

    async def installs_again(self) -> Visit:
        """After an uninstallation: the whole dialogue once more, and the admin's visit. Raises Failed."""
        (await self._installs()).success()
        return self.visits["admin"]

    async def _installs(self) -> Ending:
        """All steps of the dialogue."""
        await self.opens_install_link()
        await self.chooses_free_plan()
        await self.chooses_users()
        return await self.confirms_installation()

    # What items start from.

    async def installed(self) -> None:
        """The app is installed on the free plan. Raises NotReached."""
        if "install" not in self.endings:
            try:
                await self._installs()
            except Failed as failed:
                raise NotReached(f"the app could not be installed: {failed}") from failed
        if not self.endings["install"].succeeded:
            raise NotReached(f"the app could not be installed: {self.endings['install'].message}")

    async def visit(self, role: Role) -> Visit:
        """That person's first visit. Raises Failed, NotReached."""
        if role not in self.visits:
            await self.installed()
            self.visits[role] = await (await self.person(role)).launches(self.app)
        return self.visits[role]

    # The gear.

    async def opens_gear(self, part: str) -> Page:
        """The admin clicks the gear, and there the tab ``part``."""
        admin = await self.person("admin")
        page = self.dialogue = await admin.apps()
        gear = admin.gear(self.app)
        if not await gear.count():
            raise Failed(f"My Apps of {admin.name} has no gear for {self.app}")
        await gear.first.click()
        await page.get_by_role("link", name=part, exact=True).click()
        return page

    async def confirms(self, act: Act, button: str) -> Ending:
        """The gear's last button, and the message; those who have no access then try at once to get in."""
        page = self._open_dialogue()
        # A page that is cut off may go elsewhere by itself, before the message: where each one was.
        addresses = {role: visit.page.url for role, visit in self.visits.items()}
        async with self.console.steady.one_request():
            self.endings[act] = end = await ending(page, page.get_by_role("button", name=button))
        gone: set[Role] = self.licensed if act == "uninstall" else set()
        if act == "users":
            gone = {"second"}
            self.licensed = (self.licensed - gone) | {"added"}
        if end.succeeded and gone:
            self.tries = [
                each
                for role in sorted(gone & addresses.keys())
                for each in await self.tries_to_enter(role, end, addresses[role])
            ]
        return end

    async def tries_to_enter(self, role: Role, after: Ending, address: str) -> list[Try]:
        """By the page that is open, by the app's ``address``, and by the icon's link; each in turn."""
        person, page = await self.person(role), self.visits[role].page
        if person.link is None:
            return []
        now = asyncio.get_running_loop().time
        found = []
        since = now() - after.at
        statuses = tuple(await asked_in_background(page, address))
        found.append(Try(person.name, "the page that was open", since, statuses=statuses))
        for how, url in (("the app's address", address), ("the icon's link", person.link)):
            since = now() - after.at
            found.append(Try(person.name, how, since, visit=await person.opens(url)))
        return found
