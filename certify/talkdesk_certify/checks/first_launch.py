"""Item 2: the app is launched for the first time after the installation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from talkdesk_certify.check import Failed, Item
from talkdesk_certify.checks.launching import add_launching, talkdesk_hosts
from talkdesk_certify.reviewer.background import fetched_in_background
from talkdesk_certify.reviewer.visit import SPEAKING

if TYPE_CHECKING:
    from playwright.async_api import Response

    from talkdesk_certify.reviewer.visit import Visit
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
    r"(token|session)\b[^.]{0,60}\b(expired|ended|invalid|timed out)|unauthori[sz]ed", re.IGNORECASE
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
    how="Talkdesk's clock is moved on by an hour, by which all its tokens have expired. Then the open "
    "page asks in the background, and is loaded anew: no refusal, no login, no message of an expired token "
    "or session.",
    fix="Renew tokens before they expire, on the server, and never show a background request's refusal.",
    needs=("no-login",),
)
async def expired_tokens(scene: Scene) -> str:
    """User experience: expired tokens."""
    journey = scene.journey
    visit = await scene.visit("admin")
    page, refused = visit.page, []

    def hear(response: Response) -> None:
        if response.status in (401, 403):
            refused.append(f"{response.status} {response.request.method} {response.request.resource_type}")

    page.on("response", hear)
    try:
        await journey.console.moves_clock(EXPIRY_SECONDS)
        statuses = await fetched_in_background(page)
        _nothing_said(page_words=await visit.words(), alerts=await _alerts(visit))
        again = await (await journey.person("admin")).opens(page.url, page)
    finally:
        page.remove_listener("response", hear)
    if refused or any(status != 200 for status in statuses):
        raise Failed(f"background requests were answered {refused or statuses}")
    await again.entered()
    await again.unasked()
    _nothing_said(page_words=await again.words(), alerts=await _alerts(again))
    return f"an hour later: {len(statuses)} background requests 200, loaded anew: {again.status}"


async def _alerts(visit: Visit) -> list[str]:
    alerts = visit.page.get_by_role("alert")
    return [text for text in await alerts.all_inner_texts() if text.strip()]


def _nothing_said(*, page_words: str, alerts: list[str]) -> None:
    if alerts:
        raise Failed(f"the page raises an alarm: {alerts[0][:120]!r}")
    if found := _EXPIRED.search(page_words):
        raise Failed(f"the page speaks of it: {found[0]!r}")
