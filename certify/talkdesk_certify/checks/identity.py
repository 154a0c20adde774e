"""Item 7: the same e-mail address in two accounts is two users."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_certify.check import Failed, Item, NotReached
from talkdesk_certify.checks.whose import shows_alone

if TYPE_CHECKING:
    from talkdesk_certify.journey import Journey
    from talkdesk_certify.scene import Scene

item = Item("7", "Agent e-mail validation")


def _second(scene: Scene) -> Journey:
    if not scene.others:
        raise NotReached("there is no second account")
    return scene.others[0]


async def _install(scene: Scene, journey: Journey) -> str:
    try:
        await journey.installed()
    except NotReached as problem:
        # Elsewhere an installation is what a check starts from; here it is what is looked at.
        raise Failed(str(problem)) from problem
    finally:
        scene.page = journey.dialogue
    return f"{journey.account.name} has the app for {journey.emails['admin']}"


async def _is_own(scene: Scene, journey: Journey, other: Journey) -> str:
    visit = await journey.visit("admin")
    scene.page = visit.page
    await visit.entered()
    await visit.unasked()
    # The address is the same in both accounts: it tells nobody apart.
    name = await shows_alone(visit, [journey.names["admin"]], [other.names["admin"]])
    account = await shows_alone(visit, [journey.account.name], [other.account.name])
    return f"{name} of {account}, at {visit.origin}"


@item.check(
    "first-installation",
    title="The app is installed for an agent of a first account",
    how="An agent is added to a new account, and installs the app there.",
    fix="As for item 1.",
)
async def first_installation(scene: Scene) -> str:
    """QA 7.1 and 7.2."""
    return await _install(scene, scene.journey)


@item.check(
    "first-identity",
    title="The agent is in, with the first account's data",
    how="The agent launches the app: it shows the agent's name and the account's.",
    fix="As for item 2.",
    needs=("first-installation",),
)
async def first_identity(scene: Scene) -> str:
    """QA 7, before the second account."""
    return await _is_own(scene, scene.journey, _second(scene))


@item.check(
    "second-installation",
    title="The app is installed for an agent with the same e-mail address in a second account",
    how="An agent with that very address is added to a new account of another region, and installs the "
    "app there.",
    fix="Key installations by Talkdesk's installation id and account id.",
    needs=("first-installation",),
)
async def second_installation(scene: Scene) -> str:
    """QA 7.3 and 7.4: the second installation succeeds."""
    return await _install(scene, _second(scene))


@item.check(
    "second-identity",
    title="There the agent is somebody else, with the second account's data",
    how="The agent of the second account launches the app: it shows this agent's name and account, "
    "nothing of the first.",
    fix="Key users by Talkdesk's user id: an e-mail address is no identity.",
    needs=("second-installation", "first-identity"),
)
async def second_identity(scene: Scene) -> str:
    """QA 7: identity by id."""
    return await _is_own(scene, _second(scene), scene.journey)


@item.check(
    "apart",
    title="The first account is as it was",
    how="The first agent loads the app's page again: still the first agent's name and account.",
    fix="Key users by Talkdesk's user id: an e-mail address is no identity.",
    needs=("second-identity",),
)
async def apart(scene: Scene) -> str:
    """QA 7: and stays so."""
    first = scene.journey
    visit = await first.visit("admin")
    first.visits["admin"] = await (await first.person("admin")).opens(visit.page.url, visit.page)
    return await _is_own(scene, first, _second(scene))
