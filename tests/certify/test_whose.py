"""Whose page it is: told by the names and addresses that a page shows, as a reader has them before them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from talkdesk_certify.check import Failed
from talkdesk_certify.checks import another_user, identity, users
from talkdesk_certify.journey import NAMES, Journey
from talkdesk_certify.reviewer import drawn
from talkdesk_certify.reviewer.console import Account, Console
from talkdesk_certify.scene import Scene
from visited import pages, person_at

if TYPE_CHECKING:
    from talkdesk_certify.check import Item
    from talkdesk_certify.journey import Role
    from talkdesk_certify.reviewer.person import Person

pytestmark = [
    pytest.mark.processes,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.usefixtures("browser_up"),
    # Playwright leaves the pipes of its driver to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
_EMAILS: dict[Role, str] = {
    "admin": "mara-1a2b@acme.example",
    "second": "jon-3c4d@acme.example",
    "added": "lia-5e6f@acme.example",
}
_SHARED = "agent@agency.example"
_INES = "<h1>Ines Duarte</h1>of agency-1"


@pytest.fixture(autouse=True)
def _nobody_waits_for_what_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawn, "APPEARS_SECONDS", 0.1)


def _journey(person: Person, emails: dict[Role, str], **names: str) -> Journey:
    browser = person.context.browser
    assert browser is not None
    return Journey(
        browser=browser,
        console=Console("", person.context),
        account=Account(names.pop("account", "acme"), ""),
        app="App",
        install_link="",
        emails=emails,
        names={"admin": names["admin"]} if names else dict(NAMES),
    )


async def _judged(item: Item, name: str, scene: Scene) -> str:
    (check,) = [one for one in item.checks if one.id == f"{item.id}.{name}"]
    try:
        return await check.look(scene)
    except Failed as failed:
        return f"failed: {failed}"


async def _as_jon(said: str) -> str:
    """What ``own-account`` finds on a page of Jon's that says this."""
    async with person_at(pages(home=said)) as (person, root):
        journey = _journey(person, _EMAILS)
        journey.visits["second"] = await person.opens(f"{root}/home")
        return await _judged(another_user.item, "own-account", Scene(app="App", customer=journey))


async def _of_acme(said: str) -> str:
    """The same of ``account-data``."""
    async with person_at(pages(home=said)) as (person, root):
        journey = _journey(person, _EMAILS)
        journey.visits["second"] = await person.opens(f"{root}/home")
        return await _judged(another_user.item, "account-data", Scene(app="App", customer=journey))


async def _as_lia(said: str) -> str:
    """The same of ``added-launches``, of Lia's."""
    async with person_at(pages(home=said)) as (person, root):
        journey = _journey(person, _EMAILS)
        journey.visits["added"] = await person.opens(f"{root}/home")
        return await _judged(users.item, "added-launches", Scene(app="App", customer=journey))


async def test_who_is_shown_by_their_address_alone_is_shown() -> None:
    assert await _as_jon(f"<header>{_EMAILS['second']}</header>") == f"the app shows {_EMAILS['second']}"
    assert (await _as_lia(f"<p>{_EMAILS['added']}")).startswith(f"the app shows {_EMAILS['added']}: ")


async def test_who_is_greeted_by_name_beside_somebody_elses_address_is_not_alone() -> None:
    found = await _as_jon(f"<h1>Jon Reyes</h1><small>{_EMAILS['admin']}</small>")
    assert found == f"failed: this is Jon Reyes, and the app shows {_EMAILS['admin']}"
    found = await _as_lia(f"<h1>Lia Tanaka</h1><small>{_EMAILS['second']}</small>")
    assert found == f"failed: this is Lia Tanaka, and the app shows {_EMAILS['second']}"


async def test_a_name_in_capitals_is_that_name() -> None:
    assert await _as_jon('<h1 style="text-transform: uppercase">Jon Reyes</h1>') == "the app shows Jon Reyes"
    found = await _as_jon('<p>Jon Reyes<h1 style="text-transform: uppercase">Mara Voss</h1>')
    assert found == "failed: this is Jon Reyes, and the app shows Mara Voss"


async def test_who_is_shown_by_nothing_is_not_shown() -> None:
    expected = f"failed: the app shows neither Jon Reyes nor {_EMAILS['second']}"
    assert await _as_jon("<h1>Good morning</h1>") == expected


async def test_an_address_or_a_link_that_has_the_accounts_name_in_it_does_not_show_the_account() -> None:
    missing = "failed: the app does not show acme"
    assert await _of_acme(f"<p>{_EMAILS['admin']}, https://acme.mytalkdesk.com/apps") == missing
    assert await _of_acme(f"<p>{_EMAILS['admin']} of Acme") == "the app shows the account acme"


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (f"<h1>INES DUARTE</h1>of agency-1, {_SHARED}", "Ines Duarte of agency-1, at "),
        (f"<h1>Agency-1</h1>{_SHARED}", "failed: the app does not show Ines Duarte"),
        (f"<h1>Ines Duarte</h1>{_SHARED}", "failed: the app does not show agency-1"),
        (
            "<h1>Ines Duarte</h1>of agency-1<p>NOOR ADEL",
            "failed: this is Ines Duarte, and the app shows Noor Adel",
        ),
        (
            "<h1>Ines Duarte</h1>of agency-1<p>AGENCY-2",
            "failed: this is agency-1, and the app shows agency-2",
        ),
    ],
    ids=["as it is", "by the address", "without account", "the other agent", "the other account"],
)
async def test_an_address_that_two_accounts_share_tells_nobody_apart(said: str, found: str) -> None:
    async with person_at(pages(home=said)) as (person, root):
        first = _journey(person, {"admin": _SHARED}, admin="Ines Duarte", account="agency-1")
        second = _journey(person, {"admin": _SHARED}, admin="Noor Adel", account="agency-2")
        first.visits["admin"] = await person.opens(f"{root}/home")
        scene = Scene(app="App", customer=first, others=[second])
        assert (await _judged(identity.item, "first-identity", scene)).startswith(found)
