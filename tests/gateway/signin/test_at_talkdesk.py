"""The sign-in through the real stand-in: authorize, code, the installation's own key, userinfo."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import pytest
import pytest_asyncio
import structlog.testing
from aiohttp import web

from serving import serving
from talkdesk_client import ClientOptions, TalkdeskClient
from talkdesk_crds import names
from talkdesk_crds.app import TalkdeskApp
from talkdesk_crds.installation import TalkdeskInstallation
from talkdesk_crds.user_slice import LicensedUser
from talkdesk_gateway import sessions
from talkdesk_gateway.pages import document, refusal_page, steps
from talkdesk_gateway.signin.launch import UNREADY_SECONDS
from talkdesk_gateway.signin.talkdesk import TalkdeskSignOn
from talkdesk_gateway.tenancy import Tenancy
from talkdesk_gateway.verdict import Refusal, Refused
from talkdesk_kube import NotFound, ServerError, Status
from talkdesk_sandbox.chromium import chromium
from talkdesk_sandbox.talkdesk.hosts import region_table
from talkdesk_sandbox.talkdesk.platform import Talkdesk
from talkdesk_sandbox.talkdesk.server import serve
from talkdesk_sandbox.talkdesk.switches import Switches

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from playwright.async_api import Page

HOST, LAUNCH = "acme.apps.localhost", "launch.localhost"


class Secrets:
    """Where a Kube would read Secrets; counts how often."""

    def __init__(self) -> None:
        self.data: dict[str, Any] = {}
        self.reads = 0
        self.away = False

    async def get(self, _: Any, name: str, *, namespace: str) -> Any:
        self.reads += 1
        if self.away:
            raise ServerError(Status(code=503, reason="ServiceUnavailable", message="away"), "GET", "secrets")
        if name not in self.data or namespace != "credentials":
            raise NotFound(Status(code=404, reason="NotFound", message="none"), "GET", "secrets")
        return self.data[name]


class AtTalkdesk:
    """A world whose Talkdesk is the stand-in, with one app installed in the account acme."""

    def __init__(self, world: Any, control: httpx.AsyncClient) -> None:
        self.world = world
        self.control = control
        self.secrets = Secrets()
        self.users: list[str] = []
        self.installation_id = ""
        self.event: dict[str, Any] = {}
        self.events: asyncio.Queue[Any] = asyncio.Queue()
        self.sign_on: Any = None
        self.status: dict[str, Any] = {"credentials": "td-credentials"}

    async def ask(self, path: str, body: Any = None, *, method: str = "POST") -> Any:
        """The stand-in's control API."""
        answer = await self.control.request(method, path, json=body or {})
        assert answer.is_success, answer.text
        return answer.json()

    def licensed(self, *users: str) -> None:
        """These are known as licensed."""
        entries = {user: LicensedUser(epoch=f"e-{user}", name=f"Licensed {user}") for user in users}
        self.world.directory.put(self.tenancy(entries))

    def tenancy(self, entries: dict[str, LicensedUser]) -> Tenancy:
        """What the operator would have made of the event."""
        stamp = {"rank": 10, "event": self.event["id"]}
        links = {name: {**stamp, "href": link["href"]} for name, link in self.event["_links"].items()}
        made = {
            "metadata": {"name": names.installation_name(self.installation_id), "uid": "uid"},
            "spec": {
                "appId": self.event["app_id"],
                "accountId": self.event["data"]["account_id"],
                "installationId": self.installation_id,
                "region": "eu",
                "talkdesk": {"installed": stamp, "links": links},
            },
            "status": {
                "access": {"state": "Allowed", "reason": "InstallationReady"},
                "host": HOST,
                **self.status,
            },
        }
        return Tenancy(
            installation=TalkdeskInstallation.model_validate(made),
            app=self.world.app,
            host=HOST,
            upstream=None,
            user=entries.get,
        )

    def now(self, **status: Any) -> None:
        """The operator has written that into the status; who is licensed stays."""
        self.status |= status
        self.licensed(*self.users[:2])

    def keep_secret(self, name: str = "td-credentials", data: dict[str, Any] | None = None) -> None:
        """What the webhook would have stored of an event: the first, or one with ``data``."""
        data, spec = data or self.event["data"], self.tenancy({}).installation.spec
        keys = ("client_id", "client_secret", "private_key", "key_id", "key_algorithm")
        self.secrets.data[name] = {
            "metadata": {
                "name": name,
                "labels": {
                    names.APP_LABEL: names.label_value(spec.app_id),
                    names.ACCOUNT_LABEL: names.label_value(spec.account_id),
                    names.INSTALLATION_LABEL: names.label_value(spec.installation_id),
                },
            },
            "data": {key: base64.b64encode(data[key].encode()).decode() for key in keys},
        }

    async def rotate(self, name: str, *, compromise: bool = False) -> None:
        """Talkdesk rotates; the new set is in the Secret ``name``, which the status names from now on."""
        path = f"/control/installations/{self.installation_id}/rotate"
        await self.ask(path, {"compromise": compromise})
        while (event := await asyncio.wait_for(self.events.get(), 10))["type"] != "app.credentials_rotated":
            pass
        self.keep_secret(name, event["data"])
        self.now(credentials=name)

    def launch_url(self, user: str) -> str:
        """Where the icon leads."""
        query = {"talkdesk_installation_id": self.installation_id, "talkdesk_user_id": user, "to": "/x"}
        return str(httpx.URL(f"{self.world.origin(LAUNCH)}/_td/launch").copy_merge_params(query))

    async def click(self, browser: Any, user: str) -> httpx.Response:
        """The icon, up to a page, or the app's own."""
        return await self.go(browser, self.launch_url(user))

    async def go(self, browser: Any, url: str) -> httpx.Response:
        """Follow every redirect as a browser does, but not out of the gateway and Talkdesk."""
        for _ in range(20):
            answer: httpx.Response = await browser.get(url)
            if answer.status_code not in (302, 303):
                return answer
            url = urljoin(url, answer.headers["Location"])
            if not urlsplit(url).path.startswith(("/_td/", "/oauth/", "/login")):
                return answer
        raise AssertionError("redirected in a circle")

    async def up_to_callback(self, browser: Any, url: str) -> str:
        """Follow every redirect; the URL at which Talkdesk sends the browser back."""
        while "/_td/callback" not in url:
            url = urljoin(url, (await browser.get(url)).headers["Location"])
        return url

    async def log_in(self, browser: Any, user: str) -> None:
        """Sign in on Talkdesk's own page."""
        authorization = self.event["_links"]["authorization"]["href"]
        url = urljoin(authorization, "/login")
        answer = await browser.http.post(url, data={"user": user, "return_to": "/login"})
        assert answer.status_code == 303, answer.text

    def signed_in(self, browser: Any) -> str | None:
        """Whose session the browser keeps."""
        kept = {one.name: one.value for one in browser.http.cookies.jar if one.domain == HOST}
        keys, now = self.world.keys.keys, self.world.now
        found = sessions.read(kept, host=HOST, keys=keys, now=now)
        return found.user if found is not None else None


