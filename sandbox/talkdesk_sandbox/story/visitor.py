"""A user of Talkdesk with a browser of their own: cookies, redirects, and nothing else that a browser has.

Names under ``.localhost`` are this machine, and Secure cookies are kept there without TLS, as browsers do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from email.message import Message
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.request import Request

import httpx

from talkdesk_sandbox.plain import NO_TLS
from talkdesk_sandbox.story.observe import NotObserved, NotYet

_LOOPBACK = "127.0.0.1"
_SECONDS = 15.0  # a callback may wait for an unknown user to be looked up
#: What a browser says of a click on a link.
_NAVIGATION = {
    "Accept": "text/html",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-User": "?1",
}
#: What it says of a request by a script.
_IN_THE_BACKGROUND = {"Accept": "application/json", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors"}


class _Answer:
    """What the cookie jar wants of a response."""

    def __init__(self, response: httpx.Response) -> None:
        self._headers = Message()
        for name, value in response.headers.multi_items():
            self._headers[name] = value

    def info(self) -> Message:
        return self._headers


class Loopback(httpx.AsyncBaseTransport):
    """Sends what is meant for ``*.localhost`` to this machine, and keeps cookies as a browser does there.

    httpx itself would hold Secure cookies back from plain http.

    :param talkdesk: base URL of Talkdesk's listener for browsers: where links of its identity hosts are https
        and name no port, this is where they lead to.
    """

    def __init__(self, talkdesk: str = "") -> None:
        self._talkdesk = httpx.URL(talkdesk)
        self._inner = httpx.AsyncHTTPTransport(verify=NO_TLS)
        self._jar = CookieJar(DefaultCookiePolicy(secure_protocols=("http", "https")))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See httpx.AsyncBaseTransport."""
        asked = Request(str(request.url))  # noqa: S310 - only for the jar, never opened
        headers = httpx.Headers({**request.headers, "cookie": self.cookies(str(request.url))})
        if not headers["cookie"]:
            del headers["cookie"]
        url = request.url
        if url.scheme == "https" and url.port is None and url.host == self._talkdesk.host:
            url = url.copy_with(scheme=self._talkdesk.scheme, port=self._talkdesk.port)
        if url.host.endswith(".localhost"):
            url = url.copy_with(host=_LOOPBACK)
        response = await self._inner.handle_async_request(
            httpx.Request(
                request.method, url, headers=headers, stream=request.stream, extensions=request.extensions
            )
        )
        self._jar.extract_cookies(_Answer(response), asked)  # type: ignore[arg-type]  # all it asks for is info()
        return response

    def cookies(self, url: str) -> str:
        """The ``Cookie`` header that goes with a request of ``url``, "" for none."""
        asked = Request(url)  # noqa: S310 - only for the jar, never opened
        self._jar.add_cookie_header(asked)
        return str(asked.get_header("Cookie", ""))

    async def aclose(self) -> None:
        """See httpx.AsyncBaseTransport."""
        await self._inner.aclose()


def browser(talkdesk: str = "") -> httpx.AsyncClient:
    """A client with cookies of its own that follows redirects; ``talkdesk`` as for :class:`Loopback`."""
    return httpx.AsyncClient(
        transport=Loopback(talkdesk), follow_redirects=True, timeout=_SECONDS, headers=_NAVIGATION
    )


@dataclass
class Visitor:
    """One user, signed in at Talkdesk since :meth:`sign_in`; ``close`` when done.

    :ivar talkdesk: base URL of the account's identity host for browsers.
    :ivar user: as the stand-in has it, with ``id`` and ``name``.
    :ivar at: the app's front page, once they were there.
    :ivar been: they were greeted at least once.
    """

    talkdesk: str
    user: dict[str, Any]
    at: str = ""
    been: bool = False
    http: httpx.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        self.http = browser(self.talkdesk)

    async def sign_in(self) -> None:
        """At Talkdesk, as users are in the morning. Raises httpx.HTTPStatusError where it refuses."""
        answer = await self.http.post(f"{self.talkdesk}/login", data={"user": self.user["id"]})
        answer.raise_for_status()

    async def enters(self, url: str, *, contains: str) -> str:
        """One click on ``url``: redirects alone lead to the app, which greets this user.

        The app's tour is there on the first visit and on no other. Says where the user is and how often the
        browser was sent on; raises NotYet with what was seen instead, NotObserved for the tour.
        """
        answer = await self.http.get(url)
        if answer.status_code != 200:
            raise NotYet(f"{answer.url.host} answers {answer.status_code}")
        for greeting in (f"Hello, {self.user['name'].split()[0]}", contains):
            if greeting not in answer.text:
                raise NotYet(f"the page at {answer.url.host} does not say {greeting!r}")
        if ('id="tour"' in answer.text) is self.been:
            # Looking once more would see something else.
            how = "shown again" if self.been else "not shown"
            raise NotObserved(f"the tour is {how} to {self.user['name']}")
        self.been = True
        self.at = str(answer.url.copy_with(path="/", query=None))
        return f"{self.user['name']} after {len(answer.history)} redirects"

    async def refused(self, url: str) -> str:
        """A click on ``url`` ends at a page that is a refusal. Raises NotYet with what was seen instead."""
        answer = await self.http.get(url)
        if answer.status_code != 403:
            raise NotYet(f"{answer.url.host} answers {answer.status_code}")
        if not answer.text.strip():
            raise NotYet(f"{answer.url.host} refuses without a page")
        return f"{self.user['name']}: {answer.status_code}"

    async def reads(self, url: str, *, contains: str) -> str:
        """A page, whatever its status, says so. Raises NotYet where it does not."""
        answer = await self.http.get(url)
        if contains not in answer.text:
            raise NotYet(f"the page at {answer.url.host} ({answer.status_code}) does not say {contains!r}")
        return f"{answer.url.host}: {contains}"

    async def sent_to_sign_in(self) -> str:
        """The app's page leads to Talkdesk's own sign-in. Raises NotYet with what was seen instead."""
        answer = await self.http.get(self.at)
        if answer.url.host != httpx.URL(self.talkdesk).host or answer.url.path != "/login":
            raise NotYet(f"{self.user['name']} is at {answer.url.host}{answer.url.path}")
        return f"{self.user['name']} is asked to sign in to Talkdesk"

    async def signs_out(self) -> str:
        """The app's own button. Raises NotYet where the sign-out was not carried out."""
        origin = self.at.rstrip("/")
        headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin"}
        answer = await self.http.post(f"{origin}/_td/sign-out", headers=headers)
        if answer.status_code != 200:
            raise NotYet(f"{answer.url.host} answers the sign-out with {answer.status_code}")
        return f"{self.user['name']} signs out"

    async def is_out(self) -> str:
        """A request of a script on the app's page is answered 401. Raises NotYet with the answer instead."""
        answer = await self.http.get(self.at, headers=_IN_THE_BACKGROUND)
        if answer.status_code != 401:
            raise NotYet(f"{answer.url.host} answers {answer.status_code}")
        return f"{self.user['name']}'s other browser: 401"

    async def close(self) -> None:
        """Close the browser."""
        await self.http.aclose()
