"""A visitor behaves as a browser does: cookies by host, redirects, names under .localhost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from talkdesk_sandbox.story.observe import NotObserved, NotYet
from talkdesk_sandbox.story.visitor import Visitor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ADA = {"id": "u1", "name": "Ada Lovelace"}


class World:
    """Talkdesk's sign-in at one name and an app at another, on one port; ``status`` is the app's mood."""

    def __init__(self) -> None:
        self.port = 0
        self.status = 200
        self.seen: list[str] = []
        self.tour = '<dialog id="tour">'

    def url(self, host: str, path: str = "/") -> str:
        return f"http://{host}.localhost:{self.port}{path}"

    async def login(self, request: web.Request) -> web.Response:
        user = (await request.post())["user"]
        response = web.HTTPSeeOther("/done")
        response.set_cookie("talkdesk", str(user), httponly=True)
        raise response

    async def done(self, _request: web.Request) -> web.Response:
        return web.Response(text="signed in")

    async def launch(self, request: web.Request) -> web.Response:
        self.seen.append(request.host)
        raise web.HTTPSeeOther(self.url("acme.id", "/authorize"))

    async def authorize(self, request: web.Request) -> web.Response:
        raise web.HTTPSeeOther(self.url("t1.app", f"/enter?user={request.cookies.get('talkdesk', '')}"))

    async def enter(self, request: web.Request) -> web.Response:
        response = web.HTTPSeeOther("/")
        response.set_cookie("__Host-s", request.query["user"], secure=True, httponly=True, path="/")
        raise response

    async def sign_out(self, request: web.Request) -> web.Response:
        own = self.url("t1.app").rstrip("/")
        good = request.headers.get("Origin") == own and request.cookies.get("__Host-s") == "u1"
        return web.Response(text="out", status=200 if good else 403)

    async def home(self, request: web.Request) -> web.Response:
        if self.status == 303:
            raise web.HTTPSeeOther(self.url("acme.id", "/login"))
        if self.status != 200:
            return web.Response(text="no", status=self.status)
        who = request.cookies.get("__Host-s")
        return web.Response(text=f"Hello, Ada of acme{self.tour}" if who == "u1" else "Who are you?")


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    app = web.Application()
    app.router.add_post("/login", made.login)
    app.router.add_get("/login", made.done)
    app.router.add_post("/_td/sign-out", made.sign_out)
    for path in ("/done", "/launch", "/authorize", "/enter"):
        app.router.add_get(path, getattr(made, path[1:]))
    app.router.add_get("/", made.home)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


async def test_one_click_leads_through_talkdesk_into_the_app_and_the_session_stays(world: World) -> None:
    ada = Visitor(world.url("acme.id", "").rstrip("/"), ADA)
    await ada.sign_in()
    told = await ada.enters(world.url("launch.app", "/launch"), contains="acme")
    assert told == "Ada Lovelace after 3 redirects"
    assert world.seen == [f"launch.app.localhost:{world.port}"]
    assert ada.at == world.url("t1.app")
    with pytest.raises(NotObserved, match="the tour is shown again to Ada"):
        await ada.enters(ada.at, contains="acme")
    world.tour = ""
    await ada.enters(ada.at, contains="acme")
    await ada.close()


async def test_a_first_visit_without_the_tour_is_not_what_it_should_be(world: World) -> None:
    world.tour = ""
    ada = Visitor(world.url("acme.id", "").rstrip("/"), ADA)
    await ada.sign_in()
    with pytest.raises(NotObserved, match="the tour is not shown to Ada"):
        await ada.enters(world.url("launch.app", "/launch"), contains="acme")
    await ada.close()


async def test_who_is_not_signed_in_at_talkdesk_is_not_greeted(world: World) -> None:
    ada = Visitor(world.url("acme.id", ""), ADA)
    with pytest.raises(NotYet, match="does not say 'Hello, Ada'"):
        await ada.enters(world.url("launch.app", "/launch"), contains="acme")
    await ada.close()


async def test_a_refusal_is_a_page_with_403_and_nothing_else(world: World) -> None:
    ada = Visitor(world.url("acme.id", ""), ADA)
    for status in (200, 401, 404, 500, 503):
        world.status = status
        with pytest.raises(NotYet, match=f"answers {status}"):
            await ada.refused(world.url("t1.app"))
    world.status = 403
    assert await ada.refused(world.url("t1.app")) == "Ada Lovelace: 403"
    await ada.close()


async def test_whoever_has_to_sign_in_is_at_talkdesks_own_page(world: World) -> None:
    ada = Visitor(world.url("acme.id", "").rstrip("/"), ADA, at=world.url("t1.app"))
    with pytest.raises(NotYet, match=r"Ada Lovelace is at t1\.app\.localhost/"):
        await ada.sent_to_sign_in()
    world.status = 303
    assert await ada.sent_to_sign_in() == "Ada Lovelace is asked to sign in to Talkdesk"
    await ada.close()


async def test_a_sign_out_comes_from_the_apps_own_page_and_ends_other_browsers(world: World) -> None:
    stranger = Visitor(world.url("acme.id", "").rstrip("/"), ADA, at=world.url("t1.app"))
    with pytest.raises(NotYet, match="answers the sign-out with 403"):
        await stranger.signs_out()
    await stranger.close()

    ada = Visitor(world.url("acme.id", "").rstrip("/"), ADA)
    await ada.sign_in()
    await ada.enters(world.url("launch.app", "/launch"), contains="acme")
    assert await ada.signs_out() == "Ada Lovelace signs out"
    with pytest.raises(NotYet, match="answers 200"):
        await ada.is_out()
    world.status = 401
    assert await ada.is_out() == "Ada Lovelace's other browser: 401"
    await ada.close()
