"""When a page is what its user sees: what its scripts draw comes after it has loaded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from playwright.async_api import Page

#: How long what has to be there may take.
APPEARS_SECONDS = 5.0
_LOOKS_SECONDS = 0.1
#: What an app draws only after its page has loaded belongs to what a user sees.
_SETTLES_SECONDS = 1.0
_LOADED_SINCE = """seconds => {
    const loaded = performance.getEntriesByType('navigation')[0].loadEventEnd;
    return loaded > 0 && performance.now() - loaded >= 1000 * seconds;
}"""
_Seen = TypeVar("_Seen")


async def settled(page: Page) -> None:
    """Wait until a second after the page has loaded: then what must not be there is looked for."""
    await page.wait_for_function(_LOADED_SINCE, arg=_SETTLES_SECONDS, polling=100)


async def appears(look: Callable[[], Awaitable[_Seen]]) -> _Seen:
    """What ``look`` sees, as soon as it sees anything; after a while, that it sees nothing."""
    now = asyncio.get_running_loop().time
    until = now() + APPEARS_SECONDS
    while True:
        seen = await look()
        if seen or now() >= until:
            return seen
        await asyncio.sleep(_LOOKS_SECONDS)
