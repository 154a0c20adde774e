"""A whole run: which items are walked beside each other, with which customers."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from playwright.async_api import Error as BrowserError

from talkdesk_certify.check import Failed
from talkdesk_certify.checks import (
    IDENTITY,
    RESELLER_ID,
    RESELLER_TITLE,
    TERMS,
    WALK,
    for_customers,
    for_resellers,
)
from talkdesk_certify.guest import Guest
from talkdesk_certify.journey import NAMES, Journey
from talkdesk_certify.result import Certification, CheckResult, ItemResult
from talkdesk_certify.reviewer.console import Console
from talkdesk_certify.reviewer.person import window
from talkdesk_certify.reviewer.steady import Steady
from talkdesk_certify.scene import Scene
from talkdesk_certify.target import Sandbox
from talkdesk_certify.walk import SHOTS, Walker, first_line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from playwright.async_api import Browser

    from talkdesk_certify.check import Item
    from talkdesk_certify.journey import Role
    from talkdesk_certify.reviewer.console import Account
    from talkdesk_certify.target import Deployment, Target

#: What can be asked for by itself: the items, and the parts of item 8.
SECTIONS = (*(item.id for item in WALK), "7", *(f"{RESELLER_ID}.{item.id}" for item in WALK), "9")

#: Items that one user of a real deployment can walk, without anything being changed at Talkdesk.
_BY_ONE_USER = frozenset({"2", "9"})


def sections(wanted: Sequence[str]) -> frozenset[str]:
    """The sections that ``wanted`` names; all, where it names none. Raises ValueError."""
    found: set[str] = set()
    for one in wanted:
        parts = {each for each in SECTIONS if each == one or each.startswith(f"{one}.")}
        if not parts:
            raise ValueError(f"there is no item {one!r}: items are 1 to 9, and 8.1 to 8.6")
        found |= parts
    return frozenset(found or SECTIONS)


async def certify(
    target: Target,
    browser: Browser,
    *,
    folder: Path,
    items: Sequence[str] = (),
    tell: Callable[[CheckResult], None] = lambda _: None,
    steady: Steady | None = None,
) -> Certification:
    """Walk ``items`` (all, where none is named), with pictures in ``folder``.

    :param tell: hears every result at once.
    :param steady: what several runs share that go on beside each other in one sandbox.

    Raises ValueError for an item that does not exist, NotReached where the sandbox lacks what a run needs.
    """
    wanted = sections(items)
    (folder / SHOTS).mkdir(parents=True, exist_ok=True)
    began, clock = datetime.now(UTC), time.perf_counter()
    walker = Walker(folder, tell)
    if isinstance(target, Sandbox):
        found = await _in_sandbox(_Run(target, browser, walker, wanted, steady or Steady()))
    else:
        found = await _from_outside(target, browser, walker, wanted)
    return Certification(
        app=target.app,
        target=target.name,
        began=began,
        seconds=round(time.perf_counter() - clock, 1),
        items=tuple(sorted(found, key=lambda item: int(item.id))),
    )


@dataclass
class _Run:
    target: Sandbox
    browser: Browser
    walker: Walker
    wanted: frozenset[str]
    steady: Steady

    @contextlib.asynccontextmanager
    async def console(self) -> AsyncIterator[tuple[Console, str]]:
        """The console, and the app's private-install link."""
        office = await window(self.browser, proxy=self.target.proxy)
        try:
            console = Console(self.target.console, office, self.steady)
            link = self.target.install_link or await console.install_link(self.target.app)
            yield console, link
        finally:
            await office.close()

    def journey(
        self, console: Console, account: Account, link: str, *, agent: tuple[str, str] | None = None
    ) -> Journey:
        """A customer with the three people; or with one ``agent`` alone, by name and address."""
        names: dict[Role, str] = {"admin": agent[0]} if agent else dict(NAMES)
        emails: dict[Role, str] = {role: _address(name, account.name) for role, name in names.items()}
        if agent:
            emails["admin"] = agent[1]
        return Journey(
            browser=self.browser,
            console=console,
            account=account,
            app=self.target.app,
            install_link=link,
            emails=emails,
            names=names,
            proxy=self.target.proxy,
        )

    async def item(self, item: Item, scene: Scene) -> ItemResult:
        """Walk an item."""
        return await self.walker.walk(
            scene, id=item.id, title=item.title, checks=for_customers(item), prepare=item.prepare
        )


async def _in_sandbox(run: _Run) -> list[ItemResult]:
    async with run.console() as (console, link):
        tracks = []
        if run.wanted & {*(item.id for item in WALK), TERMS.id}:
            tracks.append(_walk(run, console, link))
        if any(one.startswith(f"{RESELLER_ID}.") for one in run.wanted):
            tracks.append(_walk_as_reseller(run, console, link))
        if IDENTITY.id in run.wanted:
            tracks.append(_two_accounts(run, console, link))
        return [item for track in await asyncio.gather(*tracks) for item in track]


