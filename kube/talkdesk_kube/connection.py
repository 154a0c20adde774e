"""How to reach the API server: the `kubernetes` library reads the configuration, aiohttp sends.

The library's loaders know kubeconfig files, exec plug-ins and the pod's service account; its REST client
builds the TLS context. Its generated models are not used: the product works on JSON.
"""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import yaml
from kubernetes.aio import config as kubernetes_config
from kubernetes.aio.client import Configuration
from kubernetes.aio.client.rest import RESTClientObject
from pydantic_settings import BaseSettings, SettingsConfigDict

if TYPE_CHECKING:
    from collections.abc import Callable

_loaders: Any = kubernetes_config  # which is annotated only here and there

#: How long a token read from a file is used before the file is read again (kubelet replaces it at 80 % of
#: its life, of which at least two minutes are then left).
TOKEN_REREAD_SECONDS = 60.0


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


def _token_file(kubeconfig: Path) -> Path | None:
    # The library prefers an inline token to `tokenFile`; client-go (and so kubectl) does the opposite, and
    # only the file is ever renewed.
    document = yaml.safe_load(kubeconfig.read_text())
    contexts = {entry["name"]: entry["context"] for entry in document.get("contexts") or ()}
    context = contexts.get(document.get("current-context")) or {}
    users = {entry["name"]: entry.get("user") or {} for entry in document.get("users") or ()}
    name = (users.get(context.get("user")) or {}).get("tokenFile")
    return kubeconfig.parent / name if name else None


def _follow(token_file: Path, clock: Callable[[], float]) -> Callable[[Any], None]:
    read_at = -TOKEN_REREAD_SECONDS

    def refresh(configuration: Any) -> None:
        nonlocal read_at
        if clock() - read_at < TOKEN_REREAD_SECONDS:
            return
        configuration.api_key["BearerToken"] = f"Bearer {token_file.read_text().strip()}"
        read_at = clock()

    return refresh


async def load_configuration(settings: KubeSettings, *, clock: Callable[[], float] = time.monotonic) -> Any:
    """The library's ``Configuration`` for ``settings``. Raises :class:`NoConfiguration`."""
    configuration: Any = Configuration()
    # Many clusters' authorities (kubeadm's, EKS') lack the key identifiers that Python 3.13 began to demand.
    # The chain and the host name are verified all the same.
    configuration.disable_strict_ssl_verification = True
    try:
        if settings.kubeconfig is None:
            _loaders.load_incluster_config(client_configuration=configuration)
            return configuration
        path = settings.kubeconfig.absolute()
        if not path.is_file():
            raise NoConfiguration(f"TALKDESK_KUBECONFIG: no file {os.fspath(path)!r}")
        await _loaders.load_kube_config(
            config_file=os.fspath(path), client_configuration=configuration, persist_config=False
        )
        token_file = _token_file(path)
        if token_file is not None:
            refresh = _follow(token_file, clock)
            refresh(configuration)
            configuration.refresh_api_key_hook = refresh
    except (_loaders.ConfigException, OSError, yaml.YAMLError, KeyError, TypeError) as error:
        source = settings.kubeconfig or "the pod's service account (set TALKDESK_KUBECONFIG outside a pod)"
        raise NoConfiguration(f"cannot read {source}: {type(error).__name__}: {error}") from error
    return configuration


class Connection:
    """A pool of connections to one API server, and the credentials sent over them."""

    def __init__(self, settings: KubeSettings, configuration: Any, *, timeouts: Timeouts, limit: int) -> None:
        self._settings = settings
        self._configuration = configuration
        self.timeouts = timeouts
        self.base = str(configuration.host).rstrip("/")
        rest = RESTClientObject(configuration)
        self._proxy = rest.proxy
        self._server_hostname = configuration.tls_server_name
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=limit, ssl=rest.ssl_context, keepalive_timeout=60, socket_factory=_socket
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
        return cls(settings, await load_configuration(settings), timeouts=timeouts, limit=limit)

    async def authorization(self) -> str | None:
        """Value of the ``Authorization`` header, None with client certificates."""
        value = await self._configuration.get_api_key_with_prefix("BearerToken")
        return None if value is None else str(value).strip()

    async def reload(self) -> bool:
        """Read the credentials again (after a 401); whether they are other ones now."""
        before = await self.authorization()
        self._configuration = await load_configuration(self._settings)
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
            proxy=self._proxy,
            server_hostname=self._server_hostname,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
