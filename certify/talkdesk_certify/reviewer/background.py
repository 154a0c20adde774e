"""What an open page asks of the app by script; its own policy may let it ask for nothing, and it may have
gone elsewhere by itself: so it is said where the app is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from playwright.async_api import Error as BrowserError

if TYPE_CHECKING:
    from playwright.async_api import Page

#: Past everything that may be wrapped around ``fetch``.
_ASK = """url => Array.from({length: 3}, () => {
    if (new URL(url).origin !== location.origin) throw new Error('the page went elsewhere');
    const request = new XMLHttpRequest();
    request.open('GET', new URL(url).pathname, false); request.send();
    return request.status;
})"""
#: As the app's own scripts ask; what fails is told instead of a status.
_FETCH = """async url => {
    if (new URL(url).origin !== location.origin) throw new Error('the page went elsewhere');
    return await Promise.all(Array.from({length: 3},
        () => fetch(url).then(answer => answer.status, problem => String(problem))));
}"""


async def asked_in_background(page: Page, url: str) -> list[int]:
    """How the app answers at ``url`` what the open ``page`` asks for by script: three statuses."""
    statuses: list[int] = await _asked(page, url, _ASK)
    return statuses


async def fetched_in_background(page: Page, url: str) -> list[int | str]:
    """The same by ``fetch``, with all that is wrapped around it; why not, where nothing answered."""
    statuses: list[int | str] = await _asked(page, url, _FETCH)
    if any(isinstance(one, str) for one in statuses):
        statuses = await _in_empty_page(page, url, _FETCH)
    return statuses


async def _asked(page: Page, url: str, script: str) -> Any:
    try:
        return await page.evaluate(script, url)
    except BrowserError:
        return await _in_empty_page(page, url, script)


async def _in_empty_page(page: Page, url: str, script: str) -> Any:
    """Where the page cannot ask: in one of that address, with the same cookies, that has no policy."""
    empty = await page.context.new_page()
    try:
        await empty.route("**/*", lambda route: route.fulfill(body="", content_type="text/html"), times=1)
        await empty.goto(url)
        return await empty.evaluate(script, url)
    finally:
        await empty.close()
