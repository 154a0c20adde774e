"""Sessions that do not get in the way, by the shortest limits that there are."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from browsing.bar import assert_bar
from talkdesk_sandbox.story.observe import NotYet, eventually

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.asyncio(loop_scope="session"),
    # Playwright leaves the pipes of its driver to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

IDLE = 60
#: A request that the bar's script does not look after: its status.
_BARELY = """() => {
    const request = new XMLHttpRequest();
    request.open('HEAD', '/whoami', false);
    request.send();
    return request.status;
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def regulars(town: Any) -> Any:
    """They have been in the app for longer than the idle limit; most of that time passed elsewhere."""
    left = town.regulars.began + IDLE + 3 - time.monotonic()
    if left > 0:
        await asyncio.sleep(left)
    return town.regulars


async def test_a_session_that_is_used_goes_on_beyond_the_idle_limit_without_anybody_noticing(
    regulars: Any,
) -> None:
    page = regulars.visits["Ada"].page
    seen = await page.evaluate("window.seen")
    assert {how for how, _ in seen} == {"fetch", "XMLHttpRequest", "upload"}
    assert {status for _, status in seen} == {200}
    assert await page.get_by_role("alert").count() == 0
    assert await page.locator("#clock").inner_text() != "ended"
    before = await regulars.customer.sign_ons("Ada")
    visit = await regulars.people["Ada"].goes(page, f"{regulars.visits['Ada'].origin}/calls")
    assert visit.answers == [(200, urlsplit(visit.page.url).hostname, "/calls")]
    assert await regulars.customer.sign_ons("Ada") == before == 1


async def test_a_session_that_nobody_used_begins_anew_by_way_of_talkdesk_without_a_click(
    regulars: Any,
) -> None:
    ben, origin = regulars.people["Ben"], regulars.visits["Ben"].origin
    visit = await ben.goes(await ben.context.new_page(), f"{origin}/calls?of=today")
    visit.assert_without_a_click()
    assert urlsplit(regulars.customer.talkdesk).hostname in visit.hosts
    assert visit.page.url == f"{origin}/calls?of=today"
    await visit.page.get_by_role("banner").get_by_text("Ben Novak", exact=True).wait_for()


async def test_beyond_the_absolute_limit_pages_pass_through_talkdesk_and_work_that_is_open_is_saved(
    regulars: Any,
) -> None:
    customer = regulars.customer
    ada, cleo = regulars.people["Ada"], regulars.people["Cleo"]
    page = await ada.context.new_page()
    await page.goto(f"{regulars.visits['Ada'].origin}/")
    await page.evaluate(
        """() => {
            const note = document.createElement('textarea'); note.id = 'note';
            note.setAttribute('aria-label', 'Note'); document.querySelector('main').prepend(note);
            Object.assign(note.style, {width: '100%', height: '80px', font: 'inherit', padding: '12px'});
            window.here = 'still';
        }"""
    )
    await page.get_by_label("Note").fill("Half a page about Monday.")
    await regulars.visits["Ada"].page.close()
    before = await customer.sign_ons("Ada")
    await customer.market.patch_app({"session": {"idleSeconds": IDLE, "absoluteSeconds": IDLE}})

    async def over() -> None:
        status = await page.evaluate(_BARELY)
        if status != 401:
            raise NotYet(f"still {status}")

    await eventually(over, within=10)
    saving = asyncio.create_task(
        page.evaluate(
            "fetch('/upload', {method: 'POST', body: document.querySelector('#note').value})"
            ".then(async r => [r.status, await r.json()])"
        )
    )
    button = page.get_by_role("button", name="Sign in again")
    await button.wait_for()
    await ada.shot(page, "the bar's script asks")
    assert not saving.done()
    async with ada.context.expect_page() as opened:
        await button.click()
    window = await opened.value
    status, saved = await asyncio.wait_for(saving, 20)
    assert (status, saved["bytes"]) == (200, len("Half a page about Monday."))
    if not window.is_closed():
        await window.wait_for_event("close")
    assert await customer.sign_ons("Ada") == before + 1
    assert await button.count() == 0
    assert await page.get_by_label("Note").input_value() == "Half a page about Monday."
    assert await page.evaluate("window.here") == "still"
    await assert_bar(ada, page, "work saved", says=customer.name)

    # Who opens a page instead sees nothing of it.
    visit = await cleo.goes(regulars.visits["Cleo"].page, f"{regulars.visits['Cleo'].origin}/calls?of=today")
    visit.assert_without_a_click()
    assert urlsplit(customer.talkdesk).hostname in visit.hosts
    assert visit.page.url.endswith("/calls?of=today")
    assert await customer.sign_ons("Cleo") == 2
