"""Every page, light and dark, wide and narrow, in Chromium: axe finds nothing, and nothing sticks out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from browsing.legible import NARROW, WIDE, wrong_on
from talkdesk_sandbox.chromium import chromium
from talkdesk_sandbox.console.mails import Mail

if TYPE_CHECKING:
    from typing import Literal

pytestmark = [
    pytest.mark.processes,
    # Playwright leaves the pipes of its driver to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


async def _pages(show: Any) -> tuple[dict[str, str], str, str]:
    """Addresses by name; the account's sign-in page, and who signs in there."""
    acme, (ada, ben, _) = show.account("acme")
    other, (eve, *_) = show.account("a-customer-with-rather-a-long-name", "ca")
    id_ = show.installed(acme, [ada, ben])
    await show.settle()
    event = next(one for one in show.talkdesk.deliveries.events.values() if one.installation_id == id_)
    refused, refused_event = show.talkdesk.install(
        app_id=show.app.id, account_id=other.id, plan=None, users=[eve.id], created_by=eve.id
    )
    show.talkdesk.answer(refused, verdict="reject", reason="There was no room for the workload.")
    mail = Mail(
        id="1",
        to="ada@acme.example",
        subject="Callboard is installed",
        at="2026-11-29T10:00:00Z",
        message_id="<1@demo.localhost>",
        text="It is ready.",
        html="<!doctype html><html lang='en'><title>Mail</title><main><h1>It is ready.</h1></main>",
    )
    show.letters.kept.append(mail)
    for fault in ("drop", "reorder"):
        await show.post(f"{show.root}/controls/delivery-faults", {"fault": fault})
    at, version = show.console.at(acme), show.app.version.id
    del refused_event
    pages = {
        "accounts": f"{show.root}/",
        "private install": f"{show.root}/install/{version}",
        "timeline": f"{show.root}/timeline",
        "kubernetes": f"{show.root}/kubernetes",
        "mailbox": f"{show.root}/mailbox",
        "mail as text": f"{show.root}/mailbox?id=1&form=text",
        "controls": f"{show.root}/controls",
        "no such page": f"{show.root}/none",
        "My Apps": f"{at}/apps",
        "marketplace": f"{at}/marketplace",
        "listing": f"{at}/marketplace/{show.app.id}",
        "installed already": f"{at}/marketplace/install/{version}",
        "users step": f"{at}/marketplace/install/{version}/users?plan=Trial",
        "gear": f"{at}/apps/{id_}",
        "gear, plan": f"{at}/apps/{id_}?part=plan",
        "gear, uninstall": f"{at}/apps/{id_}?part=uninstall",
        "outcome": f"{at}/apps/{id_}/requests/{event.id}",
        "sign-in": f"{at}/login?change=1",
        "nobody": f"{show.console.at(other)}/apps",
    }
    return pages, f"{at}/login", ada.name


@pytest.mark.parametrize(("scheme", "width"), [("light", WIDE), ("dark", WIDE), ("light", NARROW)])
async def test_axe_finds_nothing_and_no_text_is_cut(
    show: Any, scheme: Literal["light", "dark"], width: int
) -> None:
    pages, login, user = await _pages(show)
    wrong: dict[str, Any] = {}
    async with chromium() as browser:
        context = await browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
        )
        page = await context.new_page()
        await page.goto(login)
        await page.get_by_role("button", name=user).click()
        await page.get_by_text("is signed in").wait_for()
        for name, url in pages.items():
            await page.goto(url)
            if found := await wrong_on(page, axe=width == WIDE):
                wrong[name] = found
        await context.close()
    assert wrong == {}
