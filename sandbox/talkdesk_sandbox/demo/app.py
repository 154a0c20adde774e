"""The app: routes, who may see them, and an end without lost requests."""

from __future__ import annotations

import asyncio
import signal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web

from talkdesk_sandbox.demo import pages
from talkdesk_sandbox.demo.account import Account, read_record
from talkdesk_sandbox.demo.live import Live
from talkdesk_sandbox.demo.user import HEADER, KeysUnavailable, NotSignedIn, User
from talkdesk_sandbox.demo.visits import Visits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from talkdesk_sandbox.demo.identity import Keys
    from talkdesk_sandbox.demo.settings import Settings

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

USER = web.RequestKey("user", User)
_STATIC = Path(__file__).parent / "static"
#: Anybody in the cluster may ask for these: they tell nothing of a user.
_OPEN = ("/healthz", "/about", "/static/", "/favicon.ico")


class Demo:
    """The app; ``draining`` turns its health to 503."""

    def __init__(self, settings: Settings) -> None:
        self.draining = False
        self._settings = settings
        self._visits = Visits(settings.data / "visits" if settings.data is not None else None)
        self._keys: Callable[[], Keys] | None = None
        self._ending = asyncio.Event()
        self._live = Live(self._ending)

    def account(self) -> Account:
        """The account as it is known now: a changed plan shows without a restart."""
        return Account.of(read_record(self._settings.account_file))

    # Pages.

    async def home(self, request: web.Request) -> web.Response:
        """The dashboard, with the tour on a user's first visit and on demand."""
        user = request.get(USER)
        first = user is not None and await asyncio.to_thread(self._visits.is_first, user.id)
        return _html(pages.home(self.account(), user, tour=first or "tour" in request.query))

    async def calls(self, request: web.Request) -> web.Response:
        """Single calls."""
        return _html(pages.calls(self.account(), request.get(USER)))

    async def about(self, _request: web.Request) -> web.Response:
        """Whose app this is: for those who look from inside the cluster."""
        account = self.account()
        text = f"This is Callboard of {account.title} ({account.name or account.id or 'no account'})."
        return _html(pages.told(account, title=f"Hello, {account.title}", text=text))

    async def strict(self, _request: web.Request) -> web.Response:
        """A page with a strict Content-Security-Policy."""
        text, policy = pages.strict()
        return _html(text, policy=policy)

    async def bare(self, _request: web.Request) -> web.Response:
        """A page without a head."""
        return _html(pages.bare())

    async def who_am_i(self, request: web.Request) -> web.Response:
        """What the gateway said of the user: the plain headers, and the claims of the checked token."""
        user = request.get(USER)
        headers = {name.lower(): value for name, value in request.headers.items()}
        told = {name: value for name, value in headers.items() if name.startswith("x-td-") and name != HEADER}
        return web.json_response(
            {
                "user": vars(user) if user is not None else None,
                "headers": told,
                "cookie": headers.get("cookie"),
            }
        )

    async def icon(self, _request: web.Request) -> web.FileResponse:
        """Browsers ask for it where a page names none."""
        return web.FileResponse(_STATIC / "icon.svg")

    async def health(self, _request: web.Request) -> web.Response:
        """200 until SIGTERM, then 503."""
        return web.Response(
            status=503 if self.draining else 200, text="draining\n" if self.draining else "ok\n"
        )

    # Who asks.

    @web.middleware
    async def signed_in(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Nobody gets further without a token that is good for this installation."""
        if self._keys is None or request.path.startswith(_OPEN):
            return await handler(request)
        account = self.account()
        try:
            claims = await self._keys().claims(
                request.headers.get(HEADER, ""), tenant=account.issuer, installation=account.installation
            )
        except NotSignedIn:
            text = "This app is opened from Talkdesk, where you are signed in already."
            return _html(
                pages.told(account, title="Please open Callboard in Talkdesk", text=text), status=401
            )
        except KeysUnavailable:
            text = "We cannot check who you are just now. Please try again in a moment."
            return _html(pages.told(account, title="One moment", text=text), status=503)
        request[USER] = User.of(claims)
        return await handler(request)

    async def _with_keys(self, _app: web.Application) -> AsyncIterator[None]:
        if (url := self._settings.jwks_url) is None:
            yield
            return
        async with aiohttp.ClientSession() as http:

            @cache
            def keys() -> Keys:
                """Made for the first visitor: until then a pod does without what checks signatures."""
                from talkdesk_sandbox.demo.identity import Keys  # noqa: PLC0415 - see above

                return Keys(url, http)

            self._keys = keys
            yield

    # The life.

    def routes(self) -> web.Application:
        """The web application."""
        app = web.Application(middlewares=[self.signed_in])
        app.cleanup_ctx.append(self._with_keys)
        app.router.add_get("/", self.home)
        app.router.add_get("/calls", self.calls)
        app.router.add_get("/about", self.about)
        app.router.add_get("/strict", self.strict)
        app.router.add_get("/bare", self.bare)
        app.router.add_get("/whoami", self.who_am_i)
        app.router.add_get("/clock", self._live.clock)
        app.router.add_get("/feed", self._live.feed)
        app.router.add_get("/download", self._live.download)
        app.router.add_post("/upload", self._live.upload)
        app.router.add_get("/favicon.ico", self.icon)
        app.router.add_get("/healthz", self.health)
        app.router.add_static("/static/", _STATIC)
        return app

    def end(self) -> None:
        """What goes on for long comes to its end."""
        self._ending.set()

    async def serve(self) -> None:
        """Serve until SIGTERM or SIGINT and ``drain`` seconds more. Raises OSError if it cannot listen."""
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, ended.set)
        runner = web.AppRunner(self.routes(), access_log=None, shutdown_timeout=self._settings.drain)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._settings.address, self._settings.port).start()
            await ended.wait()
            self.draining = True
            await asyncio.sleep(self._settings.drain)
        finally:
            self.end()
            await runner.cleanup()


def _html(text: str, *, status: int = 200, policy: str = pages.POLICY) -> web.Response:
    """A page; compressed where the client takes it."""
    response = web.Response(text=text, content_type="text/html", status=status)
    response.headers["Content-Security-Policy"] = policy
    response.headers["Cache-Control"] = "no-store"
    response.enable_compression()
    return response
