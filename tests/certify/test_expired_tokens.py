"""Tokens that expire: what counts is what a page says once they have, and did not say before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from talkdesk_certify.check import Failed
from talkdesk_certify.checks import first_launch
from talkdesk_certify.journey import Journey
from talkdesk_certify.reviewer.console import Account, Console
from talkdesk_certify.scene import Scene
from visited import person_at

if TYPE_CHECKING:
    from talkdesk_certify.reviewer.person import Person

pytestmark = [
    pytest.mark.processes,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.usefixtures("browser_up"),
    # Playwright leaves the pipes of its driver to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
_CONTROLS = """<section aria-label="Talkdesk\N{RIGHT SINGLE QUOTATION MARK}s clock"><form method="post">
    <label>Seconds <input type="number" name="seconds"></label><button>Move on</button></form></section>"""
_TRIAL = '<div class="alert" role="alert">Your trial ends in 30 days</div>'
_FOOTER = "<footer>Unauthorized use is prohibited</footer>"
_LIST = "<ul><li>Last session ended at 09:41<li>Session of Monday ended</ul>"
#: An app's own wrapping of what its scripts ask for: it tells its user of an expired token.
_TELLS = """<script>
    const ask = window.fetch;
    window.fetch = async (...how) => {
        const answer = await ask(...how);
        if (answer.headers.get('X-Expired'))
            document.body.insertAdjacentHTML('beforeend', '<p role="alert">Please begin anew</p>');
        return answer;
    };
</script>"""
_PASSES_BY = """<p role="alert" id="hello">Good morning</p>
    <script>onload = () => setTimeout(() => document.getElementById('hello').remove(), 1500)</script>"""


@dataclass
class _Site:
    """The app's page says ``said``, and ``then`` as well once Talkdesk's clock was moved.

    ``widget`` is how a script is answered that the page runs when it is loaded, before and afterwards.
    """

    said: str
    then: str = ""
    widget: tuple[int, int] = (200, 200)
    moved: bool = False

    async def home(self, _: web.Request) -> web.Response:
        text = f"<h1>App</h1><p>Your calls</p>{self.said}{self.then if self.moved else ''}"
        asks = "<script>fetch('/widget?token=1')</script>"
        headers = {"X-Expired": "yes"} if self.moved else {}
        return web.Response(text=text + asks, content_type="text/html", headers=headers)

    async def asked(self, _: web.Request) -> web.Response:
        return web.Response(status=self.widget[self.moved])

    async def controls(self, request: web.Request) -> web.Response:
        self.moved = self.moved or request.method == "POST"
        return web.Response(text=_CONTROLS, content_type="text/html")

    @property
    def pages(self) -> web.Application:
        site = web.Application()
        site.router.add_get("/home", self.home)
        site.router.add_get("/widget", self.asked)
        site.router.add_route("*", "/controls", self.controls)
        return site


def _journey(person: Person, root: str) -> Journey:
    browser = person.context.browser
    assert browser is not None
    return Journey(
        browser=browser,
        console=Console(root, person.context),
        account=Account("acme", ""),
        app="App",
        install_link="",
        emails={"admin": person.email},
        people={"admin": person},
    )


async def _found(site: _Site, *, once_gone: str = "") -> str:
    """What the check finds there, with the page open since ``once_gone`` is no longer on it."""
    (check,) = [one for one in first_launch.item.checks if one.id == "2.expired-tokens"]
    async with person_at(site.pages) as (person, root):
        journey = _journey(person, root)
        journey.visits["admin"] = visit = await person.opens(f"{root}/home")
        if once_gone:
            await visit.page.get_by_text(once_gone).wait_for(state="detached")
        try:
            found = await check.look(Scene(app="App", customer=journey))
        except Failed as failed:
            found = f"failed: {failed}"
        assert site.moved
        return found


async def test_what_stood_on_the_page_before_is_no_sign_of_an_expired_token() -> None:
    assert (await _found(_Site(_TRIAL + _FOOTER + _LIST))).startswith("an hour later: 3 background requests")


async def test_an_alarm_that_every_visit_begins_with_is_no_sign_of_it_either() -> None:
    assert (await _found(_Site(_PASSES_BY), once_gone="Good morning")).startswith("an hour later")


@pytest.mark.parametrize(
    ("then", "found"),
    [
        ('<p role="alert">Please begin anew</p>', "failed: the page raises an alarm: 'Please begin anew'"),
        ("<p>Unauthorized</p>", "failed: the page speaks of it: 'Unauthorized'"),
        ("<p>Your session<br>has expired.", "failed: the page speaks of it: 'Your session\\nhas expired.'"),
    ],
    ids=["alarm", "words", "over two lines"],
)
async def test_what_stands_on_the_page_only_afterwards_is_told(then: str, found: str) -> None:
    assert await _found(_Site(_TRIAL + _FOOTER + _LIST, then)) == found


async def test_an_alarm_on_the_page_that_was_open_is_told_though_a_new_one_has_none() -> None:
    found = await _found(_Site(_TRIAL + _TELLS))
    assert found == "failed: the page raises an alarm: 'Please begin anew'"


async def test_what_was_refused_before_is_no_sign_of_it_and_what_is_refused_only_afterwards_is() -> None:
    assert (await _found(_Site("", widget=(403, 403)))).startswith("an hour later")
    found = await _found(_Site("", widget=(200, 401)))
    assert found.startswith("failed: background requests were answered ['GET 401 app.localhost:")
    assert found.endswith("/widget']")