@contextlib.asynccontextmanager
async def receiving() -> AsyncIterator[tuple[str, asyncio.Queue[Any]]]:
    """A partner's webhook: its URL, and the events."""
    events: asyncio.Queue[Any] = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        events.put_nowait(json.loads(await request.read()))
        return web.Response(status=202)

    app = web.Application()
    app.add_routes([web.post("/events", take)])
    async with serving(app) as port:
        yield f"http://127.0.0.1:{port}/events", events


@pytest_asyncio.fixture(params=[False, True], ids=["plain", "pkce"])
async def desk(request: Any, world: Any, tmp_path: Path) -> AsyncIterator[AtTalkdesk]:
    """The stand-in, an installation in it, and a gateway that talks to it through its proxy."""
    pkce: bool = request.param
    async with contextlib.AsyncExitStack() as stack:
        where = await stack.enter_async_context(serve(Talkdesk(switches=Switches()), directory=tmp_path))
        trusting = ssl.create_default_context(cafile=str(where.ca_file))
        control = await stack.enter_async_context(
            httpx.AsyncClient(base_url=where.control, trust_env=False, verify=trusting)
        )
        http = await stack.enter_async_context(
            httpx.AsyncClient(proxy=where.proxy, verify=trusting, trust_env=False)
        )
        options = ClientOptions(pkce=pkce, retry_budget=0.2, retry_attempts=2, retry_first=0.01)
        client = await stack.enter_async_context(TalkdeskClient(http, options))
        made = AtTalkdesk(world, control)
        secrets: Any = made.secrets
        made.sign_on = TalkdeskSignOn(secrets, client, namespace="credentials", pkce=pkce)
        parts = world.parts(talkdesk=made.sign_on)
        pages = (web.get("/x", _the_app), web.get("/form", _form), web.get("/framed", _framed))
        await stack.enter_async_context(world.serving(parts, *pages))
        url, made.events = await stack.enter_async_context(receiving())
        callback = f"{world.origin(LAUNCH)}/_td/callback"
        app = await made.ask(
            "/control/apps", {"name": "Demo", "events_url": url, "redirect_uris": [callback]}
        )
        account = await made.ask("/control/accounts", {"name": "acme", "region": "eu"})
        for name in ("ada", "bob", "eve"):
            body = {"email": f"{name}@example.com", "name": name.title()}
            made.users.append((await made.ask(f"/control/accounts/{account['id']}/users", body))["id"])
        body = {"app_id": app["id"], "account_id": account["id"], "plan": "Trial", "users": made.users[:2]}
        made.installation_id = (await made.ask("/control/install", body))["installation_id"]
        made.event = await asyncio.wait_for(made.events.get(), 10)
        world.app = declared(app["id"])
        world.directory.apps = {LAUNCH: world.app}
        made.keep_secret()
        made.licensed(*made.users[:2])
        yield made


