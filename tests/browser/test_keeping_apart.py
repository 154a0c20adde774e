"""Tenants and users in one browser: QA item 7, and two users in two tabs."""

from __future__ import annotations

from typing import Any

import pytest

from browsing.bar import assert_bar
from browsing.person import who

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.asyncio(loop_scope="session"),
    # Playwright leaves the pipes of its driver to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


async def test_qa_7_the_same_email_in_two_accounts_is_two_users_kept_apart_in_one_browser(
    town: Any, person: Any
) -> None:
    agent: dict[str, Any] = {"people": ["Ada Lovelace"], "licensed": 1, "email": "agent@agency.example"}
    async with (
        town.market.customer("first", **agent) as first,
        town.market.customer("second", region="us", **agent) as second,
    ):
        ada = await person()
        visits = []
        for account in (first, second):
            visit = await ada.clicks_icon(await ada.signs_in(account, "Ada"), account, "Ada")
            visit.assert_without_a_click()
            # A user of this account who was never here, whoever else has that address.
            assert await visit.page.get_by_role("dialog").is_visible()
            await visit.page.get_by_role("button", name="Close").click()
            visits.append(visit)
        assert visits[0].origin != visits[1].origin
        for _ in range(2):
            for account, visit in zip((first, second), visits, strict=True):
                user = await who(visit.page)
                assert (user["id"], user["email"]) == (account.users["Ada"]["id"], "agent@agency.example")
                await visit.page.reload()
                assert account.name in await visit.page.locator("#account").inner_text()
                await visit.page.bring_to_front()
                await assert_bar(ada, visit.page, account.name, says=account.name)
        # Out of one is not out of the other.
        await visits[0].page.get_by_role("button", name="Sign out").click()
        await visits[0].page.get_by_role("heading", name="You are signed out").wait_for()
        await visits[1].page.reload()
        assert (await who(visits[1].page))["id"] == second.users["Ada"]["id"]


async def test_two_users_in_two_tabs_of_one_browser_are_never_mixed(town: Any, person: Any) -> None:
    async with town.market.customer("oceanic") as acme:
        shared = await person()
        hers = await shared.clicks_icon(await shared.signs_in(acme, "Ada"), acme, "Ada")
        # Her tab goes on asking, all the time, while somebody else signs in beside it.
        await hers.page.evaluate(
            """() => {
                window.asked = []; window.asking = true;
                window.over = (async () => {
                    while (window.asking) window.asked.push(await fetch('/whoami')
                        .then(async r => r.ok ? [r.status, (await r.json()).user.id] : [r.status, null]));
                })();
            }"""
        )
        talkdesk = await shared.signs_in(acme, "Ben")
        his = await shared.clicks_icon(talkdesk, acme, "Ben")
        his.assert_without_a_click()
        for _ in range(10):
            assert (await who(his.page))["id"] == acme.users["Ben"]["id"]
        asked = await hers.page.evaluate(
            "(async () => { window.asking = false; await window.over; return window.asked })()"
        )
        ada, ben = acme.users["Ada"]["id"], acme.users["Ben"]["id"]
        assert {status for status, _ in asked} == {200}
        users = [user for _, user in asked]
        assert users[0] == ada
        # One change, from her to him: no late answer brings her session back.
        turned = users.index(ben)
        assert users == [ada] * turned + [ben] * (len(users) - turned)
        # What her tab then shows is his, all of it.
        await hers.page.reload()
        await hers.page.get_by_role("heading", name="Hello, Ben").wait_for()
        assert "Ada Lovelace" not in await hers.page.inner_text("body")
        await assert_bar(shared, hers.page, "the other tab", says="Ben Novak")
        # Her icon does not lead to his session under her name, nor to hers while he is the one at Talkdesk.
        mine = await shared.clicks_icon(talkdesk, acme, "Ada")
        await mine.page.get_by_role("heading", name="Continue as Ben Novak?").wait_for()
