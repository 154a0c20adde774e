"""Whoever has no access any more: what My Apps shows them, and what came of it when they tried to get in."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from talkdesk_certify.check import Failed
from talkdesk_certify.reviewer.background import asked_in_background
from talkdesk_certify.reviewer.dialogue import NEAR_REAL_TIME_SECONDS

if TYPE_CHECKING:
    from playwright.async_api import Page

    from talkdesk_certify.journey import Role
    from talkdesk_certify.scene import Scene


async def no_icon(scene: Scene, role: Role) -> str:
    """My Apps of that person has no icon of the app; their name. Raises Failed."""
    person = await scene.journey.person(role)
    scene.page = await person.apps()
    if await person.icon(scene.app).count():
        raise Failed(f"My Apps of {person.name} still has the icon")
    return person.name


async def links_refused(scene: Scene) -> str:
    """Every link led to a refusal. Raises Failed."""
    seen = []
    for one in scene.journey.tries:
        if one.visit is None:
            continue
        scene.page = one.visit.page
        told = f"{one.who} by {one.how}, {one.seconds:.1f} s after the message: {one.visit.status}"
        if not 400 <= one.visit.status < 500:
            raise Failed(f"{told}, not refused ({one.visit.way})")
        seen.append(told)
    if not seen:
        raise Failed("nobody had a link to try")
    return "; ".join(seen)


def open_pages_refused(scene: Scene) -> str:
    """What open pages asked for was refused. Raises Failed."""
    asked = [one for one in scene.journey.tries if one.statuses]
    for one in asked:
        if any(not 400 <= status < 500 for status in one.statuses):
            raise Failed(f"{one.how} of {one.who} was answered {', '.join(map(str, one.statuses))}")
    if not asked:
        raise Failed("nobody had a page open")
    return "; ".join(f"{one.who}: {', '.join(map(str, one.statuses))}" for one in asked)


async def refused_in_time(page: Page, url: str) -> float:
    """After how many seconds the open ``page`` gets nothing more of the app at ``url``, where it was before.

    Raises Failed where it still does.
    """
    now = asyncio.get_running_loop().time
    began = now()
    while True:
        statuses = await asked_in_background(page, url)
        if all(400 <= status < 500 for status in statuses):
            return now() - began
        if now() - began > NEAR_REAL_TIME_SECONDS:
            raise Failed(f"{now() - began:.0f} s later the open page is still answered {statuses}")
        await asyncio.sleep(0.2)
