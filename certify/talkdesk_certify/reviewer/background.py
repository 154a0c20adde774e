"""What an open page asks of the app by script; its own policy may let it ask for nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from playwright.async_api import Error as BrowserError

if TYPE_CHECKING:
    from playwright.async_api import Page

#: Past everything that may be wrapped around ``fetch``.
_ASK = """() => Array.from({length: 3}, () => {
    const request = new XMLHttpRequest();
    request.open('GET', location.pathname, false); request.send();
    return request.status;
})"""
#: As the app's own scripts ask; what fails is told instead of a status.
_FETCH = """async () => (await Promise.all(Array.from({length: 3},
    () => fetch(location.href).then(answer => answer.status, problem => String(problem)))))"""


async def asked_in_background(page: Page) -> list[int]:
    """How the app answers what the open ``page`` asks for by script: three statuses."""
    statuses: list[int]
    try:
        statuses = await page.evaluate(_ASK)
    except BrowserError:
        statuses = await _in_empty_page(page, _ASK)
    return statuses


async def fetched_in_background(page: Page) -> list[int | str]:
    """The same by ``fetch``, with all that is wrapped around it; why not, where nothing answered."""
    statuses: list[int | str] = await page.evaluate(_FETCH)
    if any(isinstance(one, str) for one in statuses):
        statuses = await _in_empty_page(page, _FETCH)
    return statuses


async def _in_empty_page(page: Page, script: str) -> Any:
    """Where a policy may be in the way: in a page of the same address, cookies and origin that has none."""
    empty = await page.context.new_page()
    try:
        await empty.route("**/*", lambda route: route.fulfill(body="", content_type="text/html"), times=1)
        await empty.goto(page.url)
        return await empty.evaluate(script)
    finally:
        await empty.close()
