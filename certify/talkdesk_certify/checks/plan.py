"""Item 5: by the gear, from the free plan to a paid one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_certify.check import Item
from talkdesk_certify.checks.mail import add_mail
from talkdesk_certify.reviewer.dialogue import choose_paid_plan

if TYPE_CHECKING:
    from talkdesk_certify.scene import Scene


async def _installed(scene: Scene) -> None:
    await scene.customer.installed()


item = Item("5", "Managing the app: upgrading from the free to a paid plan", prepare=_installed)


@item.check(
    "paid-plan",
    title="The gear offers a paid plan",
    how="In My Apps the administrator clicks the gear, then Plan; a plan with a price is chosen.",
    fix="Add a paid plan to the app's version.",
)
async def paid_plan(scene: Scene) -> str:
    """QA 5.1 and 5.2."""
    scene.page = page = await scene.journey.opens_gear("Plan")
    return f"plan {await choose_paid_plan(page)}"


@item.check(
    "success-message",
    title="The upgrade ends with a message of success",
    how="Change the plan is clicked; the last page says that the change is made.",
    fix="Read the message's reason, then the condition PlanKnown of the TalkdeskInstallation.",
    needs=("paid-plan",),
)
async def success(scene: Scene) -> str:
    """QA 5, the message."""
    scene.page = scene.journey.dialogue
    return (await scene.journey.confirms("plan", "Change the plan")).success()


@item.check(
    "near-real-time",
    title="The upgrade takes 10 seconds at the most",
    how="The time from the click on Change the plan until the message is seen.",
    fix="Which condition came last (kubectl describe tdi)? A plan's own template may start pods anew.",
    needs=("success-message",),
)
async def near_real_time(scene: Scene) -> str:
    """User experience: near real-time."""
    scene.page = scene.journey.dialogue
    return scene.journey.endings["plan"].near_real_time()


@item.check(
    "launches",
    title="The app is launched on the paid plan",
    how="The administrator clicks the icon: a page of the app, without a login.",
    fix="Read the page in the screenshot: it has a reference.",
    needs=("success-message",),
)
async def launches(scene: Scene) -> str:
    """QA 5.3."""
    admin = await scene.journey.person("admin")
    visit = await admin.launches(scene.app)
    scene.page = visit.page
    await visit.entered()
    await visit.unasked()
    return visit.told


add_mail(item, after="success-message")