async def _the_app(_: web.Request) -> web.Response:
    return web.Response(
        text="<!doctype html><title>the app</title><h1>the app</h1>", content_type="text/html"
    )


async def _form(_: web.Request) -> web.Response:
    return web.Response(
        text="<!doctype html><form method=post action=/_td/sign-out><button>Out</button></form>",
        content_type="text/html",
        headers={"Referrer-Policy": "no-referrer"},
    )


async def _framed(_: web.Request) -> web.Response:
    return web.Response(
        text="<!doctype html><iframe sandbox='allow-forms allow-scripts' src=/form></iframe>",
        content_type="text/html",
    )


def declared(app_id: str) -> TalkdeskApp:
    """The app as a platform engineer declares it."""
    spec = {
        "appId": app_id,
        "regions": region_table(),
        "baseDomain": "apps.localhost",
        "launchHost": LAUNCH,
        "service": {"name": "web", "port": 8080},
        "template": [],
        "contact": "help@example.com",
    }
    return TalkdeskApp.model_validate({"metadata": {"name": "app"}, "spec": spec})


async def test_whoever_is_signed_in_at_talkdesk_is_in_the_app_after_one_click(desk: AtTalkdesk) -> None:
    browser, (ada, *_) = desk.world.browser(), desk.users
    await desk.log_in(browser, ada)
    answer = await desk.click(browser, ada)
    assert answer.headers["Location"] == f"{desk.world.origin(HOST)}/x"
    assert desk.signed_in(browser) == ada
    assert desk.secrets.reads == 1
    entries = (await desk.ask("/control/ledger?since=0", method="GET"))["entries"]
    (token,) = [entry for entry in entries if entry["kind"] == "token"]
    assert token["detail"]["grant_type"] == "authorization_code"
    assert token["detail"]["authentication"] == "private_key_jwt"
    assert len([entry for entry in entries if (entry["url"] or "").endswith("/users/me")]) == 1


async def test_whoever_is_not_signed_in_at_talkdesk_signs_in_there_first(desk: AtTalkdesk) -> None:
    browser, (ada, *_) = desk.world.browser(), desk.users
    page = await desk.click(browser, ada)
    assert (page.status_code, urlsplit(str(page.url)).path) == (200, "/login")
    return_to = parse_qs(urlsplit(str(page.url)).query)["return_to"][0]
    sent = await browser.http.post(
        urljoin(str(page.url), "/login"), data={"user": ada, "return_to": return_to}
    )
    answer = await desk.go(browser, urljoin(str(page.url), sent.headers["Location"]))
    assert answer.headers["Location"] == f"{desk.world.origin(HOST)}/x"
    assert desk.signed_in(browser) == ada


