"""One sandbox and one Chromium for all tests of this folder; customers and people are each test's own."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest_asyncio

from browsing.market import Market
from browsing.person import Person, Visit
from talkdesk_sandbox.chromium import chromium
from talkdesk_sandbox.environment import running
from talkdesk_sandbox.story.opening import open_story

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    import pytest
    from playwright.async_api import Browser

    from browsing.market import Customer

#: The least that an app can say (seconds).
SHORT = 60


#: What a page of theirs does now and then; ``seen`` is what came of it.
_WORK = """window.seen = [];
window.work = setInterval(() => {
    const note = how => answer => window.seen.push([how, answer.status]);
    fetch('/whoami').then(note('fetch'));
    fetch('/upload', {method: 'POST', body: 'x'.repeat(100000)}).then(note('upload'));
    const request = new XMLHttpRequest();
    request.onload = () => note('XMLHttpRequest')(request);
    request.open('GET', '/calls'); request.send();
}, 4000)"""


@dataclass
class Regulars:
    """People who are in the brisk app since ``began`` (``time.monotonic``); its idle limit is SHORT.

    Ada and Cleo left a page open that works, Ben closed his.
    """

    customer: Customer
    people: dict[str, Person]
    visits: dict[str, Visit]
    began: float


@dataclass
class Town:
    """The sandbox, the demo app in it, and the browser that everybody's windows belong to."""

    market: Market
    browser: Browser
    regulars: Regulars


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def town(whole_run: object) -> AsyncIterator[Town]:
    """See :class:`Town`. The regulars come first: the others' tests are the time that they need."""
    async with contextlib.AsyncExitStack() as stack:
        up = running(cluster_in_console=True)
        environment = await asyncio.to_thread(up.__enter__)
        stack.push_async_callback(asyncio.to_thread, up.__exit__, None, None, None)
        stack.enter_context(whole_run.kept(environment.control_plane))  # type: ignore[attr-defined]
        browser = await stack.enter_async_context(chromium())
        markets = []
        for name in ("demo", "brisk"):
            story = await stack.enter_async_context(open_story(environment, app_name=name))
            markets.append(Market(environment, story, name))
        regulars = await stack.enter_async_context(_regulars(markets[1], browser))
        yield Town(markets[0], browser, regulars)


@contextlib.asynccontextmanager
async def _regulars(market: Market, browser: Browser) -> AsyncIterator[Regulars]:
    await market.patch_app({"session": {"idleSeconds": SHORT}})
    async with market.customer("regular", licensed=3) as customer:
        people, visits = {}, {}
        for name in customer.users:
            people[name] = await Person.of(browser, "sessions")
            talkdesk = await people[name].signs_in(customer, name)
            visits[name] = await people[name].clicks_icon(talkdesk, customer, name)
            visits[name].assert_without_a_click()
            await visits[name].page.evaluate(_WORK)
        await visits["Ben"].page.close()
        yield Regulars(customer, people, visits, time.monotonic())
        for one in people.values():
            await one.close()


@pytest_asyncio.fixture(loop_scope="session")
async def person(
    town: Town, request: pytest.FixtureRequest
) -> AsyncIterator[Callable[[], Awaitable[Person]]]:
    """``await person()`` is somebody with an empty browser; their windows close with the test."""
    async with contextlib.AsyncExitStack() as stack:

        async def one() -> Person:
            name = request.node.name.removeprefix("test_")
            made = await Person.of(town.browser, name)
            stack.push_async_callback(made.close)
            return made

        yield one
