"""The console as a person uses it: install, launch, manage, uninstall, and look on while it happens."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

from browsing.market import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Page

    from browsing.market import Customer
    from browsing.person import Person

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.asyncio(loop_scope="session"),
    # Playwright leaves the pipes of its driver to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
_APP = "Callboard"
_PATIENCE = PATIENCE * 1000
_FOCUSED = """() => {
    const one = document.activeElement;
    return [one.innerText || '', ...[...one.labels || []].map(label => label.innerText)].join(' ');
}"""


async def tab_to(page: Page, name: str) -> None:
    """Press the tabulator until what is called ``name`` has the focus, and can be seen to have it."""
    for _ in range(80):
        await page.keyboard.press("Tab")
        if name in re.sub(r"\s+", " ", await page.evaluate(_FOCUSED)):
            outline = await page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", f"{name} does not show that it has the focus"
            return
    raise AssertionError(f"the tabulator does not lead to {name} on {page.url}")


async def sign_in(person: Person, customer: Customer, user: str) -> Page:
    """From the accounts' page to the user's My Apps."""
    page = await person.context.new_page()
    await page.goto(customer.market.environment.stand_in.console)
    card = page.get_by_test_id(f"account-{customer.name}")
    await card.get_by_role("button", name=f"Sign in as {user}").click()
    await expect(page.get_by_role("heading", name="My Apps")).to_be_visible()
    return page


async def ends(page: Page, *, state: str, says: str) -> None:
    """The dialogue's last page comes to its end, by itself."""
    outcome = page.get_by_test_id("outcome")
    await expect(outcome).to_have_attribute("data-state", state, timeout=_PATIENCE)
    await expect(outcome.get_by_role("status")).to_contain_text(says)


async def install(page: Page, *more: str) -> None:
    """By the marketplace, with the mouse: who is signed in, and ``more``."""
    await page.get_by_role("link", name="Marketplace", exact=True).click()
    await page.get_by_role("link", name=_APP).first.click()
    await page.get_by_role("link", name=f"Install {_APP}").click()
    await page.get_by_role("button", name="Next: users").click()
    for one in more:
        await page.get_by_role("checkbox", name=one).check()
    await page.get_by_role("button", name=f"Install {_APP}").click()


@contextlib.asynccontextmanager
async def no_room(market: Any) -> AsyncIterator[None]:
    """No pod starts, and the app is patient for a moment only."""
    await market.schedules(pods=False)
    await market.patch_app({"approval": {"patienceSeconds": 1}})
    try:
        yield
    finally:
        await market.patch_app({"approval": {"patienceSeconds": 3600}})
        await market.schedules(pods=True)


async def test_an_install_from_the_private_link_needs_no_mouse_and_ends_in_the_app(
    town: Any, person: Any
) -> None:
    async with town.market.customer("keys", installed=False) as customer:
        ada = await person()
        page = await ada.context.new_page()
        await page.goto(customer.market.environment.stand_in.console)
        await page.goto(await page.get_by_test_id("install-link").first.inner_text())
        await expect(page.get_by_text("In which account?")).to_be_visible()
        for name, then in (("keys", "Who are you?"), ("Ada Lovelace", f"Install {_APP}")):
            await tab_to(page, name)
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("heading", name=then)).to_be_visible()
        await tab_to(page, "Free trial")
        await tab_to(page, "Next: users")
        await page.keyboard.press("Enter")
        await page.get_by_role("group", name="Who will use").wait_for()
        await tab_to(page, "Ben Novak")
        await page.keyboard.press("Space")
        await tab_to(page, f"Install {_APP}")
        await page.keyboard.press("Enter")
        # A screen reader hears what comes into a live part that is there already.
        await page.wait_for_url("**/requests/*")
        await page.evaluate("window.heard = document.querySelector('#answer')")
        await ends(page, state="succeeded", says="2 users can open it now")
        assert await page.evaluate("window.heard === document.querySelector('#answer')")
        await ada.shot(page, "installed")
        await page.goto(f"{customer.talkdesk}/apps")
        await tab_to(page, f"Open {_APP}")
        async with ada.context.expect_page() as opened:
            await page.keyboard.press("Enter")
        app = await opened.value
        await expect(app.get_by_role("heading", level=1)).to_have_text("Hello, Ada")


