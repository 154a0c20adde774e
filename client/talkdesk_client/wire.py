"""One request, one answer: bounded in time and size, and every failure in our own words.

Exceptions of the libraries below are never chained: their tracebacks hold requests, which hold secrets.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import httpx

from talkdesk_client.errors import TalkdeskError, TransportError, UnexpectedAnswer

#: The request never left us when one of these is raised.
_NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
_READS = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Status, headers and whole body; ``url`` is the request's without its query."""

    method: str
    url: str
    status: int
    headers: httpx.Headers = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def is_change(self) -> bool:
        """True for a request that is no read."""
        return self.method not in _READS


@dataclass(slots=True)
class _Progress:
    sent: bool = False
    too_long: bool = False


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
    change: bool | None = None,
) -> Answer:
    """Sends ``request`` once and reads the answer, whatever its status.

    ``lane``       limits how many run at once; waiting in it counts into ``timeout`` (seconds)
    ``max_bytes``  of the body, decompressed
    ``change``     whether a lost answer leaves something in doubt; None: by the method

    TransportError without a whole answer, UnexpectedAnswer when it is too long.
    """
    progress = _Progress()
    in_doubt = request.method not in _READS if change is None else change
    try:
        async with asyncio.timeout(timeout), lane or asyncio.Semaphore(1):
            progress.sent = True
            return await _answered(http, request, auth=auth, max_bytes=max_bytes, progress=progress)
    except TimeoutError:
        problem = (
            f"no whole answer within {timeout:g} s"
            if progress.sent
            else f"no free place within {timeout:g} s"
        )
    except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, OSError, ValueError, RuntimeError) as error:
        progress.sent = progress.sent and not isinstance(error, _NEVER_SENT)
        problem = _described(error)
    url = shown(request.url)
    kind: type[TalkdeskError] = TransportError
    if progress.too_long:
        kind, problem = UnexpectedAnswer, f"an answer longer than {max_bytes} bytes"
    raise kind(
        f"{request.method} {url} got {problem}",
        method=request.method,
        url=url,
        outcome_unknown=in_doubt and progress.sent,
    )


async def _answered(
    http: httpx.AsyncClient,
    request: httpx.Request,
    *,
    auth: httpx.Auth | None,
    max_bytes: int,
    progress: _Progress,
) -> Answer:
    response = await http.send(request, auth=auth, stream=True, follow_redirects=False)
    try:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > max_bytes:
                progress.too_long = True
                raise httpx.StreamError("too long")
    finally:
        await response.aclose()
    return Answer(
        method=request.method,
        url=shown(request.url),
        status=response.status_code,
        headers=response.headers,
        body=bytes(body),
    )


def _described(error: Exception) -> str:
    """Kind of the failure, and the operating system's or TLS's reason where one is known to hold no input."""
    reason = ""
    seen: BaseException | None = error
    while seen is not None and not reason:
        if isinstance(seen, OSError) and seen.strerror:
            reason = f" ({seen.strerror})"
        seen = seen.__cause__ or seen.__context__
    return f"no answer: {type(error).__name__}{reason}"
