"""What carries requests to Talkdesk: connections of aiohttp, under httpx.

httpx's own pool looks at every connection that it keeps, and asks the operating system whether it still is
one, each time a request begins or ends. Accounts have hosts of their own, so there are many.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import aiohttp
import httpx
from yarl import URL

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Iterator, Mapping

#: What aiohttp raises, and httpx's word for it: the first that fits.
_ERRORS: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
    (aiohttp.ConnectionTimeoutError, httpx.ConnectTimeout),
    (aiohttp.ServerTimeoutError, httpx.ReadTimeout),
    (aiohttp.ClientHttpProxyError, httpx.ProxyError),
    (aiohttp.ClientConnectorError, httpx.ConnectError),
    (aiohttp.ClientConnectionError, httpx.ReadError),
    (aiohttp.InvalidURL, httpx.UnsupportedProtocol),
    (aiohttp.ClientError, httpx.RemoteProtocolError),
)


@contextlib.contextmanager
def _in_words_of_httpx(request: httpx.Request) -> Iterator[None]:
    try:
        yield
    except aiohttp.ClientError as error:
        raise next(
            word(type(error).__name__, request=request) for kind, word in _ERRORS if isinstance(error, kind)
        ) from error


class Connections(httpx.AsyncBaseTransport):
    """Connections to whatever hosts requests name, kept for a while and shared by all.

    ``trust``  by which every host's certificate is judged, and that of a proxy which speaks TLS
    ``proxy``  of all requests, by CONNECT; None: none
    ``limits`` of connections in use, and the seconds that an idle one is kept; how many are kept has no limit

    Raises httpx's exceptions: ConnectError, ConnectTimeout (also for want of a free connection), ProxyError
    and UnsupportedProtocol where nothing was sent, others where something may have been. An idempotent
    request is repeated once where a connection that was kept turns out to be gone.
    """

    def __init__(self, *, trust: ssl.SSLContext, proxy: httpx.Proxy | None, limits: httpx.Limits) -> None:
        self._trust = trust
        self._proxy = None if proxy is None else URL(str(proxy.url), encoded=True)
        self._proxy_headers = None if proxy is None else _proxy_headers(proxy)
        self._limits = limits
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The head of the answer; the body comes as it is read."""
        with _in_words_of_httpx(request):
            answer = await self._open().request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=request.headers.multi_items(),
                data=await request.aread() or None,
                allow_redirects=False,
                timeout=_timeout(request.extensions.get("timeout") or {}),
                proxy=self._proxy,
                proxy_headers=self._proxy_headers,
            )
        return httpx.Response(answer.status, headers=answer.raw_headers, stream=_Body(answer, request))

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        """Made by the first request: it belongs to the loop that runs then."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    ssl=self._trust,
                    limit=self._limits.max_connections or 0,
                    keepalive_timeout=self._limits.keepalive_expiry,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return self._session


class _Body(httpx.AsyncByteStream):
    def __init__(self, answer: aiohttp.ClientResponse, request: httpx.Request) -> None:
        self._answer = answer
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _in_words_of_httpx(self._request):
            async for chunk in self._answer.content.iter_any():
                yield chunk

    async def aclose(self) -> None:
        """A connection whose answer was not read to its end cannot be used again."""
        self._answer.close()


def _timeout(seconds: Mapping[str, float | None]) -> aiohttp.ClientTimeout:
    """As httpx has it, but for writing, which aiohttp does not limit: the whole attempt's end does."""
    connect, free = seconds.get("connect"), seconds.get("pool")
    return aiohttp.ClientTimeout(
        total=None,
        connect=None if connect is None or free is None else connect + free,
        sock_connect=connect,
        sock_read=seconds.get("read"),
    )


def _proxy_headers(proxy: httpx.Proxy) -> list[tuple[str, str]]:
    headers = proxy.headers.multi_items()
    if proxy.auth is not None:
        headers.append(("Proxy-Authorization", aiohttp.encode_basic_auth(*proxy.auth)))
    return headers
