"""One request, one answer: bounded in time and size, and every failure in our own words.

Exceptions of the libraries below are never chained: their tracebacks hold requests, which hold secrets.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import httpx

from talkdesk_client.errors import TransportError, UnexpectedAnswer

#: The request never left us when one of these is raised.
_NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Status, headers and whole body; ``url`` is the request's without its query.

    ``is_change``: the request asked for something to be changed, so that its outcome matters.
    """

    method: str
    url: str
    status: int
    is_change: bool
    headers: httpx.Headers = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


def shown(url: httpx.URL) -> str:
    """``url`` without user info, query and fragment."""
    return f"{url.scheme}://{url.netloc.decode('ascii')}{url.path}"


async def exchange(
    http: httpx.AsyncClient,
    request: httpx.Request,
    *,
    auth: httpx.Auth | None,
    lane: asyncio.Semaphore | None,
    timeout: float,  # noqa: ASYNC109 # it becomes part of the error, so it is not left to the caller
    max_bytes: int,
    change: bool,
) -> Answer:
    """Sends ``request`` once and reads the answer, whatever its status.

    ``lane``       limits how many run at once; waiting in it counts into ``timeout`` (seconds)
    ``max_bytes``  of the body, decompressed
    ``change``     whether a lost answer leaves something in doubt

    TransportError without a whole answer, UnexpectedAnswer when it is too long.
    """
    url = shown(request.url)
    sent = False
    try:
        async with asyncio.timeout(timeout), lane or asyncio.Semaphore(1):
            sent = True
            response, body = await _response(http, request, auth=auth, max_bytes=max_bytes)
    except TimeoutError:
        problem = f"{'no whole answer' if sent else 'no free place'} within {timeout:g} s"
    except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, OSError, ValueError, RuntimeError) as error:
        sent = not isinstance(error, _NEVER_SENT)
        problem = _described(error)
    else:
        if body is None:
            raise UnexpectedAnswer(
                f"{request.method} {url} was answered with more than {max_bytes} bytes",
                method=request.method,
                url=url,
                status=response.status_code,
                outcome_unknown=change,
            )
        return Answer(
            method=request.method,
            url=url,
            status=response.status_code,
            is_change=change,
            headers=response.headers,
            body=body,
        )
    raise TransportError(
        f"{request.method} {url} got {problem}",
        method=request.method,
        url=url,
        outcome_unknown=change and sent,
    )


async def _response(
    http: httpx.AsyncClient, request: httpx.Request, *, auth: httpx.Auth | None, max_bytes: int
) -> tuple[httpx.Response, bytes | None]:
    """The response and its body; None for a body that is too long."""
    response = await http.send(request, auth=auth, stream=True, follow_redirects=False)
    try:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > max_bytes:
                return response, None
    finally:
        await response.aclose()
    return response, bytes(body)


def _described(error: Exception) -> str:
    """Kind of the failure, and the operating system's or TLS's reason where one is known to hold no input."""
    reason = ""
    seen: BaseException | None = error
    while seen is not None and not reason:
        if isinstance(seen, OSError) and seen.strerror:
            reason = f" ({seen.strerror})"
        seen = seen.__cause__ or seen.__context__
    return f"no answer: {type(error).__name__}{reason}"
