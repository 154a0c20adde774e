"""The API server, asynchronously, in raw JSON: one :class:`Kube` per process.

It repeats only what certainly was not done (429 with Retry-After, 401 once with credentials read again). All
other decisions about repeating belong to the caller, who knows what a doubled write would mean.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import urlencode

import aiohttp
import structlog
from yarl import URL

from talkdesk_kube.connection import Connection, KubeSettings, Timeouts
from talkdesk_kube.encoding import encode
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
from talkdesk_kube.resources import Obj, Resource, resource_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from types import TracebackType

_log = structlog.get_logger("talkdesk_kube.client")

USER_AGENT = "talkdesk-operator"
PAGE = 500
#: How often a request is repeated after a 429, and how long each wait may be at most (seconds).
BUSY_REPEATS = 4
BUSY_WAIT = 10.0

FieldValidation = Literal["Strict", "Warn", "Ignore"]
Propagation = Literal["Background", "Foreground", "Orphan"]


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


def _query(**parameters: str | int | bool | None) -> str:
    given: dict[str, str] = {}
    for name, value in parameters.items():
        if value is None or value == "":
            continue
        given[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return urlencode(given)


class Kube:
    """See the module; obtain one by :meth:`connect` and use it as an async context manager.

    Every method raises :class:`~talkdesk_kube.errors.KubeError` (see there), and ValueError where an object
    has no place to go to (:meth:`~talkdesk_kube.resources.Resource.path`).
    """

    def __init__(self, connection: Connection, *, user_agent: str = USER_AGENT) -> None:
        self._connection = connection
        self._user_agent = user_agent

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

    async def close(self) -> None:
        """Close all connections."""
        await self._connection.close()

    async def get(
        self, resource: Resource, name: str, *, namespace: str | None = None, subresource: str | None = None
    ) -> Obj:
        """The object, as stored."""
        return await self._request(
            "GET", resource.path(namespace=namespace, name=name, subresource=subresource)
        )

    async def list(
        self, resource: Resource, *, namespace: str | None = None, labels: str = "", fields: str = ""
    ) -> Listing:
        """All objects that the selectors choose, read in pages of 500, as of one moment.

        Each item carries apiVersion and kind, which the server leaves out in lists of built-in kinds.
        """
        try:
            return await self._list(resource, namespace=namespace, labels=labels, fields=fields, limit=PAGE)
        except Gone:
            # The continue token expired between two pages: once more, in one piece (client-go does the same).
            return await self._list(resource, namespace=namespace, labels=labels, fields=fields, limit=None)

    async def _list(
        self, resource: Resource, *, namespace: str | None, labels: str, fields: str, limit: int | None
    ) -> Listing:
        path = resource.path(namespace=namespace)
        items: list[Obj] = []
        token = ""
        while True:
            query = _query(labelSelector=labels, fieldSelector=fields, limit=limit, **{"continue": token})
            page = await self._request("GET", path, query=query)
            items.extend(
                {"apiVersion": resource.api_version, "kind": resource.kind, **item}
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
        if namespace is None and resource.namespaced:
            namespace = (obj.get("metadata") or {}).get("namespace")
            if namespace is None:
                raise ValueError(f"{resource.kind} to create needs a namespace")
        path = resource.path(namespace=namespace, name=name, subresource=subresource)
        query = _query(fieldManager=field_manager, fieldValidation=field_validation)
        return await self._request("POST", path, query=query, body=obj)

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
    ) -> Obj:
        """RFC 7386 merge patch. ``metadata.resourceVersion`` in it is an optimistic lock: else Conflict."""
        return await self._request(
            "PATCH",
            resource.path(namespace=namespace, name=name, subresource=subresource),
            query=_query(fieldManager=field_manager, fieldValidation=field_validation),
            body=patch,
            content_type="application/merge-patch+json",
        )

    async def apply(
        self,
        obj: Mapping[str, Any],
        *,
        field_manager: str,
        force: bool = True,
        subresource: str | None = None,
        field_validation: FieldValidation | None = None,
    ) -> Obj:
        """Server-side apply of ``obj``, which names its apiVersion, kind, name and namespace.

        Creates what is not there. With ``force=False`` raises Conflict, its causes naming the fields that
        another manager owns.
        """
        resource = resource_of(obj)
        metadata = obj["metadata"]
        return await self._request(
            "PATCH",
            resource.path(
                namespace=metadata.get("namespace"), name=metadata["name"], subresource=subresource
            ),
            query=_query(fieldManager=field_manager, force=force, fieldValidation=field_validation),
            body=obj,
            content_type="application/apply-patch+yaml",
        )

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
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        options: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
            "preconditions": {name: value for name, value in preconditions.items() if value is not None},
        }
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        await self._request("DELETE", resource.path(namespace=namespace, name=name), body=options)

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
    ) -> AsyncIterator[WatchEvent]:
        """Changes after ``resource_version``, with bookmarks; ends when the server ends it.

        :param timeout: seconds after which the server ends the watch.
        :param silence: seconds without event or bookmark after which Unreachable is raised (default: 90).

        Raises :class:`~talkdesk_kube.errors.Gone` where ``resource_version`` is too old, and Unreachable
        where the connection is cut. Close it (``contextlib.aclosing``) when leaving it early.
        """
        path = resource.path(namespace=namespace)
        query = _query(
            watch=True,
            allowWatchBookmarks=True,
            resourceVersion=resource_version,
            labelSelector=labels,
            fieldSelector=fields,
            timeoutSeconds=max(1, int(timeout)),
        )
        timeouts = self._connection.timeouts
        limits = aiohttp.ClientTimeout(
            sock_connect=timeouts.connect, sock_read=timeouts.silence if silence is None else silence
        )
        try:
            response = await self._send("GET", path, query=query, limits=limits)
            async with response:
                if response.status != 200:
                    raise await self._error("WATCH", path, response)
                pending = b""
                async for chunk in response.content.iter_any():
                    *lines, pending = (pending + chunk).split(b"\n")
                    for line in lines:
                        if line.strip():
                            yield _watch_event(line, path)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreachable(error, "WATCH", path) from error

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> Obj:
        data = None if body is None else encode(body)
        renewed = False
        repeats = 0
        while True:
            try:
                return await self._once(method, path, query=query, data=data, content_type=content_type)
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

    async def _once(
        self, method: str, path: str, *, query: str, data: bytes | None, content_type: str
    ) -> Obj:
        timeouts = self._connection.timeouts
        limits = aiohttp.ClientTimeout(total=timeouts.request, sock_connect=timeouts.connect)
        began = time.monotonic()
        try:
            response = await self._send(
                method, path, query=query, limits=limits, data=data, content_type=content_type
            )
            async with response:
                if not 200 <= response.status < 300:
                    raise await self._error(method, path, response)
                for warning in response.headers.getall("Warning", ()):
                    _log.debug("API server warns", method=method, path=path, warning=warning)
                answer = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreachable(error, method, path) from error
        _log.debug(
            "request",
            method=method,
            path=path,
            status=response.status,
            seconds=round(time.monotonic() - began, 4),
        )
        return _document(answer, method, path)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: str,
        limits: aiohttp.ClientTimeout,
        data: bytes | None = None,
        content_type: str | None = None,
    ) -> aiohttp.ClientResponse:
        headers = {"Accept": "application/json", "User-Agent": self._user_agent}
        if data is not None and content_type is not None:
            headers["Content-Type"] = content_type
        authorization = await self._connection.authorization()
        if authorization is not None:
            headers["Authorization"] = authorization
        address = f"{self._connection.base}{path}" + (f"?{query}" if query else "")
        return await self._connection.send(
            method, URL(address, encoded=True), headers=headers, data=data, limits=limits
        )

    async def _error(self, method: str, path: str, response: aiohttp.ClientResponse) -> KubeError:
        status = parse_status(
            response.status, await response.read(), retry_after=response.headers.get("Retry-After")
        )
        error = error_of(status, method=method, path=path)
        _log.debug("request refused", method=method, path=path, status=status.code, reason=status.reason)
        return error


def _document(answer: bytes, method: str, path: str) -> Obj:
    try:
        document = json.loads(answer)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise ServerError(Status(502, "NoJSON", "the answer is no JSON object"), method, path)
    return document


def _watch_event(line: bytes, path: str) -> WatchEvent:
    document = _document(line, "WATCH", path)
    kind, obj = document.get("type"), document.get("object") or {}
    if kind == "ERROR":
        code = obj.get("code") or 500
        raise error_of(parse_status(code, obj), method="WATCH", path=path)
    if kind not in {"ADDED", "MODIFIED", "DELETED", "BOOKMARK"}:
        raise ServerError(Status(502, "UnknownEvent", f"watch event of type {kind!r}"), "WATCH", path)
    return WatchEvent(kind, obj)


def _unreachable(error: Exception, method: str, path: str) -> Unreachable:
    text = str(error) or type(error).__name__
    return Unreachable(Status(0, "Unreachable", f"no answer from the API server: {text}"), method, path)
