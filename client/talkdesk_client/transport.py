"""The HTTP client under the Talkdesk client: all explicit, nothing taken from the environment."""

from __future__ import annotations

import ssl
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib import metadata
from typing import TYPE_CHECKING

import httpx

from talkdesk_client.connections import Connections

if TYPE_CHECKING:
    from pathlib import Path

#: Shared by all installations; beyond ``max_connections`` in use a request waits for ``pool`` seconds. Each
#: account has a host for its tokens, whose connection is not wanted again for long.
LIMITS = httpx.Limits(max_connections=64, keepalive_expiry=5.0)
#: Seconds for connecting (TLS and proxy included), between reads, for a free connection. A write has the time
#: of the whole attempt (``ClientOptions.attempt_timeout``).
TIMEOUT = httpx.Timeout(connect=5.0, read=10.0, write=10.0, pool=10.0)


def http_client(
    *,
    proxy: str | None = None,
    ca_file: str | Path | None = None,
    timeout: float | httpx.Timeout | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> httpx.AsyncClient:
    """An ``httpx.AsyncClient`` for :class:`talkdesk_client.TalkdeskClient`; the caller closes it.

    ``proxy``    URL of an HTTP proxy for every request (CONNECT); empty or None: none. The environment's are
                 ignored.
    ``ca_file``  PEM bundle trusted *instead of* the built-in one, by TLS to the proxy as well; empty or None:
                 the built-in one.
    ``timeout``  seconds for each of connect, read and pool; None: :data:`TIMEOUT`.
    ``transport`` replaces the network: the seam for tests; ``proxy`` and ``ca_file`` mean nothing then.

    Redirects are not followed and cookies are not kept: one client serves many customers. OSError for a file
    that cannot be read, ssl.SSLError for one without certificates, ValueError for a proxy that is no http
    URL.
    """
    if proxy and not proxy.startswith(("http://", "https://")):
        raise ValueError("the proxy must be an http:// or https:// URL")
    if transport is None:
        through = httpx.Proxy(proxy) if proxy else None
        transport = Connections(trust=_trust(ca_file), proxy=through, limits=LIMITS)
    return httpx.AsyncClient(
        transport=transport,
        timeout=TIMEOUT if timeout is None else timeout,
        headers={"User-Agent": _user_agent(), "Accept": "application/json, application/hal+json"},
        cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
        follow_redirects=False,
        trust_env=False,
    )


def _trust(ca_file: str | Path | None) -> ssl.SSLContext:
    if ca_file is None or not str(ca_file):
        context = httpx.create_ssl_context(trust_env=False)
    else:
        context = ssl.create_default_context(cafile=str(ca_file))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


@cache
def _user_agent() -> str:
    try:
        version = metadata.version("talkdesk-operator")
    except metadata.PackageNotFoundError:
        version = "0"
    return f"talkdesk-operator/{version}"