async def test_userinfo_decides_and_not_the_hint(desk: AtTalkdesk) -> None:
    browser, (ada, bob, eve) = desk.world.browser(), desk.users
    await desk.log_in(browser, eve)
    refused = await desk.click(browser, ada)
    assert refused.status_code == 403
    assert "signed in to Talkdesk as Eve" in refused.text
    assert desk.signed_in(browser) is None
    await desk.log_in(browser, bob)
    asked = await desk.click(browser, ada)
    assert f"Continue as Licensed {bob}" in asked.text
    assert desk.signed_in(browser) is None
    proceed = f"{desk.world.origin(HOST)}/_td/start?hint={bob}&to=%2Fx"
    await desk.go(browser, proceed)
    assert desk.signed_in(browser) == bob


async def test_a_code_works_once_at_talkdesk(desk: AtTalkdesk) -> None:
    browser, (ada, *_) = desk.world.browser(), desk.users
    await desk.log_in(browser, ada)
    url = await desk.up_to_callback(browser, desk.launch_url(ada))
    assert (await browser.get(url)).status_code == 303
    replayed = await browser.get(url)
    assert replayed.status_code == 400
    assert "This sign-in cannot be completed" in replayed.text


async def test_another_installations_code_is_refused_by_talkdesk(desk: AtTalkdesk) -> None:
    """A code injected into somebody's own sign-in: it is another client's."""
    browser, (ada, *_) = desk.world.browser(), desk.users
    await desk.log_in(browser, ada)
    url = await desk.up_to_callback(browser, desk.launch_url(ada))
    forged = str(httpx.URL(url).copy_set_param("code", "another-clients-code"))
    assert (await browser.get(forged)).status_code == 400


async def test_credentials_that_rotate_while_somebody_signs_in_disturb_nobody(desk: AtTalkdesk) -> None:
    """The code is the old set's, which is good for a while yet; the next sign-in is the new one's."""
    browser, (ada, bob, *_) = desk.world.browser(), desk.users
    await desk.log_in(browser, ada)
    callback = await desk.up_to_callback(browser, desk.launch_url(ada))
    await desk.rotate("td-rotated")
    answer = await browser.get(callback)
    assert answer.status_code == 303
    assert urlsplit(answer.headers["Location"]).path == "/_td/enter"
    await desk.go(browser, answer.headers["Location"])
    assert desk.signed_in(browser) == ada
    await desk.log_in(browser, bob)
    await desk.click(browser, bob)
    assert desk.signed_in(browser) == bob
    entries = (await desk.ask("/control/ledger?since=0", method="GET"))["entries"]
    clients = [entry["detail"]["client_id"] for entry in entries if entry["kind"] == "token"]
    assert len(set(clients)) == len(clients) == 2


async def test_a_redirect_uri_that_changes_while_somebody_signs_in_disturbs_nobody(desk: AtTalkdesk) -> None:
    browser, (ada, *_) = desk.world.browser(), desk.users
    await desk.log_in(browser, ada)
    callback = await desk.up_to_callback(browser, desk.launch_url(ada))
    desk.now(signIn={"redirectUri": f"{desk.world.origin(LAUNCH)}/_td/callback?version=2"})
    await desk.go(browser, callback)
    assert desk.signed_in(browser) == ada


async def another_replica_finds_it_deleted(desk: AtTalkdesk, name: str) -> None:
    """The set that the sign-in began with is superseded, and this replica has never read its Secret."""
    superseded = desk.status["credentials"]
    await desk.rotate(name)
    del desk.secrets.data[superseded]
    desk.sign_on._known.clear()


async def talkdesk_takes_it_no_more(desk: AtTalkdesk, name: str) -> None:
    """The set that the sign-in began with has leaked, or the new one was acknowledged."""
    await desk.rotate(name, compromise=True)


