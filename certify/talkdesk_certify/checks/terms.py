"""Item 9: the terms of service, from within the app."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from talkdesk_certify.check import Failed, Item
from talkdesk_certify.reviewer.drawn import appears

if TYPE_CHECKING:
    from playwright.async_api import Locator

    from talkdesk_certify.reviewer.person import Person
    from talkdesk_certify.reviewer.visit import Visit
    from talkdesk_certify.scene import Scene

_NAME = re.compile(r"terms( of (service|use))?|terms and conditions", re.IGNORECASE)


async def _launched(scene: Scene) -> None:
    await scene.visit("admin")


item = Item("9", "Checking the terms of service", prepare=_launched)


async def terms_open(person: Person, link: Locator) -> tuple[Visit, str]:
    """Open the terms by ``link`` in a tab of their own, and what was seen. Raises Failed."""
    if not await appears(link.count):
        raise Failed("there is no link to the terms of service")
    url = await link.first.evaluate("element => element.href")
    visit = await person.opens(str(url))
    if visit.status != 200:
        raise Failed(f"the link leads to {visit.way}")

    async def words() -> int:
        said = await visit.words()
        return len(said.split()) if re.search(r"\bterms\b", said, re.IGNORECASE) else 0

    if not (number := await appears(words)):
        raise Failed(f"{visit.way} does not speak of terms")
    return visit, f"{visit.way}, {number} words"


@item.check(
    "terms",
    title="The launched app leads to the terms of service",
    how="On the app's first page the link named “Terms of service” is followed; a page answers with 200 and "
    "speaks of terms.",
    fix="Set spec.links.terms, link it in the app's footer, and see that the page exists.",
    simulator=False,
)
async def terms(scene: Scene) -> str:
    """QA 9."""
    visit = await scene.visit("admin")
    await visit.entered()
    person = await scene.person("admin")
    seen, said = await terms_open(person, visit.page.get_by_role("link", name=_NAME))
    scene.page = seen.page
    return said
