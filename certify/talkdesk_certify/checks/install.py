"""Item 1: installing the app on its free plan, by the private-install link."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from talkdesk_certify.check import Failed, Item, NotReached
from talkdesk_certify.checks.mail import add_mail
from talkdesk_certify.checks.terms import terms_open

if TYPE_CHECKING:
    from talkdesk_certify.scene import Scene

item = Item("1", "Free trial installation")
_TERMS = re.compile("terms of service", re.IGNORECASE)


@item.check(
    "install-link",
    title="The private-install link opens the install dialogue",
    how="An administrator who is signed in to Talkdesk opens the link and chooses the account.",
    fix="Is the version submitted, and the link of the current version?",
)
async def install_link(scene: Scene) -> str:
    """QA 1.1."""
    scene.page = page = await scene.journey.opens_install_link()
    return f"“{await page.get_by_role('heading', level=1).inner_text()}” in {scene.journey.account.name}"


@item.check(
    "terms",
    title="The terms of service that the dialogue links to are there",
    how="The link in the dialogue is clicked; a page answers with 200 and speaks of terms.",
    fix="Correct the terms-of-service URL of the app's version at Talkdesk.",
    needs=("install-link",),
)
async def terms(scene: Scene) -> str:
    """QA 1, of the terms."""
    journey = scene.journey
    if journey.dialogue is None:
        raise NotReached("no dialogue is open")
    admin = await journey.person("admin")
    link = journey.dialogue.get_by_role("link", name=_TERMS)
    visit, said = await terms_open(admin, link)
    scene.page = visit.page
    return said


@item.check(
    "free-plan",
    title="A free plan can be chosen",
    how="The step Plans offers a plan whose price is free; it is chosen.",
    fix="Add a trial plan of 30 days to the app's version.",
    needs=("install-link",),
)
async def free_plan(scene: Scene) -> str:
    """QA 1.2."""
    scene.page = scene.journey.dialogue
    return f"plan {await scene.journey.chooses_free_plan()}"


@item.check(
    "two-users",
    title="At least two users can be chosen",
    how="The step Users offers the account's users; the administrator and another one are chosen.",
    fix="Allow the plan at least two licences.",
    needs=("free-plan",),
)
async def two_users(scene: Scene) -> str:
    """QA 1.3."""
    scene.page = scene.journey.dialogue
    number = await scene.journey.chooses_users()
    if number < 2:
        raise Failed(f"{number} user could be chosen")
    return f"{number} users"


@item.check(
    "completed",
    title="The installation ends with a message of success",
    how="Install is clicked; the dialogue's last page says within a minute that the app is installed.",
    fix="Read the message's reason, then the conditions of the TalkdeskInstallation: docs/conditions.md.",
    needs=("two-users",),
)
async def completed(scene: Scene) -> str:
    """QA 1.4."""
    scene.page = scene.journey.dialogue
    return (await scene.journey.confirms_installation()).success()


@item.check(
    "near-real-time",
    title="The installation takes 10 seconds at the most",
    how="The time from the click on Install until the message is seen, by the browser's side.",
    fix="Which condition came last (kubectl describe tdi)? Mostly images that are pulled, and slow "
    "readiness.",
    needs=("completed",),
)
async def near_real_time(scene: Scene) -> str:
    """QA 1, of the time."""
    scene.page = scene.journey.dialogue
    return scene.journey.endings["install"].near_real_time()


@item.check(
    "usable-at-once",
    title="The app can be used at once after the message",
    how="As soon as the message is there the icon in My Apps is clicked: a page of the app. What says "
    "that it goes on by itself (202) may stand before it for 10 s, and is told.",
    fix="Approve when the workload is usable (approval.gate WorkloadReady, and a probe of what users see).",
    needs=("completed",),
)
async def usable_at_once(scene: Scene) -> str:
    """User experience: a functional experience immediately."""
    visit = await scene.visit("admin")
    await visit.entered()
    return visit.told


add_mail(item, after="completed", to="to who installed the app ", fix="Is the chart's smtp set? ")