async def test_a_removed_user_s_icon_goes_and_an_uninstalled_app_is_told_as_such(
    town: Any, person: Any
) -> None:
    async with town.market.customer("gears") as customer:
        ada, ben = await person(), await person()
        hers, his = await sign_in(ada, customer, "Ada"), await sign_in(ben, customer, "Ben")
        icon = his.get_by_role("link", name=f"Open {_APP}")
        async with ben.context.expect_page() as opened:
            await icon.click()
        await expect((await opened.value).get_by_role("heading", level=1)).to_have_text("Hello, Ben")
        await hers.get_by_role("link", name=f"Manage {_APP}").click()
        await hers.get_by_role("checkbox", name="Ben").uncheck()
        await hers.get_by_role("checkbox", name="Cleo").check()
        await hers.get_by_role("button", name="Save the users").click()
        await ends(hers, state="succeeded", says="The changes to Callboard are made")
        await expect(icon).to_have_count(0)  # his page was not reloaded
        await expect(his.get_by_text("Ben Novak is not among its users")).to_be_visible()
        await hers.get_by_role("main").get_by_role("link", name="My Apps").click()
        await hers.get_by_role("link", name=f"Manage {_APP}").click()
        gear = hers.url
        await hers.get_by_role("link", name="Plan", exact=True).click()
        await hers.get_by_role("radio", name="Professional").check()
        await hers.get_by_role("button", name="Change the plan").click()
        await ends(hers, state="succeeded", says="plan Professional")
        await hers.goto(f"{gear}?part=uninstall")
        await hers.get_by_role("button", name=f"Uninstall {_APP}").click()
        await ends(hers, state="succeeded", says=f"{_APP} is uninstalled")
        await hers.goto(gear)
        await expect(hers.get_by_test_id("not-installed")).to_contain_text(
            f"{_APP} is not installed in gears."
        )
        await ada.shot(hers, "not installed")


async def test_a_workload_that_cannot_start_ends_the_dialogue_with_the_app_s_own_words(
    town: Any, person: Any
) -> None:
    async with town.market.customer("unlucky", installed=False) as customer, no_room(town.market):
        ada = await person()
        page = await sign_in(ada, customer, "Ada")
        await install(page, "Ben")
        await ends(page, state="failed", says=f"{_APP} could not be installed")
        await expect(page.get_by_test_id("outcome").locator("blockquote")).to_contain_text(
            "support@demo.localhost"
        )
        await ada.shot(page, "failed")
        await page.goto(f"{customer.talkdesk}/apps")
        await expect(page.get_by_role("link", name=f"Open {_APP}")).to_have_count(0)


async def test_timeline_and_kubernetes_follow_and_faults_clock_and_resending_act(
    town: Any, person: Any
) -> None:
    async with town.market.customer("watched", installed=False) as customer:
        ada, watcher = await person(), await person()
        console = customer.market.environment.stand_in.console
        controls = await watcher.context.new_page()
        await controls.goto(f"{console}controls")
        await controls.get_by_role("button", name="Drop").click()
        await expect(controls.get_by_text("Deliveries: drop")).to_be_visible()
        timeline = await watcher.context.new_page()
        await timeline.goto(f"{console}timeline")
        entries = timeline.locator(".entry", has_text="watched")
        await expect(entries).to_have_count(0)
        hers = await sign_in(ada, customer, "Ada")
        await install(hers)
        lost = entries.filter(has_text="app.installed")
        await expect(lost).to_contain_text("lost on its way")
        await expect(hers.get_by_test_id("outcome")).to_contain_text("Waiting for Callboard")
        # Two pages of one browser: a hidden one is not told, and looks when it is shown.
        await controls.bring_to_front()
        await controls.get_by_role("button", name="5 minutes on").click()
        await ends(hers, state="succeeded", says=f"{_APP} is installed")
        await timeline.bring_to_front()
        for seen in ("app.installed, attempt 2", "installing → completed", "TalkdeskInstallation"):
            await expect(entries.filter(has_text=seen).first).to_be_visible()
        again = entries.filter(has_text="app.installed, attempt 2").first
        await again.locator("summary").click()
        await expect(again.get_by_label("Body sent")).to_contain_text('"client_secret": "***"')
        await watcher.shot(timeline, "timeline")
        await again.get_by_role("button", name="Send again").click()
        await expect(entries.filter(has_text="app.installed")).to_have_count(3)
        await timeline.goto(f"{console}timeline?kind=api")
        approval = entries.filter(has_text=re.compile(r"POST /apps/.*/state")).first
        await expect(approval.locator(".result")).to_contain_text(re.compile(r"200\s+[0-9.]+ m?s"))
        await expect(approval.get_by_label("Request body", exact=True)).to_be_hidden()
        await approval.locator("summary").click()
        await expect(approval.get_by_label("Request body", exact=True)).to_contain_text('"state": "approve"')
        await expect(approval.get_by_label("Answer", exact=True)).to_contain_text('"state": "completed"')
        await timeline.goto(f"{console}kubernetes")
        row = timeline.locator("li.card", has_text="watched")
        await expect(row).to_contain_text("Ready: InstallationReady")
        await expect(row).to_contain_text("demo 1/1")
        await watcher.shot(timeline, "kubernetes")
