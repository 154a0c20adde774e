"""The stand-in with its console, served in the test's own event loop, and browsers as plain HTTP clients."""

from __future__ import annotations

import contextlib
import re
import ssl
from dataclasses import dataclass, field
from html import unescape
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import httpx
import pytest_asyncio
from aiohttp import web

from serving import serving
from showing.forms import button_of
from showing.partner import Partner
from talkdesk_sandbox.console.console import Console
from talkdesk_sandbox.plain import plain
from talkdesk_sandbox.talkdesk.control_bodies import NewAccount, NewApp, NewUser
from talkdesk_sandbox.talkdesk.platform import Talkdesk
from talkdesk_sandbox.talkdesk.population import add_account, add_app, add_user
from talkdesk_sandbox.talkdesk.server import serve
from talkdesk_sandbox.talkdesk.switches import Switches

CALLBACK = "https://app.example/callback"

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from talkdesk_sandbox.console.mails import Mail
    from talkdesk_sandbox.talkdesk.hosts import Region
    from talkdesk_sandbox.talkdesk.model import Account, App, User


class Letters:
    """A mailbox that tests put mails into."""

    def __init__(self) -> None:
        self.kept: list[Mail] = []

    def messages(self) -> list[Mail]:
        return self.kept


@dataclass
class Show:
    """One app, whose events URL answers ``status`` and ``said``; ``deliveries`` are what came there.

    ``http`` is a browser, ``server`` the app's server on its way to Talkdesk.
    """

    talkdesk: Talkdesk
    console: Console
    letters: Letters
    http: httpx.AsyncClient
    server: httpx.AsyncClient
    app: App
    deliveries: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    status: int = 202
    said: dict[str, Any] = field(default_factory=lambda: {"note": "taken"})

    @property
    def root(self) -> str:
        return self.console.root

    def account(self, name: str, region: Region = "eu", people: int = 3) -> tuple[Account, list[User]]:
        account = add_account(self.talkdesk, NewAccount(name=name, region=region))
        names = ("Ada Lovelace", "Ben Novak", "Cleo Marsh", "Dan Okafor")[:people]
        users = [
            add_user(self.talkdesk, account.id, NewUser(email=f"{one[:3].lower()}@{name}.example", name=one))
            for one in names
        ]
        return account, users

    def installed(self, account: Account, users: list[User]) -> str:
        """An installation that the app has approved: its id."""
        id_, _ = self.talkdesk.install(
            app_id=self.app.id,
            account_id=account.id,
            plan=None,
            users=[one.id for one in users],
            created_by=users[0].id,
        )
        self.talkdesk.answer(id_, verdict="approve", reason=None)
        return id_

    def partner(self, installation_id: str) -> Partner:
        """The app's server, with the newest credentials of the installation that have arrived."""
        return Partner.of(self.server, (body for _, body in self.deliveries), installation_id)

    def ledger(self, kind: str) -> list[dict[str, Any]]:
        """The entries of one kind."""
        return [entry for entry in self.talkdesk.ledger.since(0) if entry["kind"] == kind]

    async def press(
        self, url: str, label: str, *, cookies: dict[str, str] | None = None, **filled: str
    ) -> httpx.Response:
        """Press the button ``label`` of the page ``url``, with the form's other fields as they are there.

        Gives the page that this leads to.
        """
        page = await self.get(url, cookies=cookies)
        form, button = button_of(page.text, label)
        answer = await self.post(urljoin(url, form.action), form.sent(button, **filled), cookies=cookies)
        assert answer.status_code == 303, self.told(answer)
        return await self.get(urljoin(url, answer.headers["Location"]), cookies=cookies)

    async def get(self, url: str, *, cookies: dict[str, str] | None = None, host: str = "") -> httpx.Response:
        return await self._ask("GET", url, cookies=cookies, host=host)

    async def post(
        self,
        url: str,
        form: dict[str, Any] | None = None,
        *,
        cookies: dict[str, str] | None = None,
        origin: str | None = "own",
    ) -> httpx.Response:
        return await self._ask("POST", url, form=form or {}, cookies=cookies, origin=origin)

    async def sign_in(self, account: Account, user: User) -> dict[str, str]:
        """The cookies of a browser in which ``user`` is signed in."""
        answer = await self.post(f"{self.console.at(account)}/login", {"user": user.id})
        assert answer.status_code == 303, answer.text
        return {"talkdesk_session": answer.cookies["talkdesk_session"]}

    async def settle(self) -> None:
        await self.talkdesk.agenda.settle()

    @staticmethod
    def told(page: httpx.Response) -> str:
        """What a reader sees of a page: its text in one line."""
        body = page.text[page.text.index("<main") :]
        return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", "", body))).strip()

    async def _ask(
        self,
        method: str,
        url: str,
        *,
        form: dict[str, Any] | None = None,
        cookies: dict[str, str] | None = None,
        origin: str | None = "own",
        host: str = "",
    ) -> httpx.Response:
        at = urlsplit(url)
        headers = {"Host": host or at.netloc}
        if cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        if method == "POST" and origin is not None:
            headers["Origin"] = f"http://{at.netloc}" if origin == "own" else origin
        path = at._replace(scheme="", netloc="").geturl() or "/"
        self.http.cookies.clear()  # each call says which browser it is
        return await self.http.request(method, path, data=form, headers=headers)


@contextlib.asynccontextmanager
async def _receiver(show: list[Show]) -> AsyncIterator[str]:
    async def take(request: web.Request) -> web.Response:
        show[0].deliveries.append((dict(request.headers), await request.read()))
        return web.json_response(show[0].said, status=show[0].status)

    app = web.Application()
    app.router.add_post("/events", take)
    async with serving(app) as port:
        yield f"http://127.0.0.1:{port}/events"


@pytest_asyncio.fixture
async def show(tmp_path: Path) -> AsyncIterator[Show]:
    talkdesk, letters, made = Talkdesk(switches=Switches()), Letters(), list[Show]()
    console = Console(talkdesk=talkdesk, mailbox=letters)
    async with (
        _receiver(made) as events_url,
        serve(talkdesk, directory=tmp_path, console=console) as where,
        plain(base_url=where.browser, timeout=20) as http,
        httpx.AsyncClient(
            proxy=where.proxy,
            verify=ssl.create_default_context(cafile=str(where.ca_file)),
            trust_env=False,
            timeout=20,
        ) as server,
    ):
        app = add_app(
            talkdesk,
            NewApp(
                name="Callboard",
                events_url=events_url,
                launch_url="http://launch.demo.localhost:1/_td/launch",
                redirect_uris=[CALLBACK],
                summary="A live board.",
                terms_url="https://www.demo.example/terms",
            ),
        )
        made.append(
            Show(talkdesk=talkdesk, console=console, letters=letters, http=http, server=server, app=app)
        )
        yield made[0]