@pytest.mark.parametrize("ends", [another_replica_finds_it_deleted, talkdesk_takes_it_no_more])
async def test_a_sign_in_whose_credentials_ended_begins_anew_by_itself_and_leads_to_where_it_was_to(
    desk: AtTalkdesk, ends: Any
) -> None:
    browser, (ada, *_) = desk.world.browser(), desk.users
    await desk.log_in(browser, ada)
    callback = await desk.up_to_callback(browser, desk.launch_url(ada))
    await ends(desk, "td-next")
    answer = await desk.go(browser, callback)
    assert answer.headers["Location"] == f"{desk.world.origin(HOST)}/x"
    assert desk.signed_in(browser) == ada
    assert [desk.world.counted("callback", outcome) for outcome in ("again", "on")] == [1, 1]


@pytest.mark.parametrize("ends", [another_replica_finds_it_deleted, talkdesk_takes_it_no_more])
async def test_a_sign_in_whose_credentials_end_again_and_again_gets_a_page(
    desk: AtTalkdesk, ends: Any
) -> None:
    browser, (ada, *_) = desk.world.browser(), desk.users
    await desk.log_in(browser, ada)
    callback = await desk.up_to_callback(browser, desk.launch_url(ada))
    await ends(desk, "td-next")
    begun_anew = (await browser.get(callback)).headers["Location"]
    callback = await desk.up_to_callback(browser, begun_anew)
    await ends(desk, "td-last")
    answer = await browser.get(callback)
    assert answer.status_code == 503
    assert "Talkdesk could not confirm who you are" in answer.text
    assert [desk.world.counted("callback", "again"), desk.signed_in(browser)] == [1, None]


async def test_another_installations_credentials_exchange_no_code(desk: AtTalkdesk) -> None:
    """Not even where the sign-in began with a Secret of that name."""
    browser, (ada, *_) = desk.world.browser(), desk.users
    await desk.log_in(browser, ada)
    callback = await desk.up_to_callback(browser, desk.launch_url(ada))
    await desk.rotate("td-next")
    labels = desk.secrets.data["td-credentials"]["metadata"]["labels"]
    labels[names.INSTALLATION_LABEL] = names.label_value("another")
    desk.sign_on._known.clear()
    answer = await browser.get(callback)
    assert answer.status_code == 503
    entries = (await desk.ask("/control/ledger?since=0", method="GET"))["entries"]
    assert not [entry for entry in entries if entry["kind"] == "token"]


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        (".*/oauth/token", {"status": 500, "times": 9}),
        (".*/oauth/token", {"cut": True, "times": 9}),
        (".*/oauth/token", {"status": 200, "body": {"nonsense": True}, "times": 9}),
        (".*/users/me", {"status": 500, "times": 9}),
        (".*/users/me", {"status": 403, "times": 9}),
        (".*/users/me", {"status": 200, "body": ["nonsense"], "times": 9}),
        (".*/users/me", {"status": 200, "body": {"name": "Nobody"}, "times": 9}),
    ],
)
async def test_talkdesk_down_or_answering_nonsense_is_a_503_with_a_page(
    desk: AtTalkdesk, path: str, fault: dict[str, Any]
) -> None:
    browser, (ada, *_) = desk.world.browser(), desk.users
    await desk.log_in(browser, ada)
    await desk.ask("/control/faults", {"path": path, **fault})
    with structlog.testing.capture_logs() as logs:
        answer = await desk.click(browser, ada)
    assert answer.status_code == 503
    assert "Talkdesk could not confirm who you are" in answer.text
    assert "help@example.com" in answer.text
    assert desk.signed_in(browser) is None
    (line,) = [line for line in logs if line["event"] == "sign-in refused"]
    assert line["detail"]
    assert "code=" not in str(logs)
    # And the way that the page offers works, once Talkdesk does.
    await desk.ask("/control/faults", method="DELETE")
    await desk.go(browser, f"{desk.world.origin(HOST)}/_td/start?hint={ada}")
    assert desk.signed_in(browser) == ada


async def test_an_account_that_was_renamed_signs_in_by_its_former_host(desk: AtTalkdesk) -> None:
    browser, (ada, *_) = desk.world.browser(), desk.users
    account = desk.event["data"]["account_id"]
    await desk.ask(f"/control/accounts/{account}", {"name": "acme-renamed"}, method="PATCH")
    await desk.log_in(browser, ada)
    await desk.click(browser, ada)
    assert desk.signed_in(browser) == ada


