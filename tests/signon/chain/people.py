"""Users of Talkdesk, each with a browser whose answers from our side are noted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.request import Request

import httpx

from chain.answers import Told
from talkdesk_sandbox.story.visitor import Loopback

if TYPE_CHECKING:
    from chain.customers import Customer

#: What a browser says of a click, and of a script's request.
CLICK = {"Accept": "text/html", "Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate"}
SCRIPT = {"Accept": "application/json", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors"}


class Recording(Loopback):
    """A browser's connections, whose answers from our side are noted."""

    def __init__(self, edge: int, told: list[Told]) -> None:
        super().__init__()
        #: Another port than Envoy's to which this browser's requests to our side go.
        self.through: int | None = None
        self._edge = edge
        self._told = told
        self._inner = _Diverted(self)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See httpx.AsyncBaseTransport."""
        response = await super().handle_async_request(request)
        await response.aread()
        if request.url.port == self._edge:
            self._told.append(Told(str(request.url), response.status_code, response.headers, response.text))
        return response

    def cookie(self, url: str) -> str:
        """The Cookie header that the browser would send to ``url``."""
        asked = Request(url)  # noqa: S310 - only for the jar, never opened
        self._jar.add_cookie_header(asked)
        return asked.get_header("Cookie", "") or ""

    def forget(self, name: str) -> None:
        """Lose the cookies of that name."""
        for cookie in list(self._jar):
            if cookie.name == name:
                self._jar.clear(cookie.domain, cookie.path, name)


class _Diverted(httpx.AsyncHTTPTransport):
    """Connects where the browser is to be sent; the request itself stays as it is."""

    def __init__(self, browser: Recording) -> None:
        super().__init__()
        self._browser = browser

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See httpx.AsyncBaseTransport."""
        if self._browser.through is not None and request.url.port == self._browser._edge:
            request.url = request.url.copy_with(port=self._browser.through)
        return await super().handle_async_request(request)


@dataclass
class Person:
    """A user with a browser of their own, signed in at Talkdesk after :meth:`at_talkdesk`."""

    customer: Customer
    user: dict[str, Any]
    transport: Recording
    http: httpx.AsyncClient

    @property
    def first(self) -> str:
        """First name."""
        return str(self.user["name"].split()[0])

    @property
    def cookie(self) -> str:
        """What the browser sends to the tenant."""
        return self.transport.cookie(self.customer.origin)

    async def at_talkdesk(self) -> Person:
        """Sign in there, as in the morning."""
        answer = await self.http.post(f"{self.customer.identity}/login", data={"user": self.user["id"]})
        answer.raise_for_status()
        return self

    async def click(self, *, to: str | None = None, user: str | None = None) -> httpx.Response:
        """The icon in Talkdesk, and wherever it leads; as ``user`` where the link names another."""
        return await self.http.get(self.customer.launch_url(user or self.user["id"], to=to))

    async def enters(self) -> Person:
        """One click, and the app greets this user."""
        answer = await self.click()
        assert answer.status_code == 200, f"{answer.status_code} {answer.url}: {answer.text[:600]}"
        assert f"Hello, {self.first}" in answer.text, answer.text[:600]
        assert answer.url.host == self.customer.host
        return self

    async def is_in(self) -> None:
        """The app knows this browser's user as this one."""
        answer = await self.get("/whoami", headers=SCRIPT)
        assert answer.status_code == 200, answer.text
        assert answer.json()["user"]["id"] == self.user["id"]

    async def is_out(self) -> None:
        """There is no session in this browser."""
        answer = await self.get("/whoami", headers=SCRIPT)
        assert answer.status_code == 401, answer.text

    async def get(self, path: str = "/", *, headers: dict[str, str] = CLICK) -> httpx.Response:
        """A request to the tenant; where it leads is not followed."""
        return await self.http.get(self.customer.origin + path, headers=headers, follow_redirects=False)

    async def post(self, path: str, *, headers: dict[str, str]) -> httpx.Response:
        """The same with POST."""
        url = self.customer.origin + path
        return await self.http.post(url, headers=CLICK | headers, follow_redirects=False)

    async def follow(self, stop: str) -> httpx.Response:
        """A click on the icon, followed until a redirect leads to ``stop`` (part of a URL): that redirect."""
        url = self.customer.launch_url(self.user["id"])
        for _ in range(8):
            answer = await self.http.get(url, follow_redirects=False)
            assert answer.is_redirect, f"{answer.status_code} {answer.url}: {answer.text[:300]}"
            url = str(answer.url.join(answer.headers["location"]))
            if stop in url:
                return answer
        raise AssertionError(f"no redirect to {stop}")
