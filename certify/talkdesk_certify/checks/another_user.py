"""Item 3: another user of the account launches the app."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_certify.check import Failed, Item
from talkdesk_certify.checks.launching import add_launching
from talkdesk_certify.checks.refused import refused_in_time
from talkdesk_certify.checks.whose import known, shows_alone

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
    # A page that is cut off may go elsewhere by itself: the app is asked where it was.
    address = visit.page.url
    person = await journey.person("second")
    await person.apps()
    await person.desk.get_by_role("link", name="Sign out", exact=True).click()
    took = await refused_in_time(visit.page, address)
    again = await person.opens(address, visit.page)
    # They come back in a new browser, for the next check.
    journey.leaves("second")
    if not again.hops[-1].url.startswith(journey.account.host):
        raise Failed(f"the app's address does not lead to Talkdesk: {again.way}")
    return f"after {took:.1f} s the open page is refused, and the app's address leads to Talkdesk"


@item.check(
    "signs-in-again",
    title="Who signed out is in again by signing in",
    how="In a new browser the user signs in to Talkdesk and clicks the icon: a page of the app without "
    "another login, with this user's name or e-mail address, and nobody else's of the account.",
    fix="A sign-out ends the sessions that there are, and is no bar to those that begin afterwards.",
    needs=("own-account", "sign-out"),
)
async def signs_in_again(scene: Scene) -> str:
    """Certification guidelines, of Single Sign-On after a sign-out."""
    visit = await scene.visit("second")
    await visit.entered()
    await visit.unasked()
    return f"the app shows {await shows_alone(visit, *known(scene.journey, 'second'))}: {visit.told}"
