"""How the API server is reached: by aiohttp, with what :mod:`talkdesk_kube.access` reads."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
from pydantic_settings import BaseSettings, SettingsConfigDict

from talkdesk_kube import access

if TYPE_CHECKING:
    from collections.abc import Callable

    from talkdesk_kube.access import Access


class KubeSettings(BaseSettings):
    """Which API server. ``kubeconfig`` None: the pod's own service account."""

    model_config = SettingsConfigDict(
        env_prefix="TALKDESK_", env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    kubeconfig: Path | None = None


@dataclass(frozen=True, slots=True)
class Timeouts:
    """In seconds. ``silence``: a watch that shows neither event nor bookmark for so long is given up."""

    connect: float = 5.0
    request: float = 30.0
    # The server sends a bookmark about once a minute, up to three seconds late. With the list that follows,
    # what changed behind a watch that died unnoticed is known within 90 s.
    silence: float = 75.0


#: A connection whose other end no longer answers is found dead within half a minute, idle or not: behind a
#: dead NAT every pooled connection is gone at once, and each would else cost a request its whole time-out.
_KEEPALIVE = (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 25_000))


def _socket(address: tuple[Any, ...]) -> socket.socket:
    """A socket for one of aiohttp's addresses, with keep-alive probes where the platform has them."""
    family, kind, protocol, _, _ = address
    opened = socket.socket(family, kind, protocol)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        if hasattr(socket, name):
            opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return opened


class NoConfiguration(Exception):  # noqa: N818 -- named after what it says
    """The API server's address or credentials cannot be read; the message names the file or variable."""


async def load_access(settings: KubeSettings, *, clock: Callable[[], float] = time.monotonic) -> Access:
    """The API server of ``settings``, and the credentials for it. Raises :class:`NoConfiguration`."""
    if settings.kubeconfig is None:
        try:
            return access.in_pod(access.SERVICE_ACCOUNT, clock=clock)
        except (access.CannotRead, OSError, ValueError) as error:
            raise NoConfiguration(
                f"cannot read the pod's service account (set TALKDESK_KUBECONFIG outside a pod): {error}"
            ) from error
    path = settings.kubeconfig.absolute()
    if not path.is_file():
        raise NoConfiguration(f"TALKDESK_KUBECONFIG: no file {os.fspath(path)!r}")
    try:
        return await access.of_kubeconfig(path, clock=clock)
    except (access.CannotRead, OSError, KeyError, TypeError, ValueError) as error:
        raise NoConfiguration(
            f"cannot read {settings.kubeconfig}: {type(error).__name__}: {error}"
        ) from error


class Connection:
    """A pool of connections to one API server, and the credentials sent over them."""

    def __init__(self, settings: KubeSettings, access: Access, *, timeouts: Timeouts, limit: int) -> None:
        self._settings = settings
        self._access = access
        self.timeouts = timeouts
        self.base = access.host
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=limit, ssl=access.tls() or True, keepalive_timeout=60, socket_factory=_socket
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            # Nothing from the environment: TALKDESK_EGRESS_PROXY is for Talkdesk, and a `proxy-url` of the
            # kubeconfig for this.
            trust_env=False,
            read_bufsize=2**20,
        )

    @classmethod
    async def open(cls, settings: KubeSettings, *, timeouts: Timeouts, limit: int) -> Connection:
        """Read the configuration and prepare the pool; connects nowhere yet."""
        return cls(settings, await load_access(settings), timeouts=timeouts, limit=limit)

    async def authorization(self) -> str | None:
        """Value of the ``Authorization`` header, None with client certificates."""
        return await self._access.authorization()

    async def reload(self) -> bool:
        """Read the credentials again (after a 401); whether they are other ones now."""
        before = await self.authorization()
        self._access = await load_access(self._settings)
        return await self.authorization() != before

    async def send(
        self,
        method: str,
        url: Any,
        *,
        headers: dict[str, str],
        data: bytes | None,
        limits: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        """Send one request; the caller releases the response. Raises aiohttp's errors."""
        return await self._session.request(
            method,
            url,
            headers=headers,
            data=data,
            timeout=limits,
            allow_redirects=False,
            proxy=self._access.proxy,
            server_hostname=self._access.tls_server_name,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
