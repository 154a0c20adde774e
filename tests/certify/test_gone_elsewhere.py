"""A page that goes to Talkdesk by itself once the app refuses it: what counts is how the app answers."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from playwright.async_api import Error as BrowserError

from serving import serving
from talkdesk_certify.check import Failed
from talkdesk_certify.checks import another_user, refused
from talkdesk_certify.checks.refused import links_refused, open_pages_refused, refused_in_time
from talkdesk_certify.journey import Journey
from talkdesk_certify.reviewer.console import Account, Console
from talkdesk_certify.reviewer.dialogue import NEAR_REAL_TIME_SECONDS
from talkdesk_certify.reviewer.person import Person, window
from talkdesk_certify.scene import Scene
from visited import browser_that_is_up

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [
    pytest.mark.processes,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.usefixtures("browser_up"),
    # Playwright leaves the pipes of its driver to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
#: It asks all the time whether its user is still in, as by a WebSocket, and else begins anew.
_APP = """<h1>App</h1><script>
    const looks = async () => {
        if ((await fetch('/still-in')).ok) setTimeout(looks, 20); else location.replace('TALKDESK/login');
    };
    looks();
</script>"""
_GEAR = """<button onclick="fetch('/end').then(() => document.body.insertAdjacentHTML('beforeend',
    '<div data-testid=outcome data-state=succeeded><p role=status>Done</p></div>'))">Uninstall App</button>"""
_NEVER_IN_TIME = 0.5


@dataclass
class _World:
    """The app and Talkdesk, by the host's name. ``keeps`` says whom the app answers when access has ended:
    nobody, pages that are opened ("links"), or whoever asks for its page ("all").
    """

    keeps: str = ""
    ended: bool = False
    left: asyncio.Event = field(default_factory=asyncio.Event)
    late: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0

    @property
    def app(self) -> str:
        return f"http://app.localhost:{self.port}"

    @property
    def talkdesk(self) -> str:
        return f"http://acme.talkdesk.localhost:{self.port}"

    async def answer(self, request: web.Request) -> web.Response:
        by_host = self._at_talkdesk if "talkdesk" in request.host else self._at_app
        return await by_host(request)

    async def _at_talkdesk(self, request: web.Request) -> web.Response:
        said = '<a href="/logout">Sign out</a>'
        if request.path == "/end":
            self.ended = True
            await self.left.wait()
        elif request.path == "/logout":
            self.ended = True
        elif request.path == "/login":
            self.left.set()
            said = "Sign in to Talkdesk"
        elif request.path == "/gear":
            said = _GEAR
        return web.Response(text=said, content_type="text/html")

    async def _at_app(self, request: web.Request) -> web.Response:
        opened = request.headers["Sec-Fetch-Dest"] == "document"
        if request.path == "/late":
            if not self.late.is_set():
                self.late.set()
                await self.left.wait()
            return web.Response(text="<h1>Late</h1>", content_type="text/html")
        kept = request.path == "/app" and (self.keeps == "all" or (self.keeps == "links" and opened))
        if not self.ended or kept:
            # What is opened later stays where it is: one tab that goes away is enough.
            text = "<h1>App</h1>" if self.ended else _APP.replace("TALKDESK", self.talkdesk)
            return web.Response(text=text, content_type="text/html")
        if opened and request.path == "/app":
            raise web.HTTPSeeOther(f"{self.talkdesk}/login")
        return web.Response(status=401)


@contextlib.asynccontextmanager
async def _jon_in(world: _World) -> AsyncIterator[Journey]:
    """The second user has the app's page open."""
    site = web.Application()
    site.router.add_get("/{path:.*}", world.answer)
    browser = browser_that_is_up()
    async with serving(site) as world.port, await window(browser) as context:
        jon = Person("Jon", "jon@acme.example", world.talkdesk, context, await context.new_page())
        jon.link = f"{world.app}/launch"
        journey = Journey(
            browser=browser,
            console=Console("", context),
            account=Account("acme", world.talkdesk),
            app="App",
            install_link="",
            emails={"admin": "mara@acme.example", "second": jon.email},
            people={"second": jon},
            licensed={"second"},
        )
        journey.visits["second"] = await jon.opens(f"{world.app}/app")
        yield journey


async def _signed_out(world: _World) -> str:
    """What the check of signing out finds."""
    (check,) = [one for one in another_user.item.checks if one.id == "3.sign-out"]
    async with _jon_in(world) as journey:
        try:
            return await check.look(Scene(app="App", customer=journey))
        except Failed as failed:
            return f"failed: {failed}"


async def _left_behind(world: _World, journey: Journey) -> float:
    """After how many seconds the app refuses what the page asks for that went away meanwhile."""
    page = journey.visits["second"].page
    address = page.url
    world.ended = True
    await page.wait_for_url(f"{world.talkdesk}/**")
    return await refused_in_time(page, address)


async def test_the_app_is_asked_at_its_own_address_though_the_tab_went_away() -> None:
    world = _World()
    async with _jon_in(world) as journey:
        assert await _left_behind(world, journey) < NEAR_REAL_TIME_SECONDS


async def test_an_app_that_goes_on_answering_is_found_though_the_tab_went_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(refused, "NEAR_REAL_TIME_SECONDS", _NEVER_IN_TIME)
    world = _World(keeps="all")
    async with _jon_in(world) as journey:
        with pytest.raises(Failed, match=r"still answered \[200, 200, 200\]"):
            await _left_behind(world, journey)


async def test_an_address_is_typed_again_where_the_page_went_elsewhere_meanwhile() -> None:
    world = _World()
    async with _jon_in(world) as journey:
        page, late = journey.visits["second"].page, f"{world.app}/late"
        typed = asyncio.create_task(journey.people["second"].opens(late, page))
        await world.late.wait()
        # What is typed anew ends this in its turn, if it comes before the answer.
        with contextlib.suppress(BrowserError):
            await page.goto(f"{world.talkdesk}/login")
        visit = await typed
        world.left.set()
        assert (visit.page.url, [hop.url for hop in visit.hops]) == (late, [late])


async def test_signing_out_is_judged_by_the_apps_address_whatever_the_tab_shows() -> None:
    assert (await _signed_out(_World())).endswith("the app's address leads to Talkdesk")
    found = await _signed_out(_World(keeps="links"))
    assert found.startswith("failed: the app's address does not lead to Talkdesk: 200 app.localhost")


async def test_who_lost_the_app_tries_its_own_address_though_the_tab_went_away_before_the_message() -> None:
    async def tried(world: _World) -> Scene:
        async with _jon_in(world) as journey:
            journey.dialogue = page = journey.people["second"].desk
            await page.goto(f"{world.talkdesk}/gear")
            await journey.confirms("uninstall", "Uninstall App")
            assert journey.visits["second"].page.url == f"{world.talkdesk}/login"
            return Scene(app="App", customer=journey)

    scene = await tried(_World())
    assert open_pages_refused(scene) == "Jon: 401, 401, 401"
    assert [one.visit.hops[0].url.rpartition("/")[2] for one in scene.journey.tries if one.visit] == [
        "app",
        "launch",
    ]
    scene = await tried(_World(keeps="all"))
    with pytest.raises(Failed, match="the page that was open of Jon was answered 200, 200, 200"):
        open_pages_refused(scene)
    with pytest.raises(Failed, match=r"Jon by the app's address, .* 200, not refused"):
        await links_refused(scene)