@pytest.mark.parametrize(
    ("spoil", "status"),
    [
        (lambda desk: desk.secrets.data.clear(), 503),
        (lambda desk: setattr(desk.secrets, "away", True), 503),
        (lambda desk: desk.secrets.data["td-credentials"]["metadata"].update(labels={}), 503),
        (lambda desk: desk.secrets.data["td-credentials"]["data"].pop("client_id"), 503),
    ],
)
async def test_credentials_that_cannot_be_used_are_a_503_and_are_not_shown(
    desk: AtTalkdesk, spoil: Any, status: int
) -> None:
    secret = desk.event["data"]["client_secret"]
    spoil(desk)
    with structlog.testing.capture_logs() as logs:
        answer = await desk.click(desk.world.browser(), desk.users[0])
    assert answer.status_code == status
    assert logs
    assert secret not in str(logs) + answer.text


async def test_no_secret_of_the_sign_in_reaches_a_log(desk: AtTalkdesk) -> None:
    browser, (_, _, eve) = desk.world.browser(), desk.users
    await desk.log_in(browser, eve)
    url, seen = desk.launch_url(eve), []
    with structlog.testing.capture_logs() as logs:
        for _ in range(4):
            answer = await browser.get(url)
            if answer.status_code not in (302, 303):
                break
            url = urljoin(url, answer.headers["Location"])
            query = parse_qs(urlsplit(url).query)
            seen += [value for name in ("state", "code", "nonce") for value in query.get(name, [])]
    assert answer.status_code == 403
    assert len(seen) >= 3
    data = desk.event["data"]
    for secret in (*seen, data["client_secret"], data["private_key"]):
        assert secret not in str(logs)


