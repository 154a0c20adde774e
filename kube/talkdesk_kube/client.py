"""The API server, asynchronously, in raw JSON: one :class:`Kube` per process.

It repeats only what certainly was not done (429 with Retry-After, 401 once with credentials read again). All
other decisions about repeating belong to the caller, who knows what a doubled write would mean.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal, Self

import aiohttp
import structlog
from yarl import URL

from talkdesk_kube import metrics, requests
from talkdesk_kube.connection import Connection, KubeSettings, Timeouts
from talkdesk_kube.errors import (
    Gone,
    KubeError,
    ServerError,
    Status,
    TooManyRequests,
    Unauthorized,
    Unreachable,
    error_of,
    parse_status,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping
    from types import TracebackType

    from talkdesk_kube.requests import FieldValidation, Propagation, Request
    from talkdesk_kube.resources import Obj, Resource

_log = structlog.get_logger("talkdesk_kube.client")

USER_AGENT = "talkdesk-operator"
PAGE = 500
#: How often a request is repeated after a 429, and how long each wait may be at most (seconds).
BUSY_REPEATS = 4
BUSY_WAIT = 10.0


@dataclass(frozen=True, slots=True)
class Listing:
    """A consistent list: all items as of ``resource_version``."""

    items: list[Obj]
    resource_version: str


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One line of a watch. A BOOKMARK's object has only its ``metadata.resourceVersion``."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: Obj


class Kube:
    """See the module; obtain one by :meth:`connect` and use it as an async context manager.

    Every method raises :class:`~talkdesk_kube.errors.KubeError` (see there), and ValueError where an object
    has no place to go to (:meth:`~talkdesk_kube.resources.Resource.path`).
    """

    def __init__(self, connection: Connection, *, user_agent: str = USER_AGENT) -> None:
        self._connection = connection
        self._user_agent = user_agent
        self._dated: tuple[datetime, float] | None = None

    @classmethod
    async def connect(
        cls,
        settings: KubeSettings,
        *,
        timeouts: Timeouts | None = None,
        connections: int = 64,
        user_agent: str = USER_AGENT,
    ) -> Kube:
        """Read configuration and credentials; the first request connects.

        :param connections: most connections at once; each running watch holds one.
        Raises :class:`~talkdesk_kube.connection.NoConfiguration`.
        """
        connection = await Connection.open(settings, timeouts=timeouts or Timeouts(), limit=connections)
        return cls(connection, user_agent=user_agent)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def server_time(self) -> datetime | None:
        """The API server's clock now, to the second, by the ``Date`` of its newest answer; None before any.

        Another witness of the time than this machine's clock, for what must not happen too early.
        """
        if self._dated is None:
            return None
        date, since = self._dated
        return date + timedelta(seconds=time.monotonic() - since)

    async def close(self) -> None:
        """Close all connections."""
        await self._connection.close()

    async def get(
        self, resource: Resource, name: str, *, namespace: str | None = None, subresource: str | None = None
    ) -> Obj:
        """The object, as stored."""
        return await self._do(requests.get(resource, name, namespace=namespace, subresource=subresource))

    async def list(
        self,
        resource: Resource,
        *,
        namespace: str | None = None,
        labels: str = "",
        fields: str = "",
        metadata_only: bool = False,
    ) -> Listing:
        """All objects that the selectors choose, read in pages of 500, as of one moment.

        Each item carries apiVersion and kind, which the server leaves out in lists of built-in kinds.

        :param metadata_only: the server leaves out all the rest, as the content of Secrets.
        """
        chosen = functools.partial(
            requests.list_page,
            resource,
            namespace=namespace,
            labels=labels,
            fields=fields,
            metadata_only=metadata_only,
        )
        try:
            return await self._list(chosen, limit=PAGE)
        except Gone:
            # The continue token expired between two pages: once more, in one piece (client-go does the same).
            return await self._list(chosen, limit=None)

    async def _list(self, chosen: Callable[..., Request], *, limit: int | None) -> Listing:
        items: list[Obj] = []
        token = ""
        while True:
            request = chosen(limit=limit, token=token)
            page = await self._do(request)
            items.extend(
                {"apiVersion": request.resource.api_version, "kind": request.resource.kind, **item}
                for item in page.get("items") or ()
            )
            metadata = page.get("metadata") or {}
            token = metadata.get("continue") or ""
            if not token:
                return Listing(items, str(metadata.get("resourceVersion", "")))

    async def create(
        self,
        resource: Resource,
        obj: Mapping[str, Any],
        *,
        namespace: str | None = None,
        name: str | None = None,
        subresource: str | None = None,
        field_manager: str | None = None,
        field_validation: FieldValidation | None = None,
    ) -> Obj:
        """POST ``obj``; ``namespace`` defaults to the object's own.

        ``name`` and ``subresource`` together post to an object's subresource (``binding``, ``token``,
        ``eviction``). Raises :class:`~talkdesk_kube.errors.AlreadyExists`.
        """
        request = requests.create(
            resource,
            obj,
            namespace=namespace,
            name=name,
            subresource=subresource,
            field_manager=field_manager,
            field_validation=field_validation,
        )
        return await self._do(request)

    async def merge_patch(
        self,
        resource: Resource,
        name: str,
        patch: Mapping[str, Any],
        *,
        namespace: str | None = None,
        subresource: str | None = None,
        field_manager: str | None = None,
        field_validation: FieldValidation | None = None,
        metadata_only: bool = False,
    ) -> Obj:
        """RFC 7386 merge patch. ``metadata.resourceVersion`` in it is an optimistic lock: else Conflict.

        :param metadata_only: the server leaves all the rest out of its answer, as the content of Secrets.
        """
        request = requests.merge_patch(
            resource,
            name,
            patch,
            namespace=namespace,
            subresource=subresource,
            field_manager=field_manager,
            field_validation=field_validation,
            metadata_only=metadata_only,
        )
        return await self._do(request)

    async def apply(
        self,
        obj: Mapping[str, Any],
        *,
        field_manager: str,
        force: bool = True,
        subresource: str | None = None,
        field_validation: FieldValidation | None = None,
        dry_run: bool = False,
    ) -> Obj:
        """Server-side apply of ``obj``, which names its apiVersion, kind, name and namespace.

        Creates what is not there. With ``force=False`` raises Conflict, its causes naming the fields that
        another manager owns. A dry run goes through admission and validation, and stores nothing; it raises
        what the real request would.
        """
        request = requests.apply(
            obj,
            field_manager=field_manager,
            force=force,
            subresource=subresource,
            field_validation=field_validation,
            dry_run=dry_run,
        )
        return await self._do(request)

    async def delete(
        self,
        resource: Resource,
        name: str,
        *,
        namespace: str | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation: Propagation = "Background",
        grace_seconds: int | None = None,
    ) -> None:
        """Delete, if ``uid`` and ``resource_version`` (where given) are still the object's: else Conflict."""
        request = requests.delete(
            resource,
            name,
            namespace=namespace,
            uid=uid,
            resource_version=resource_version,
            propagation=propagation,
            grace_seconds=grace_seconds,
        )
        await self._do(request)

    async def watch(
        self,
        resource: Resource,
        *,
        resource_version: str,
        namespace: str | None = None,
        labels: str = "",
        fields: str = "",
        timeout: float = 300.0,  # noqa: ASYNC109 -- the server's, not ours to await
        silence: float | None = None,
        opened: Callable[[], None] = lambda: None,
    ) -> AsyncGenerator[WatchEvent, None]:
        """Changes after ``resource_version``, with bookmarks; ends when the server ends it.

        :param timeout: seconds after which the server ends the watch.
        :param silence: seconds without event or bookmark after which Unreachable is raised (default: 75).
        :param opened: called when the server has begun to watch, which is before there is any change.

        Raises :class:`~talkdesk_kube.errors.Gone` where ``resource_version`` is too old, and Unreachable
        where the connection is cut. Close it (``contextlib.aclosing``) when leaving it early.
        """
        request = requests.watch(
            resource,
            resource_version=resource_version,
            seconds=timeout,
            namespace=namespace,
            labels=labels,
            fields=fields,
        )
        timeouts = self._connection.timeouts
        limits = aiohttp.ClientTimeout(
            sock_connect=timeouts.connect, sock_read=timeouts.silence if silence is None else silence
        )
        try:
            async with await self._answer(request, limits) as response:
                opened()
                pending = b""
                try:
                    async for chunk in response.content.iter_any():
                        *lines, pending = (pending + chunk).split(b"\n")
                        for line in lines:
                            if line.strip():
                                yield _watch_event(line, request)
                finally:
                    _cut(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreachable(error, request) from error

    async def _do(self, request: Request) -> Obj:
        timeouts = self._connection.timeouts
        limits = aiohttp.ClientTimeout(total=timeouts.request, sock_connect=timeouts.connect)
        try:
            async with await self._answer(request, limits) as response:
                return _document(await response.read(), request)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreachable(error, request) from error

    async def _answer(self, request: Request, limits: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        """A successful answer, its body still unread; what was certainly not done is asked again."""
        renewed = False
        repeats = 0
        while True:
            try:
                return await self._send(request, limits)
            except Unauthorized:
                if renewed or not await self._connection.reload():
                    raise
                renewed = True
            except TooManyRequests as busy:
                wait = busy.retry_after
                if wait is None or wait > BUSY_WAIT or repeats >= BUSY_REPEATS:
                    raise
                repeats += 1
                await asyncio.sleep(wait)

    def _note_date(self, text: str | None) -> None:
        with contextlib.suppress(ValueError):
            self._dated = (parsedate_to_datetime(text or "").replace(tzinfo=UTC), time.monotonic())

    async def _send(self, request: Request, limits: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        """Once; raises KubeError for an answer that is no success."""
        headers = {"Accept": request.accept, "User-Agent": self._user_agent}
        if request.data is not None:
            headers["Content-Type"] = request.content_type
        authorization = await self._connection.authorization()
        if authorization is not None:
            headers["Authorization"] = authorization
        url = URL(f"{self._connection.base}{request.target}", encoded=True)
        began = time.monotonic()
        code = 0
        try:
            response = await self._connection.send(
                request.method, url, headers=headers, data=request.data, limits=limits
            )
            code = response.status
            self._note_date(response.headers.get("Date"))
        finally:
            seconds = time.monotonic() - began
            metrics.REQUESTS.labels(request.verb, str(request.resource), str(code)).observe(seconds)
            _log.debug("request", verb=request.verb, path=request.path, code=code, seconds=round(seconds, 4))
        for warning in response.headers.getall("Warning", ()):
            _log.debug("API server warns", verb=request.verb, path=request.path, warning=warning)
        if 200 <= code < 300:
            return response
        async with response:
            answer = await response.read()
        status = parse_status(code, answer, retry_after=response.headers.get("Retry-After"))
        raise error_of(status, method=request.method, path=request.path)


def _cut(response: aiohttp.ClientResponse) -> None:
    """Drop the connection of a watch that is left early, which nothing else can use.

    TLS would say goodbye first and wait for an answer: with the loop gone by then, the socket stays open.
    """
    connection = response.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()


def _document(answer: bytes, request: Request) -> Obj:
    try:
        document = json.loads(answer)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        status = Status(502, "NoJSON", "the answer is no JSON object")
        raise ServerError(status, request.method, request.path)
    return document


def _watch_event(line: bytes, request: Request) -> WatchEvent:
    document = _document(line, request)
    kind, obj = document.get("type"), document.get("object") or {}
    if kind == "ERROR":
        raise error_of(
            parse_status(int(obj.get("code") or 500), obj), method=request.method, path=request.path
        )
    if kind not in {"ADDED", "MODIFIED", "DELETED", "BOOKMARK"}:
        status = Status(502, "UnknownEvent", f"watch event of type {kind!r}")
        raise ServerError(status, request.method, request.path)
    return WatchEvent(kind, obj)


def _unreachable(error: Exception, request: Request) -> KubeError:
    text = str(error) or type(error).__name__
    status = Status(0, "Unreachable", f"no answer from the API server: {text}")
    return Unreachable(status, request.method, request.path)
