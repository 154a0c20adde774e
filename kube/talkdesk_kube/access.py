"""Where an API server is, and what is shown to it: read from a pod's service account or a kubeconfig.

Tokens and files of certificates are read here. Whatever else a kubeconfig may hold (exec plug-ins, OIDC,
passwords, inline keys) is read by the `kubernetes` library, which is imported only then: it brings 250
modules, a sixth of what a process takes to start.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Clock = Callable[[], float]

#: How long a token read from a file is used before the file is read again (kubelet replaces it at 80 % of
#: its life, of which at least two minutes are then left).
TOKEN_REREAD_SECONDS = 60.0

#: Where a pod finds the credentials of its service account.
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

#: What a kubeconfig may hold to be read here, each a text.
_OF_CLUSTERS = {
    "server",
    "certificate-authority",
    "certificate-authority-data",
    "tls-server-name",
    "proxy-url",
}
_OF_USERS = {"token", "tokenFile", "client-certificate", "client-key"}
_FILES = {"certificate-authority", "client-certificate", "client-key"}


class CannotRead(Exception):  # noqa: N818 -- named after what it says
    """There are no such credentials, or they cannot be used; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """An API server and the credentials for it. ``authorization()`` is the header's value of this moment."""

    host: str
    authorization: Callable[[], Awaitable[str | None]]
    ca_file: str | None = None
    ca_data: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    verify: bool = True
    tls_server_name: str | None = None
    proxy: str | None = None

    def tls(self) -> ssl.SSLContext | None:
        """How the server is trusted, and this client shown to it; None where nothing is TLS."""
        if not any(url.startswith("https") for url in (self.host, self.proxy or "")):
            return None
        context = ssl.create_default_context(cafile=self.ca_file, cadata=self.ca_data)
        if self.cert_file:
            context.load_cert_chain(self.cert_file, keyfile=self.key_file)
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        # Many clusters' authorities (kubeadm's, EKS') lack the key identifiers that Python 3.13 began to
        # demand. The chain and the host name are verified all the same.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context


def in_pod(folder: Path, *, clock: Clock = time.monotonic) -> Access:
    """As the pod's service account, whose files are in ``folder``. Raises :class:`CannotRead`, OSError."""
    host, port = (os.environ.get(f"KUBERNETES_SERVICE_{name}") for name in ("HOST", "PORT"))
    if not host or not port:
        raise CannotRead("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set")
    authority = folder / "ca.crt"
    if not authority.read_text():
        raise CannotRead(f"{authority} is empty")
    return Access(
        host=f"https://[{host}]:{port}" if ":" in host or "%" in host else f"https://{host}:{port}",
        authorization=_from_file(folder / "token", clock),
        ca_file=os.fspath(authority),
    )


async def of_kubeconfig(path: Path, *, clock: Clock = time.monotonic) -> Access:
    """As the current context of the file ``path`` says.

    Raises :class:`CannotRead`, OSError, and KeyError, TypeError or ValueError for what is no kubeconfig.
    """
    document = _document(path)
    return _plain(document, path.parent, clock) or await _by_library(document, path, clock)


def _document(path: Path) -> Any:
    text = path.read_text()
    try:
        return json.loads(text)  # which is YAML as well
    except ValueError:
        import yaml  # noqa: PLC0415 - a process whose kubeconfig is JSON, or that has none, needs none of it

        try:
            return yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise CannotRead(str(error)) from error


def _plain(document: Any, folder: Path, clock: Clock) -> Access | None:
    """None: something in it is for the library to read, or to refuse."""
    try:
        context = _named(document["contexts"], document["current-context"])["context"]
        cluster = dict(_named(document["clusters"], context["cluster"])["cluster"])
        user = dict(_named(document["users"], context["user"])["user"])
        verify = not cluster.pop("insecure-skip-tls-verify", False)
        if not (_texts(cluster) <= _OF_CLUSTERS and _texts(user) <= _OF_USERS):
            return None
        host = cluster["server"].rstrip("/")
        authority = base64.b64decode(cluster.get("certificate-authority-data", "")).decode("ascii")
    except (KeyError, TypeError, ValueError):
        return None
    files = {
        name: os.path.normpath(folder / file) for name, file in (cluster | user).items() if name in _FILES
    }
    if not all(map(os.path.isfile, files.values())):
        return None
    if "certificate-authority-data" in cluster:
        files.pop("certificate-authority", None)
    if not host.startswith("https"):
        authority, files = "", {}
    token = user.get("token")
    return Access(
        host=host,
        authorization=_from_file(folder / user["tokenFile"], clock)
        if user.get("tokenFile")
        else _always(f"Bearer {token}" if token else None),
        ca_file=files.get("certificate-authority"),
        ca_data=authority or None,
        cert_file=files.get("client-certificate"),
        key_file=files.get("client-key"),
        verify=verify,
        tls_server_name=cluster.get("tls-server-name"),
        proxy=cluster.get("proxy-url"),
    )


def _named(entries: list[Any], name: str) -> Any:
    (found,) = (entry for entry in entries if entry["name"] == name)
    return found


def _texts(mapping: dict[str, Any]) -> set[str]:
    """The keys. Raises TypeError where a value is no text."""
    if not all(isinstance(value, str) for value in mapping.values()):
        raise TypeError("not a text")
    return set(mapping)


async def _by_library(document: Any, path: Path, clock: Clock) -> Access:
    from kubernetes.aio import config  # noqa: PLC0415 - see above: rarely needed, and heavy
    from kubernetes.aio.client import Configuration  # noqa: PLC0415 - the same

    loaders: Any = config  # which is annotated only here and there
    read: Any = Configuration()
    try:
        await loaders.load_kube_config(
            config_file=os.fspath(path), client_configuration=read, persist_config=False
        )
    except loaders.ConfigException as error:
        raise CannotRead(str(error)) from error

    async def inline() -> str | None:
        value = await read.get_api_key_with_prefix("BearerToken")
        return None if value is None else str(value).strip()

    token_file = _token_file(document, path.parent)
    return Access(
        host=read.host.rstrip("/"),
        authorization=inline if token_file is None else _from_file(token_file, clock),
        ca_file=read.ssl_ca_cert,
        cert_file=read.cert_file,
        key_file=read.key_file,
        verify=read.verify_ssl,
        tls_server_name=read.tls_server_name,
        proxy=read.proxy,
    )


def _token_file(document: Any, folder: Path) -> Path | None:
    # The library prefers an inline token to `tokenFile`; client-go (and so kubectl) does the opposite, and
    # only the file is ever renewed.
    contexts = {entry["name"]: entry["context"] for entry in document.get("contexts") or ()}
    context = contexts.get(document.get("current-context")) or {}
    users = {entry["name"]: entry.get("user") or {} for entry in document.get("users") or ()}
    name = (users.get(context.get("user")) or {}).get("tokenFile")
    return folder / name if name else None


def _always(value: str | None) -> Callable[[], Awaitable[str | None]]:
    async def authorization() -> str | None:
        return value

    return authorization


def _token(path: Path) -> str:
    return path.read_text().strip()


def _from_file(path: Path, clock: Clock) -> Callable[[], Awaitable[str | None]]:
    token = _token(path)
    if not token:
        raise CannotRead(f"{path} is empty")
    read_at = clock()

    async def authorization() -> str | None:
        nonlocal token, read_at
        if clock() - read_at >= TOKEN_REREAD_SECONDS:
            token = _token(path) or token
            read_at = clock()
        return f"Bearer {token}"

    return authorization