async def _walk(run: _Run, console: Console, link: str) -> list[ItemResult]:
    """Items 1 to 6 in one account, and 9 before the app is uninstalled."""
    journey = run.journey(console, await console.new_account(_name("customer"), "eu"), link)
    async with _living(journey):
        scene = Scene(app=run.target.app, customer=journey, bar=run.target.bar)
        order = (*WALK[:-1], TERMS, WALK[-1])
        return [await run.item(item, scene) for item in order if item.id in run.wanted]


async def _walk_as_reseller(run: _Run, console: Console, link: str) -> list[ItemResult]:
    """Items 1 to 6 in a reseller's account, as item 8."""
    journey = run.journey(console, await console.account(run.target.reseller), link)
    async with _living(journey):
        scene = Scene(app=run.target.app, customer=journey, bar=run.target.bar)
        wanted = [item for item in WALK if f"{RESELLER_ID}.{item.id}" in run.wanted]
        try:
            await _not_installed_yet(journey)
        except Failed as failed:
            scene.page = journey.dialogue
            why = f"what an earlier run left in {journey.account.name} could not be uninstalled: {failed}"
            return [await _given_up(run, scene, wanted, why)]
        parts = [
            await run.walker.walk(
                scene, id=RESELLER_ID, title=item.title, checks=for_resellers(item), prepare=item.prepare
            )
            for item in wanted
        ]
    return [
        ItemResult(
            id=RESELLER_ID,
            title=RESELLER_TITLE,
            checks=tuple(check for part in parts for check in part.checks),
            seconds=round(sum(part.seconds for part in parts), 1),
        )
    ]


async def _given_up(run: _Run, scene: Scene, wanted: Sequence[Item], why: str) -> ItemResult:
    """Item 8 where nothing can be begun."""
    checks = [check for item in wanted for check in for_resellers(item)]
    return await run.walker.given_up(scene, id=RESELLER_ID, title=RESELLER_TITLE, checks=checks, why=why)


async def _two_accounts(run: _Run, console: Console, link: str) -> list[ItemResult]:
    """Item 7: two accounts, in two regions, and one address in both."""
    address = f"agent-{secrets.token_hex(3)}@agency.example"
    journeys = []
    for region, name in (("eu", "Ines Duarte"), ("us", "Noor Adel")):
        account = await console.new_account(_name("agency"), region)
        journeys.append(run.journey(console, account, link, agent=(name, address)))
    async with _living(journeys[0]), _living(journeys[1]):
        scene = Scene(app=run.target.app, customer=journeys[0], others=journeys[1:])
        return [await run.item(IDENTITY, scene)]


async def _from_outside(
    target: Deployment, browser: Browser, walker: Walker, wanted: frozenset[str]
) -> list[ItemResult]:
    """What needs no simulator, as one user; all other checks are told as left out."""
    guest = Guest(browser, target)
    scene = Scene(app=target.app, customer=guest, bar=target.bar)
    resellers = [check for item in WALK for check in for_resellers(item)]
    parts = [(item.id, item.title, for_customers(item), item) for item in (*WALK, IDENTITY, TERMS)]
    found = []
    try:
        for id_, title, checks, item in (*parts, (RESELLER_ID, RESELLER_TITLE, resellers, None)):
            if not any(one == id_ or one.startswith(f"{id_}.") for one in wanted):
                continue
            alone = id_ in _BY_ONE_USER
            found.append(
                await walker.walk(
                    scene,
                    id=id_,
                    title=title,
                    checks=checks if alone else [replace(check, simulator=True) for check in checks],
                    prepare=item.prepare if alone and item is not None else None,
                    simulator=False,
                )
            )
    finally:
        await guest.close()
    return found


@contextlib.asynccontextmanager
async def _living(journey: Journey) -> AsyncIterator[None]:
    """The customer has users; their windows close afterwards."""
    await journey.moves_in()
    try:
        yield
    finally:
        await journey.close()


async def _not_installed_yet(journey: Journey) -> None:
    """A reseller's account is used again: what an earlier run left there is uninstalled. Raises Failed."""
    try:
        admin = await journey.person("admin")
        await admin.apps()
        others = admin.desk.get_by_role("region", name="Installed for other users")
        if await admin.icon(journey.app).count() or await others.count():
            await journey.opens_gear("Uninstall")
            (await journey.confirms("uninstall", f"Uninstall {journey.app}")).success()
            del journey.endings["uninstall"]
    except BrowserError as problem:
        raise Failed(first_line(problem)) from problem


def _name(kind: str) -> str:
    return f"{kind}-{secrets.token_hex(3)}"


def _address(person: str, account: str) -> str:
    """An address that nobody else has: accounts are used again."""
    return f"{person.split(maxsplit=1)[0].lower()}-{secrets.token_hex(3)}@{account}.example"
