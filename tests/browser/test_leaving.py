"""Whoever is out is out at the next request, by any way back: QA items 4 and 6, the trial's end, sign-out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from browsing.bar import assert_bar
from browsing.market import PATIENCE
from browsing.person import all_refused, who

if TYPE_CHECKING:
    from playwright.async_api import Page

    from browsing.market import Customer
    from browsing.person import Person, Visit

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.asyncio(loop_scope="session"),
    # Playwright leaves the pipes of its driver to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

_LISTEN = """new Promise(open => {
    const socket = new WebSocket(`ws://${location.host}/clock`);
    window.ending = new Promise(done => { socket.onclose = ({code, reason}) => done([code, reason]) });
    socket.onopen = () => open();
})"""


async def ending(page: Page) -> tuple[int, str]:
    """How the WebSocket of ``page`` was closed: code and reason. Waits for it."""
    code, reason = await asyncio.wait_for(page.evaluate("window.ending"), PATIENCE)
    return code, reason


async def enters(person: Person, customer: Customer, user: str) -> tuple[Page, Visit]:
    """Their page at Talkdesk, and the one in the app, a little used: ``/``, then ``/calls``."""
    talkdesk = await person.signs_in(customer, user)
    visit = await person.clicks_icon(talkdesk, customer, user)
    visit.assert_without_a_click()
    await visit.page.get_by_role("button", name="Close").click()
    await visit.page.get_by_role("link", name="Calls", exact=True).click()
    await visit.page.get_by_role("heading", name="Calls").wait_for()
    return talkdesk, visit


async def old_tab(person: Person, visit: Visit) -> Page:
    """Another tab that is open in the app and listens to it by a WebSocket."""
    page = await person.context.new_page()
    await page.goto(visit.origin)
    await page.evaluate(_LISTEN)
    return page


async def assert_out(
    person: Person, customer: Customer, user: str, talkdesk: Page, visit: Visit, *, says: str
) -> None:
    """Refused with a page that says why: where they are, back from there, by a link, by the icon."""
    await visit.page.reload()
    await visit.page.get_by_role("heading", name=says).wait_for()
    back = await visit.page.go_back()
    assert back is not None
    assert back.status == 403
    await visit.page.get_by_role("heading", name=says).wait_for()
    by_link = await person.clicks(talkdesk, f"{visit.origin}/calls?from=a+mail")
    assert by_link.status == 403
    again = await person.clicks_icon(talkdesk, customer, user)
    assert again.status == 403
    heading = again.page.get_by_role("heading", name=says)
    await heading.wait_for()
    assert await again.page.get_by_role("link", name="support@demo.localhost").is_visible()
    await person.shot(again.page, f"{says}, by the icon")


async def test_qa_4_a_removed_user_is_out_by_any_way_and_an_added_one_launches(
    town: Any, person: Any
) -> None:
    async with town.market.customer("umbrella") as acme:
        ada, ben, cleo = await person(), await person(), await person()
        _, hers = await enters(ada, acme, "Ada")
        talkdesk, his = await enters(ben, acme, "Ben")
        tab = await old_tab(ben, his)
        not_yet = await cleo.clicks_icon(await cleo.signs_in(acme, "Cleo"), acme, "Cleo")
        assert not_yet.status == 403
        await acme.update(adding=["Cleo"], removing=["Ben"])
        assert await ending(tab) == (1008, "access ended: not-licensed")
        await tab.get_by_role("alert").filter(has_text="You are no longer signed in here").wait_for()
        await ben.shot(tab, "the page that was open tells")
        await all_refused(tab)
        await assert_out(ben, acme, "Ben", talkdesk, his, says="You have no licence for this app")
        await acme.approved()
        theirs = await cleo.clicks_icon(cleo.context.pages[0], acme, "Cleo")
        theirs.assert_without_a_click()
        await theirs.page.get_by_role("heading", name="Hello, Cleo").wait_for()
        await assert_bar(cleo, theirs.page, "added user", says=acme.name)
        assert (await who(hers.page))["id"] == acme.users["Ada"]["id"]


async def test_qa_6_after_the_uninstallation_nobody_gets_in_by_link(town: Any, person: Any) -> None:
    async with town.market.customer("cyberdyne") as acme:
        ada, ben = await person(), await person()
        talkdesk, hers = await enters(ada, acme, "Ada")
        at_talkdesk, his = await enters(ben, acme, "Ben")
        tab = await old_tab(ada, hers)
        await acme.uninstall()
        assert (await ending(tab))[0] == 1008
        await all_refused(tab)
        await assert_out(ada, acme, "Ada", talkdesk, hers, says="This app was uninstalled")
        await assert_out(ben, acme, "Ben", at_talkdesk, his, says="This app was uninstalled")
        await acme.approved()
        # Installed again, the same link enters once more: same address, and nobody is new.
        await acme.install(1)
        await acme.approved()
        visit = await ada.clicks_icon(talkdesk, acme, "Ada")
        visit.assert_without_a_click()
        await visit.page.get_by_role("heading", name="Hello, Ada").wait_for()
        assert visit.origin == hers.origin
        assert await visit.page.get_by_role("dialog").count() == 0
        assert (await ben.clicks_icon(at_talkdesk, acme, "Ben")).status == 403


async def test_when_the_trial_has_ended_the_page_says_so_and_leads_to_the_plans(
    town: Any, person: Any
) -> None:
    async with town.market.customer("soylent") as acme:
        ada = await person()
        talkdesk, visit = await enters(ada, acme, "Ada")
        tab = await old_tab(ada, visit)
        await acme.trial_ends()
        assert (await ending(tab))[0] == 1008
        await all_refused(tab)
        await assert_out(ada, acme, "Ada", talkdesk, visit, says="Your trial has ended")
        await visit.page.get_by_role("link", name="Choose a plan").click()
        await visit.page.get_by_role("heading", name="Upgrade").wait_for()


async def test_signing_out_of_the_app_ends_every_browser_and_the_next_click_on_the_icon_signs_in_again(
    town: Any, person: Any
) -> None:
    async with town.market.customer("wonka") as acme:
        here, there, ben = await person(), await person(), await person()
        talkdesk, visit = await enters(here, acme, "Ada")
        elsewhere = await there.clicks_icon(await there.signs_in(acme, "Ada"), acme, "Ada")
        _, his = await enters(ben, acme, "Ben")
        await elsewhere.page.evaluate(_LISTEN)
        await visit.page.get_by_role("button", name="Sign out").click()
        await visit.page.get_by_role("heading", name="You are signed out").wait_for()
        await here.shot(visit.page, "signed out")
        assert (await ending(elsewhere.page))[0] == 1008
        await all_refused(elsewhere.page)
        assert (await who(his.page))["id"] == acme.users["Ben"]["id"]
        # The user is still signed in to Talkdesk: one click, and no login.
        again = await here.clicks_icon(talkdesk, acme, "Ada")
        again.assert_without_a_click()
        await again.page.get_by_role("heading", name="Hello, Ada").wait_for()
        # A GET signs nobody out: a page asks.
        asks = await here.goes(again.page, f"{again.origin}/_td/sign-out")
        await asks.page.get_by_role("heading", name="Sign out?").wait_for()
        await here.shot(asks.page, "asks")
        await asks.page.get_by_role("link", name="Stay signed in").click()
        await asks.page.get_by_role("heading", name="Hello, Ada").wait_for()


async def test_signing_out_of_talkdesk_ends_the_session_in_the_app(town: Any, person: Any) -> None:
    async with town.market.customer("tyrell") as acme:
        ada = await person()
        talkdesk, visit = await enters(ada, acme, "Ada")
        tab = await old_tab(ada, visit)
        await talkdesk.get_by_role("link", name="Sign out of Talkdesk").click()
        assert (await ending(tab))[0] == 1008
        await all_refused(tab)
        await tab.reload()
        await tab.get_by_role("heading", name="Who are you?").wait_for()
        await ada.shot(tab, "at Talkdesk again")