in_chromium = [
    pytest.mark.processes,
    pytest.mark.parametrize("desk", [False], indirect=True, ids=["plain"]),
    # Playwright leaves the pipes of its driver to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


def marked(test: Any) -> Any:
    """A test in a real browser."""
    for mark in in_chromium:
        test = mark(test)
    return test


@contextlib.asynccontextmanager
async def opened(**options: Any) -> AsyncIterator[tuple[Page, list[str]]]:
    """A page of a fresh Chromium, and what its console complains of, but for statuses."""
    async with chromium() as browser:
        page = await (await browser.new_context(**options)).new_page()
        complaints: list[str] = []
        page.on("console", lambda said: "with a status of" in said.text or complaints.append(said.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield page, complaints


@marked
async def test_a_real_browser_is_in_the_app_after_one_click_and_out_again(desk: AtTalkdesk) -> None:
    """Secure __Host- cookies on *.localhost; the form's Origin under the page's own referrer policy."""
    ada = desk.users[0]
    async with opened() as (page, complaints):
        await page.goto(desk.launch_url(ada))
        await page.get_by_role("button", name="Ada").click()
        await page.wait_for_url("**/x")
        assert await page.inner_text("h1") == "the app"
        cookies = {cookie["name"]: cookie for cookie in await page.context.cookies(desk.world.origin(HOST))}
        assert set(cookies) == {sessions.SESSION_COOKIE, sessions.USE_COOKIE}
        assert all(cookie["secure"] and cookie["httpOnly"] for cookie in cookies.values())
        # Signed in at Talkdesk by now: the next launch shows no page at all.
        answer = await page.goto(desk.launch_url(ada))
        assert answer is not None
        assert page.url.endswith("/x")
        await page.goto(f"{desk.world.origin(HOST)}/_td/sign-out")
        await page.get_by_role("button", name="Sign out").click()
        assert await page.inner_text("h1") == "You are signed out"
        assert await page.context.cookies(desk.world.origin(HOST)) == []
        assert [user for _, user, _ in desk.world.signed_out.made] == [ada]
        assert complaints == []


@marked
@pytest.mark.parametrize("scripts", [True, False])
async def test_a_waiting_page_goes_on_by_itself_in_a_real_browser(desk: AtTalkdesk, scripts: bool) -> None:
    tenancies, ada = desk.world.directory.tenancies, desk.users[0]
    known = dict(tenancies)
    tenancies.clear()
    async with opened(java_script_enabled=scripts) as (page, complaints):
        await page.goto(desk.launch_url(ada))
        assert await page.inner_text("h1") == "Setting up your app"
        await desk.world.directory.heard()
        for tenancy in known.values():
            desk.world.directory.put(tenancy)
        await page.wait_for_url("**/login**")
        assert complaints == []


@marked
async def test_a_waiting_page_asks_again_where_the_gateway_was_away_for_a_moment(desk: AtTalkdesk) -> None:
    ada = desk.users[0]
    known = dict(desk.world.directory.tenancies)
    desk.world.directory.tenancies.clear()
    async with opened() as (page, complaints):
        away: asyncio.Queue[str] = asyncio.Queue()
        page.on("response", lambda told: told.status == 503 and away.put_nowait(told.url))
        await page.goto(desk.launch_url(ada))
        desk.world.directory.fresh = False
        for _ in range(2):
            await asyncio.wait_for(away.get(), 20)
        assert await page.inner_text("h1") == "Setting up your app"
        desk.world.directory.fresh = True
        await desk.world.directory.heard()
        for tenancy in known.values():
            desk.world.directory.put(tenancy)
        await page.wait_for_url("**/login**")
        assert complaints == []


@marked
async def test_a_waiting_page_gives_up_in_the_end_where_provisioning_takes_too_long(desk: AtTalkdesk) -> None:
    desk.now(access={"state": "Refused", "reason": "Installing"})
    async with opened() as (page, complaints):
        await page.goto(desk.launch_url(desk.users[0]) + f"&waited={UNREADY_SECONDS - 1}")
        assert await page.inner_text("h1") == "Setting up your app"
        await page.get_by_role("heading", name="The app is still being set up").wait_for()
        assert complaints == []


@marked
@pytest.mark.parametrize(("path", "own"), [("/form", True), ("/framed", False)])
async def test_a_form_under_no_referrer_is_the_tenants_own_and_that_of_a_sandboxed_frame_is_not(
    desk: AtTalkdesk, path: str, own: bool
) -> None:
    """Both have ``Origin: null``; the browser tells them apart."""
    ada = desk.users[0]
    async with opened() as (page, _):
        await page.goto(desk.launch_url(ada))
        await page.get_by_role("button", name="Ada").click()
        await page.wait_for_url("**/x")
        await page.goto(desk.world.origin(HOST) + path)
        place = page if own else page.frame_locator("iframe")
        async with page.expect_response("**/_td/sign-out") as answered:
            await place.get_by_role("button", name="Out").click()
        answer = await answered.value
        sent = await answer.request.all_headers()
        assert (sent["origin"], sent["sec-fetch-site"]) == ("null", "same-origin" if own else "cross-site")
        assert answer.status == (200 if own else 403)
        assert bool(desk.world.signed_out.made) is own


@marked
@pytest.mark.parametrize("width", [320, 1280])
async def test_every_page_fits_its_window_and_breaks_none_of_its_own_rules(
    desk: AtTalkdesk, width: int
) -> None:
    long_name = "Wolfeschlegelsteinhausenbergerdorff" * 3
    reference = "9d1f6c2e-4a3b-4c5d-8e7f-001122334455"
    app = desk.world.app
    shown = {
        why.value: refusal_page(Refused(why, app=app), reference=reference, retry="/") for why in Refusal
    }
    shown["another"] = steps.continue_as(
        long_name, proceed="/", switch="/", retry="/", app=app, reference=reference
    )
    shown["sign-out"] = steps.sign_out(long_name, back="/", app=app)
    at = {"page": shown["another"]}

    async def show(_: web.Request) -> web.Response:
        status, headers, html = document(at["page"])
        return web.Response(status=status, headers=headers, body=html.encode())

    async with (
        desk.world.serving(desk.world.parts(), web.get("/shown", show)),
        opened(viewport={"width": width, "height": 700}) as (page, complaints),
    ):
        for at["page"] in shown.values():
            await page.goto(f"{desk.world.origin(HOST)}/shown")
            assert await page.inner_text("h1") == at["page"].title
            # A style that its policy refused would leave the page white and as wide as its words.
            assert await page.evaluate("getComputedStyle(document.querySelector('main')).borderRadius") == (
                "16px"
            )
            wide = await page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, at["page"].title
        assert complaints == []
