"""One click in Talkdesk, and the user is in, as themself, with the bar on top: QA items 2, 3, 5, 8, 9."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from browsing.bar import assert_bar, assert_no_bar
from browsing.market import PATIENCE
from browsing.person import who
from talkdesk_sandbox.story.observe import NotYet, eventually

if TYPE_CHECKING:
    from browsing.person import Person, Visit

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.asyncio(loop_scope="session"),
    # Playwright leaves the pipes of its driver to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


async def assert_first_visit(visit: Visit, customer: Any, user: str, *, role: str) -> None:
    """The account's and the user's own data are there, the app says what it is for, and its tour is open."""
    page, known = visit.page, customer.users[user]
    heading = page.get_by_role("heading", level=1)
    assert await heading.inner_text() == f"Hello, {user}"
    assert "shows how the contact centre of" in await page.inner_text("main")
    tour = page.get_by_role("dialog")
    assert await tour.is_visible()
    assert await tour.get_by_role("heading", name=f"Welcome to Callboard, {user}").is_visible()
    told = await page.locator("#account").inner_text()
    for fact in (known["name"], known["email"], role, customer.name, customer.region, "Free trial"):
        assert fact in told, f"{fact} is not in {told!r}"
    assert (await who(page))["id"] == known["id"]
    assert await page.locator(".figures b").count() == 4
    await page.wait_for_selector("#events li")  # what is live is, too


async def tour_leads_on(person: Person, visit: Visit) -> None:
    """Each of its steps points at something in the page, and then it does not come back."""
    tour = visit.page.get_by_role("dialog")
    for step in range(1, 4):
        await tour.get_by_role("button", name="Next").click()
        await tour.get_by_text(f"Step {step} of 3").wait_for()
        assert await visit.page.locator(".pointed").count() == 1
    await person.shot(visit.page, "tour, last step")
    await tour.get_by_role("button", name="Done").click()
    await visit.page.reload()
    assert await tour.count() == 0


async def test_qa_2_the_first_launch_needs_no_login_and_shows_bar_purpose_and_account(
    town: Any, person: Any
) -> None:
    async with town.market.customer("acme") as acme:
        ada = await person()
        talkdesk = await ada.signs_in(acme, "Ada")
        visit = await ada.clicks_icon(talkdesk, acme, "Ada")
        visit.assert_without_a_click()
        await assert_first_visit(visit, acme, "Ada", role="admin")
        await assert_bar(ada, visit.page, "first launch", says=acme.name)
        await tour_leads_on(ada, visit)
        await visit.page.get_by_role("link", name="Calls", exact=True).click()
        await visit.page.get_by_role("heading", name="Calls").wait_for()
        await assert_bar(ada, visit.page, "another page", says=acme.name)


async def test_qa_3_another_user_is_in_their_own_account_with_their_own_role_and_tour(
    town: Any, person: Any
) -> None:
    async with town.market.customer("globex") as acme:
        ada, ben = await person(), await person()
        first = await ada.clicks_icon(await ada.signs_in(acme, "Ada"), acme, "Ada")
        await first.page.get_by_role("button", name="Close").click()
        visit = await ben.clicks_icon(await ben.signs_in(acme, "Ben"), acme, "Ben")
        visit.assert_without_a_click()
        await assert_first_visit(visit, acme, "Ben", role="user")
        await assert_bar(ben, visit.page, "another user", says=acme.name)
        assert visit.page.url == first.page.url
        # In another browser Ada is known: no second tour.
        again = await person()
        visit = await again.clicks_icon(await again.signs_in(acme, "Ada"), acme, "Ada")
        assert await visit.page.get_by_role("heading", name="Hello, Ada").is_visible()
        assert await visit.page.get_by_role("dialog").count() == 0


async def test_qa_5_after_the_change_to_a_paid_plan_the_app_launches_with_it(town: Any, person: Any) -> None:
    async with town.market.customer("hooli") as acme:
        await acme.update(plan="Professional")
        await acme.approved()
        ada = await person()
        visit = await ada.clicks_icon(await ada.signs_in(acme, "Ada"), acme, "Ada")
        visit.assert_without_a_click()
        await visit.page.get_by_role("button", name="Close").click()

        async def paid() -> None:
            told = await visit.page.locator("#account").inner_text()
            if "Professional" not in told or "Trial until" in told:
                await visit.page.reload()
                raise NotYet(told)

        await eventually(paid, within=PATIENCE)
        await ada.shot(visit.page, "paid plan")


async def test_qa_8_a_resellers_account_is_signed_in_by_itself_and_shows_no_bar(
    town: Any, person: Any
) -> None:
    async with town.market.customer("reseller", reseller=True) as reseller:
        ada, ben, cleo = await person(), await person(), await person()
        talkdesk = await ada.signs_in(reseller, "Ada")
        visit = await ada.clicks_icon(talkdesk, reseller, "Ada")
        visit.assert_without_a_click()
        await assert_first_visit(visit, reseller, "Ada", role="admin")
        await assert_no_bar(ada, visit.page, "first launch")
        other = await ben.clicks_icon(await ben.signs_in(reseller, "Ben"), reseller, "Ben")
        other.assert_without_a_click()
        await assert_first_visit(other, reseller, "Ben", role="user")
        await assert_no_bar(ben, other.page, "another user")
        await reseller.update(adding=["Cleo"], removing=["Ben"])
        await reseller.approved()
        assert (await ben.goes(other.page, other.page.url)).status == 403
        added = await cleo.clicks_icon(await cleo.signs_in(reseller, "Cleo"), reseller, "Cleo")
        added.assert_without_a_click()
        await reseller.uninstall()
        await reseller.approved()
        assert (await ada.goes(visit.page, visit.page.url)).status == 403
        assert (await ada.clicks_icon(talkdesk, reseller, "Ada")).status == 403


async def test_qa_9_the_link_on_the_page_leads_to_the_terms_of_service(town: Any, person: Any) -> None:
    async with town.market.customer("initech") as acme:
        ada = await person()
        visit = await ada.clicks_icon(await ada.signs_in(acme, "Ada"), acme, "Ada")
        await visit.page.get_by_role("button", name="Close").click()
        await visit.page.get_by_role("link", name="Terms of service").click()
        await visit.page.get_by_role("heading", name="Terms of service").wait_for()
        await ada.shot(visit.page, "terms of service")


async def test_a_launch_that_arrives_before_the_app_is_ready_waits_and_goes_on_by_itself(
    town: Any, person: Any
) -> None:
    await town.market.schedules(pods=False)
    try:
        async with town.market.customer("early", approved=False) as early:
            ada = await person()
            visit = await ada.clicks_icon(await ada.signs_in(early, "Ada"), early, "Ada")
            assert visit.status == 202
            await visit.page.get_by_role("heading", name="Setting up your app").wait_for()
            await ada.shot(visit.page, "waiting")
            await town.market.schedules(pods=True)
            await visit.page.get_by_role("heading", name="Hello, Ada").wait_for(timeout=40000)
            await early.approved()
            await assert_bar(ada, visit.page, "ready", says=early.name)
    finally:
        await town.market.schedules(pods=True)


async def test_who_is_signed_in_to_talkdesk_as_another_user_is_asked_before_they_go_on_as_themself(
    town: Any, person: Any
) -> None:
    async with town.market.customer("vandelay") as acme:
        ben = await person()
        talkdesk = await ben.signs_in(acme, "Ben")
        visit = await ben.clicks_icon(talkdesk, acme, "Ada")
        assert visit.status == 200
        await visit.page.get_by_role("heading", name="Continue as Ben Novak?").wait_for()
        await ben.shot(visit.page, "continue as")
        await visit.page.get_by_role("link", name="Continue as Ben Novak").click()
        await visit.page.get_by_role("heading", name="Hello, Ben").wait_for()
        assert (await who(visit.page))["id"] == acme.users["Ben"]["id"]
        # Somebody without a licence has no such choice.
        cleo = await person()
        visit = await cleo.clicks_icon(await cleo.signs_in(acme, "Cleo"), acme, "Ada")
        assert visit.status == 403
        await visit.page.get_by_role(
            "heading", name="You are signed in to Talkdesk as another user"
        ).wait_for()
        await cleo.shot(visit.page, "another user without licence")
        async with cleo.context.expect_page() as opened:
            await visit.page.get_by_role("link", name="Change user at Talkdesk").click()
        login = await opened.value
        await login.get_by_role("link", name="Change the user").click()
        await login.locator(f'button[value="{acme.users["Ada"]["id"]}"]').click()
        await login.get_by_text("is signed in to Talkdesk in this browser").wait_for()
        await visit.page.get_by_role("link", name="Try again").click()
        await visit.page.get_by_role("heading", name="Hello, Ada").wait_for()
