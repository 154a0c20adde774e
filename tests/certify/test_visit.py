"""A visit ends where a customer's does: at the page that is seen in the end, however one got there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from talkdesk_certify.check import Failed
from talkdesk_certify.checks.terms import terms_open
from talkdesk_certify.checks.whose import shows_alone
from talkdesk_certify.reviewer.bar import no_bar
from talkdesk_certify.target import SANDBOX_BAR
from visited import pages, person_at

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from talkdesk_certify.reviewer.visit import Visit

pytestmark = [
    pytest.mark.processes,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.usefixtures("browser_up"),
    # Playwright leaves the pipes of its driver to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
#: How long each step on the way takes: longer than a browser needs to go on (seconds).
_STEP = 0.3


def _site() -> web.Application:
    async def waits(_: web.Request) -> web.Response:
        text = "<h1>One moment</h1><script>onload = () => setTimeout(() => location = '/on', 50)</script>"
        return web.Response(status=202, text=text, content_type="text/html")

    async def on(_: web.Request) -> web.Response:
        await asyncio.sleep(_STEP)
        raise web.HTTPSeeOther("/enter")

    async def enter(_: web.Request) -> web.Response:
        await asyncio.sleep(_STEP)
        raise web.HTTPSeeOther("/app")

    async def app(_: web.Request) -> web.Response:
        await asyncio.sleep(_STEP)
        # What an app does with its address afterwards is its own business.
        text = "<h1>Here we are</h1><script>history.replaceState(null, '', '/somewhere')</script>"
        return web.Response(text=text, content_type="text/html")

    async def login(_: web.Request) -> web.Response:
        return web.Response(text="<a href='/app'>Sign in</a>", content_type="text/html")

    async def framed(_: web.Request) -> web.Response:
        return web.Response(text='<h1>App</h1><iframe src="/widget"></iframe>', content_type="text/html")

    async def widget(_: web.Request) -> web.Response:
        return web.Response(status=404, text="no such widget")

    async def desk(_: web.Request) -> web.Response:
        return web.Response(text='<a href="/framed" target="_blank">Open it</a>', content_type="text/html")

    site = web.Application()
    for handler in (waits, on, enter, app, login, framed, widget, desk):
        site.router.add_get(f"/{handler.__name__}", handler)
    return site


async def _asked(visit: Visit) -> str:
    """What is found to be asked ("" for nothing)."""
    try:
        await visit.entered()
        await visit.unasked()
    except Failed as failed:
        return str(failed)
    return ""


async def _opened(path: str) -> tuple[Visit, str, str]:
    """The visit, the words that are seen, and what is found to be asked."""
    async with person_at(_site()) as (person, root):
        visit = await person.opens(root + path)
        return visit, await visit.words(), await _asked(visit)


async def test_a_page_that_goes_on_by_itself_is_waited_out_over_all_redirects_that_follow() -> None:
    visit, words, asked = await _opened("/waits")
    assert [hop.status for hop in visit.hops] == [202, 303, 303, 200]
    assert "Here we are" in words
    assert asked == ""
    assert visit.told.endswith("after 2 redirects and a page that went on by itself")


async def test_a_page_that_asks_for_a_click_is_where_the_visit_ends() -> None:
    visit, _, asked = await _opened("/login")
    assert [hop.status for hop in visit.hops] == [200]
    assert "somebody was asked on the way" in asked


async def test_what_a_page_shows_in_frames_is_no_stop_on_the_way() -> None:
    visit, _, asked = await _opened("/framed")
    assert [hop.status for hop in visit.hops] == [200]
    assert asked == ""


async def test_a_frame_in_a_new_tab_is_no_stop_either() -> None:
    async with person_at(_site()) as (person, root):
        await person.desk.goto(f"{root}/desk")
        visit = await person.clicks(person.desk.get_by_role("link"))
        assert [str(hop) for hop in visit.hops] == [f"200 {root.removeprefix('http://')}/framed"]
        assert await _asked(visit) == ""


def _draws(html: str, *, after: float) -> str:
    """A page whose script draws this, so many seconds after it has loaded."""
    draws = f"document.body.insertAdjacentHTML('beforeend', {html!r})"
    return f"<h1>App</h1><script>onload = () => setTimeout(() => {draws}, {1000 * after})</script>"


async def _told(looked: Awaitable[object]) -> str:
    try:
        return str(await looked)
    except Failed as failed:
        return f"failed: {failed}"


async def test_what_a_script_draws_is_seen_where_it_has_to_be_there() -> None:
    soon, late = (_draws("<p>Mara Voss</p>", after=seconds) for seconds in (0.3, 2.5))
    async with person_at(pages(soon=soon, late=late)) as (person, root):
        for name in ("soon", "late"):
            visit = await person.opens(f"{root}/{name}")
            assert await _told(shows_alone(visit, ["Mara Voss"], ["Jon Reyes"])) == "Mara Voss"


async def test_what_a_script_draws_is_seen_where_it_must_not_be_there() -> None:
    login = _draws('<form><input type="password"></form>', after=0.3)
    stranger = "<p>Mara Voss</p>" + _draws("<p>Jon Reyes</p>", after=0.3)
    bar = _draws('<section aria-label="Talkdesk">Talkdesk</section>', after=0.3)
    async with person_at(pages(form=login, stranger=stranger, bar=bar)) as (person, root):
        visit = await person.opens(f"{root}/form")
        assert await _asked(visit) == "the app asks for a password"
        visit = await person.opens(f"{root}/stranger")
        found = await _told(shows_alone(visit, ["Mara Voss"], ["Jon Reyes"]))
        assert found == "failed: this is Mara Voss, and the app shows Jon Reyes"
        visit = await person.opens(f"{root}/bar")
        assert await _told(no_bar(visit.page, SANDBOX_BAR)) == "failed: a Talkdesk bar is shown"


async def test_terms_that_a_script_draws_are_found_by_a_link_that_a_script_draws() -> None:
    home = _draws('<a href="/terms">Terms of service</a>', after=0.3)
    site = pages(home=home, terms=_draws("<p>These are our terms.</p>", after=0.3))
    async with person_at(site) as (person, root):
        visit = await person.opens(f"{root}/home")
        found = await _told(terms_open(person, visit.page.get_by_role("link", name="Terms of service")))
        assert "/terms, 5 words" in found
