"""Item 4: by the gear, one user loses the app and another one gets it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_certify.check import Failed, Item
from talkdesk_certify.checks.mail import add_mail
from talkdesk_certify.checks.refused import links_refused, no_icon, open_pages_refused
from talkdesk_certify.checks.whose import known, shows_alone
from talkdesk_certify.reviewer.dialogue import user

if TYPE_CHECKING:
    from talkdesk_certify.scene import Scene


async def _both_launched(scene: Scene) -> None:
    await scene.visit("admin")
    await scene.visit("second")


item = Item("4", "Managing the app: modifying users", prepare=_both_launched)


@item.check(
    "gear",
    title="The gear opens the dialogue with the app's users",
    how="In My Apps the administrator clicks the gear; the users are listed, those with the app ticked.",
    fix="This is Talkdesk's own page: is the installation complete?",
)
async def gear(scene: Scene) -> str:
    """QA 4.1."""
    journey = scene.journey
    scene.page = page = await journey.opens_gear("Users")
    if not await user(page, journey.emails["second"]).is_checked():
        raise Failed(f"{journey.names['second']} is not among the app's users")
    return f"{await page.get_by_role('checkbox').count()} users"


@item.check(
    "success-message",
    title="The change ends with a message of success",
    how="The second user is unticked, a third one ticked, and saved; the last page says that the change "
    "is made. At that very moment the removed user tries to get in again, for the checks below.",
    fix="Read the message's reason, then the conditions of the TalkdeskInstallation: docs/conditions.md.",
    needs=("gear",),
)
async def success(scene: Scene) -> str:
    """QA 4.2, 4.3, and the message."""
    journey = scene.journey
    page = await journey.opens_gear("Users")
    await user(page, journey.emails["second"]).uncheck()
    await user(page, journey.emails["added"]).check()
    scene.page = page
    return (await journey.confirms("users", "Save the users")).success()


@item.check(
    "near-real-time",
    title="The change takes 10 seconds at the most",
    how="The time from the click on Save until the message is seen.",
    fix="Which condition came last (kubectl describe tdi)?",
    needs=("success-message",),
)
async def near_real_time(scene: Scene) -> str:
    """User experience: near real-time."""
    scene.page = scene.journey.dialogue
    return scene.journey.endings["users"].near_real_time()


@item.check(
    "removed-icon",
    title="The app is gone from the removed user's My Apps",
    how="The removed user loads My Apps: there is no icon.",
    fix="This is Talkdesk's own page: was the change really confirmed?",
    needs=("success-message",),
)
async def removed_icon(scene: Scene) -> str:
    """QA 4.4, of the removed user's apps."""
    return f"no icon for {await no_icon(scene, 'second')}"


@item.check(
    "removed-link",
    title="The removed user cannot enter by a link",
    how="At once after the message the removed user opens the app's address and the link of the icon, still "
    "signed in to Talkdesk and with the app's cookies: each is refused (4xx).",
    fix="Decide on each request by the licensed users, not by a session alone; put no cache before the app.",
    needs=("success-message",),
)
async def removed_link(scene: Scene) -> str:
    """QA 4.4, of links."""
    return await links_refused(scene)


@item.check(
    "removed-open-page",
    title="A page that the removed user had open gets nothing more",
    how="At once after the message that page asks in the background: each request is refused (4xx).",
    fix="Decide on each request, those of scripts as well.",
    needs=("success-message",),
)
async def removed_open_page(scene: Scene) -> str:
    """QA 4.4, of what was open."""
    scene.page = scene.journey.visits["second"].page
    return open_pages_refused(scene)


@item.check(
    "added-launches",
    title="The added user launches the app, as themself",
    how="The added user signs in to Talkdesk and clicks the icon: a page of the app without a login, "
    "with this user's name or e-mail address, and nobody else's of the account.",
    fix="Are users of an app.updated event licensed before the approval? See docs/users.md.",
    needs=("success-message",),
)
async def added_launches(scene: Scene) -> str:
    """QA 4.4, of the added user."""
    visit = await scene.visit("added")
    await visit.entered()
    await visit.unasked()
    return f"the app shows {await shows_alone(visit, *known(scene.journey, 'added'))}: {visit.told}"


add_mail(item, after="success-message")
