"""Item 3: another user of the account launches the app."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_certify.check import Failed, Item
from talkdesk_certify.checks.launching import add_launching
from talkdesk_certify.checks.refused import refused_in_time

if TYPE_CHECKING:
    from talkdesk_certify.scene import Scene


async def _launched(scene: Scene) -> None:
    await scene.visit("admin")


item = Item("3", "Launching the app with another user", prepare=_launched)
add_launching(item, "second")


@item.check(
    "sign-out",
    title="Signing out of Talkdesk signs out of the app",
    how="The user signs out of Talkdesk. Within 10 s the page that is open in the app gets nothing more "
    "(4xx), and the app's address leads to Talkdesk's sign-in.",
    fix="Let Talkdesk's support turn user.logout events on, and end sessions by them.",
    needs=("no-login",),
)
async def sign_out(scene: Scene) -> str:
    """Certification guidelines, of Single Sign-Out."""
    journey = scene.journey
    visit = await scene.visit("second")
    person = await journey.person("second")
    await person.apps()
    await person.desk.get_by_role("link", name="Sign out", exact=True).click()
    took = await refused_in_time(visit.page)
    again = await person.opens(visit.page.url, visit.page)
    # They come back later, as anybody does in the morning.
    journey.leaves("second")
    if not again.hops[-1].url.startswith(journey.account.host):
        raise Failed(f"the app's address does not lead to Talkdesk: {again.way}")
    return f"after {took:.1f} s the open page is refused, and the app's address leads to Talkdesk"
