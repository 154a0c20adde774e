"""Item 6: the app is uninstalled."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from talkdesk_certify.check import Failed, Item
from talkdesk_certify.checks.mail import add_mail
from talkdesk_certify.checks.refused import links_refused, no_icon, open_pages_refused, refused_in_time
from talkdesk_certify.reviewer.prose import ADDRESS

if TYPE_CHECKING:
    from talkdesk_certify.scene import Scene


async def _launched(scene: Scene) -> None:
    await scene.visit("admin")


item = Item("6", "Uninstalling the app", prepare=_launched)
_TRIAL = re.compile(r"\btrial\b", re.IGNORECASE)


@item.check(
    "success-message",
    title="The uninstallation ends with a message of success",
    how="By the gear the administrator uninstalls the app; the last page says that it is done. At that very "
    "moment its users try to get in again, for the checks below.",
    fix="Talkdesk waits for an approval: the condition Confirmed of the TalkdeskInstallation says what "
    "is missing.",
)
async def success(scene: Scene) -> str:
    """QA 6.1."""
    scene.page = await scene.journey.opens_gear("Uninstall")
    return (await scene.journey.confirms("uninstall", f"Uninstall {scene.app}")).success()


@item.check(
    "near-real-time",
    title="The uninstallation takes 10 seconds at the most",
    how="The time from the click on Uninstall until the message is seen.",
    fix="Approve once access has ended; what is deleted may take longer.",
    needs=("success-message",),
)
async def near_real_time(scene: Scene) -> str:
    """QA 6, of the time."""
    scene.page = scene.journey.dialogue
    return scene.journey.endings["uninstall"].near_real_time()


@item.check(
    "not-installed",
    title="The dialogue, opened again, shows the app as not installed",
    how="In My Apps the administrator clicks the gear once more.",
    fix="This is Talkdesk's own page: was the uninstallation confirmed?",
    needs=("success-message",),
)
async def not_installed(scene: Scene) -> str:
    """QA 6.2."""
    journey = scene.journey
    admin = await journey.person("admin")
    scene.page = page = await admin.apps()
    await admin.gear(scene.app).first.click()
    said = page.get_by_text("is not installed")
    if not await said.count():
        raise Failed("the dialogue does not say that the app is not installed")
    return f"“{' '.join((await said.first.inner_text()).split())}”"


@item.check(
    "icon-gone",
    title="The app is gone from My Apps of its users",
    how="Everybody who had the app loads My Apps: there is no icon.",
    fix="This is Talkdesk's own page: was the uninstallation confirmed?",
    needs=("success-message",),
)
async def icon_gone(scene: Scene) -> str:
    """QA 6, of the users' apps."""
    journey = scene.journey
    before = sorted(journey.licensed & set(journey.people))
    for role in before:
        await no_icon(scene, role)
    return f"no icon for {len(before)} users"


@item.check(
    "no-link",
    title="The account's users cannot enter by a link",
    how="At once after the message they open the app's address and the link of the icon: each is "
    "refused (4xx).",
    fix="Decide on each request by the state of the installation; put no cache before the app.",
    needs=("success-message",),
)
async def no_link(scene: Scene) -> str:
    """QA 6, of links."""
    return await links_refused(scene)


@item.check(
    "no-open-page",
    title="Pages that were open get nothing more",
    how="At once after the message they ask in the background: each request is refused (4xx).",
    fix="Decide on each request, those of scripts as well.",
    needs=("success-message",),
)
async def no_open_page(scene: Scene) -> str:
    """QA 6, of what was open."""
    await scene.visit("admin")
    return open_pages_refused(scene)


add_mail(item, after="success-message")


@item.check(
    "installs-again",
    title="The app can be installed again in the same account",
    how="The private-install link is opened once more, and the dialogue gone through: it ends with a "
    "message of success, and the administrator launches the app.",
    fix="Key what is kept by account, and what a request belongs to by installation: "
    "docs/life-of-a-tenant.md.",
    needs=("not-installed",),
)
async def installs_again(scene: Scene) -> str:
    """App launch and enablement, of reinstallations."""
    visit = await scene.journey.installs_again()
    scene.page = visit.page
    await visit.entered()
    await visit.unasked()
    return visit.told


@item.check(
    "trial-ended",
    title="A trial that ends shuts the app, and the app says so",
    how="Talkdesk ends the new installation's trial (by the console's controls). Within 10 s the page that "
    "is open gets nothing more, and the app's address is refused (4xx) by a page that speaks of the trial "
    "and has an e-mail address or a link.",
    fix="Let app.trial_ended end the access, and set spec.contact and spec.links.upgrade.",
    needs=("installs-again",),
    accounts="customers",
)
async def trial_ended(scene: Scene) -> str:
    """Certification guidelines, of the expiration of trials."""
    journey = scene.journey
    visit = await scene.visit("admin")
    address = visit.page.url
    await journey.console.ends_trial(journey.account, scene.app)
    took = await refused_in_time(visit.page, address)
    refused = await (await journey.person("admin")).opens(address, visit.page)
    words = await refused.words()
    if not 400 <= refused.status < 500:
        raise Failed(f"the app's address is not refused: {refused.way}")
    if not _TRIAL.search(words):
        raise Failed(f"the page does not speak of the trial: {' '.join(words.split())[:160]!r}")
    if not ADDRESS.search(words) and not await refused.page.locator("a[href]:visible").count():
        raise Failed("the page names nobody to ask, and has no link to go on")
    return f"refused after {took:.1f} s: {refused.status}, “{words.strip().splitlines()[0]}”"
