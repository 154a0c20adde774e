"""Item 2: the app is launched for the first time after the installation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from talkdesk_certify.check import Failed, Item
from talkdesk_certify.checks.launching import add_launching, talkdesk_hosts
from talkdesk_certify.reviewer.background import fetched_in_background
from talkdesk_certify.reviewer.drawn import settled
from talkdesk_certify.reviewer.visit import SPEAKING, Hop

if TYPE_CHECKING:
    from playwright.async_api import Page, Response

    from talkdesk_certify.scene import Scene


async def _installed(scene: Scene) -> None:
    await scene.customer.installed()


item = Item("2", "First-time app launch", prepare=_installed)
add_launching(item, "admin")

#: Longer than any token of Talkdesk's lives.
EXPIRY_SECONDS = 3600
_HELP = re.compile(
    r"welcome|tour|show me|get(ting)? started|tutorial|guide|first (steps|visit)", re.IGNORECASE
)
_EXPIRED = re.compile(
    r"(token|session)\b[^.]{0,60}?\b(expired|ended|invalid|timed out)|unauthori[sz]ed", re.IGNORECASE
)


@item.check(
    "region-host",
    title="The sign-on is at the account's own region",
    how="Of Talkdesk's hosts on the way from the icon to the app, all are the account's own identity host.",
    fix="Take Talkdesk's hosts from the event's links and the region table, never from a constant.",
    needs=("launches",),
)
async def region_host(scene: Scene) -> str:
    """Technical requirements, of the base URL."""
    visit = await scene.visit("admin")
    own = scene.journey.account.host
    right, wrong = talkdesk_hosts([hop.url for hop in visit.hops], own=own)
    if wrong:
        raise Failed(f"the sign-on went to {wrong[0]}, and the account is at {own}")
    if not right:
        raise Failed(f"the sign-on did not pass the account's own host {own}: {visit.way}")
    return f"{right[0]} alone"


@item.check(
    "onboarding",
    title="The first visit offers help to begin with",
    how="A dialogue, or a heading, button or link that speaks of a welcome, tour, tutorial or guide, is "
    "seen.",
    fix="Show a short tour on each user's first visit, and let it be called again.",
    needs=("no-login",),
    simulator=False,
)
async def onboarding(scene: Scene) -> str:
    """User experience: onboarding assistance."""
    page = (await scene.visit("admin")).page
    if await page.get_by_role("dialog").count():
        said = await page.get_by_role("dialog").first.inner_text()
        return f"a dialogue: “{' '.join(said.split())[:80]}”"
    for role in SPEAKING:
        found = page.get_by_role(role, name=_HELP)
        if await found.count():
            return f"a {role}: “{await found.first.inner_text()}”"
    raise Failed("no dialogue, heading, button or link that helps to begin")


@item.check(
    "expired-tokens",
    title="Tokens that expire are not noticed",
    how="The app's page is loaded, and Talkdesk's clock is moved on by an hour, by which all its tokens have "
    "expired. Then the open page asks in the background, and is loaded anew: no refusal, no login, no alarm "
    "and no word of an expired token or session that was not there before the clock was moved.",
    fix="Renew tokens before they expire, on the server, and never show a background request's refusal.",
    needs=("no-login",),
)
async def expired_tokens(scene: Scene) -> str:
    """User experience: expired tokens."""
    journey, visit = scene.journey, await scene.visit("admin")
    page, address = visit.page, visit.page.url
    refused: list[str] = []

    def hear(response: Response) -> None:
        if response.status in (401, 403):
            refused.append(f"{response.request.method} {Hop(response.status, response.url)}")

    page.on("response", hear)
    try:
        # What has long been on the page, and what passes by whenever it is loaded.
        before = set(await _complaints(page))
        await (await journey.person("admin")).opens(address, page)
        await settled(page)
        before |= {*await _complaints(page), *refused}
        await journey.console.moves_clock(EXPIRY_SECONDS)
        statuses = await fetched_in_background(page, address)
        _nothing_new(await _complaints(page), before)
        again = await (await journey.person("admin")).opens(address, page)
        await settled(page)
    finally:
        page.remove_listener("response", hear)
    answered = [one for one in refused if one not in before]
    if answered or any(status != 200 for status in statuses):
        raise Failed(f"background requests were answered {answered or statuses}")
    await again.entered()
    await again.unasked()
    _nothing_new(await _complaints(page), before)
    return f"an hour later: {len(statuses)} background requests 200, loaded anew: {again.status}"


async def _complaints(page: Page) -> list[str]:
    """The page's alarms, and the lines in which it speaks of an expired token."""
    alarms = [one.strip() for one in await page.get_by_role("alert").all_inner_texts()]
    words = await page.locator("body").inner_text()
    found = [f"the page raises an alarm: {one!r}" for one in alarms if one]
    for one in _EXPIRED.finditer(words):
        begin, end = words.rfind("\n", 0, one.start()) + 1, words.find("\n", one.end())
        line = words[begin : end if end >= 0 else None].strip()
        found.append(f"the page speaks of it: {line!r}")
    return found


def _nothing_new(complaints: list[str], before: set[str]) -> None:
    """An app may have alarms and such words of its own: those of ``before`` are no failure. Raises Failed."""
    for one in complaints:
        if one not in before:
            raise Failed(one[:200])
