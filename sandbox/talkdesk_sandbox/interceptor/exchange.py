"""One request on its way, and the rule that decides what becomes of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qs

import aiohttp
from aiohttp import web

if TYPE_CHECKING:
    from multidict import CIMultiDictProxy

#: Headers that belong to one connection, and those that the next hop writes anew.
_HOP = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "content-length", "host",
     "accept-encoding", "content-encoding"}
)  # fmt: skip


class Forward(Protocol):
    """Sends a request on, by default to where it was going, else to the base URL ``upstream``."""

    async def __call__(self, upstream: str | None = None) -> web.StreamResponse: ...


@dataclass(frozen=True)
class Exchange:
    """A request that has been read whole; ``forward`` sends it on and brings the answer.

    ``forward`` may be called again, which repeats the request upstream. A watch is streamed to the caller
    as it comes; any other answer is read whole, so that a rule may change it.
    """

    method: str
    host: str
    path: str
    query: str
    body: bytes
    forward: Forward

    @property
    def is_watch(self) -> bool:
        """Whether it is a Kubernetes watch."""
        return parse_qs(self.query).get("watch", [""])[0] in {"true", "1"}

    @property
    def is_write(self) -> bool:
        """Whether it may change something."""
        return self.method not in {"GET", "HEAD", "OPTIONS"}


#: Decides about an exchange: ``await exchange.forward()``, another answer, or :class:`Cut`.
Rule = Callable[[Exchange], Awaitable[web.StreamResponse]]


async def passing(exchange: Exchange) -> web.StreamResponse:
    """The rule that changes nothing."""
    return await exchange.forward()


class Cut(Exception):  # noqa: N818 - what a rule raises to cut the connection without an answer
    """The caller gets no answer: its connection is closed."""


@dataclass(frozen=True)
class Relay:
    """Sends requests on to ``upstream`` (a base URL), or, where that is None, to the host they name."""

    session: aiohttp.ClientSession
    rule: Callable[[], Rule]
    upstream: str | None = None
    proxy: str | None = None

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """The aiohttp handler."""
        body = await request.read()

        async def forward(upstream: str | None = None) -> web.StreamResponse:
            return await self._forward(request, body, upstream or self.upstream)

        exchange = Exchange(
            method=request.method,
            host=request.host.partition(":")[0],
            path=request.path,
            query=request.query_string,
            body=body,
            forward=forward,
        )
        try:
            return await self.rule()(exchange)
        except (Cut, aiohttp.ClientError, OSError):
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=502)

    async def _forward(
        self, request: web.BaseRequest, body: bytes, upstream: str | None
    ) -> web.StreamResponse:
        base = upstream or f"https://{request.host.partition(':')[0]}"
        answer = await self.session.request(
            request.method,
            base + request.raw_path,
            headers=_kept(request.headers),
            data=body or None,
            proxy=self.proxy,
            allow_redirects=False,
        )
        async with answer:
            headers = _kept(answer.headers)
            if "watch=" not in request.query_string:
                return web.Response(status=answer.status, headers=headers, body=await answer.read())
            stream = web.StreamResponse(status=answer.status, headers=headers)
            await stream.prepare(request)
            async for chunk in answer.content.iter_any():
                await stream.write(chunk)
            await stream.write_eof()
            return stream


def _kept(headers: CIMultiDictProxy[str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _HOP}
