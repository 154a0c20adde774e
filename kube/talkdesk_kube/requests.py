"""What is asked of the API server, as values: each verb of RBAC becomes a :class:`Request`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode

from talkdesk_kube.encoding import encode
from talkdesk_kube.resources import Resource, resource_of

if TYPE_CHECKING:
    from collections.abc import Mapping

Verb = Literal["get", "list", "watch", "create", "patch", "delete"]
FieldValidation = Literal["Strict", "Warn", "Ignore"]
Propagation = Literal["Background", "Foreground", "Orphan"]

JSON = "application/json"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

_METHODS: dict[Verb, str] = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "patch": "PATCH",
    "delete": "DELETE",
}


@dataclass(frozen=True, slots=True)
class Request:
    """One request. ``path`` and ``query`` are percent-encoded; ``data`` is never shown."""

    verb: Verb
    resource: Resource
    path: str
    query: str = ""
    content_type: str = JSON
    data: bytes | None = field(default=None, repr=False)
    accept: str = JSON

    @property
    def method(self) -> str:
        """The HTTP method."""
        return _METHODS[self.verb]

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{self.query}" if self.query else self.path


def _query(parameters: Mapping[str, str | int | bool | None]) -> str:
    given: dict[str, str] = {}
    for name, value in parameters.items():
        if value is None or value == "":
            continue
        given[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return urlencode(given)


def get(
    resource: Resource, name: str, *, namespace: str | None = None, subresource: str | None = None
) -> Request:
    """Read one object."""
    return Request("get", resource, resource.path(namespace=namespace, name=name, subresource=subresource))


def list_page(
    resource: Resource,
    *,
    namespace: str | None = None,
    labels: str = "",
    fields: str = "",
    limit: int | None = None,
    token: str = "",
    metadata_only: bool = False,
) -> Request:
    """One page of a list; ``token`` is the former page's ``metadata.continue``.

    :param metadata_only: the items are without anything else.
    """
    query = _query({"labelSelector": labels, "fieldSelector": fields, "limit": limit, "continue": token})
    accept = METADATA_LIST if metadata_only else JSON
    return Request("list", resource, resource.path(namespace=namespace), query, accept=accept)


def watch(
    resource: Resource,
    *,
    resource_version: str,
    seconds: float,
    namespace: str | None = None,
    labels: str = "",
    fields: str = "",
) -> Request:
    """Changes after ``resource_version``, with bookmarks, for at most ``seconds``."""
    query = _query(
        {
            "watch": True,
            "allowWatchBookmarks": True,
            "resourceVersion": resource_version,
            "labelSelector": labels,
            "fieldSelector": fields,
            "timeoutSeconds": max(1, int(seconds)),
        }
    )
    return Request("watch", resource, resource.path(namespace=namespace), query)


def create(
    resource: Resource,
    obj: Mapping[str, Any],
    *,
    namespace: str | None = None,
    name: str | None = None,
    subresource: str | None = None,
    field_manager: str | None = None,
    field_validation: FieldValidation | None = None,
) -> Request:
    """POST ``obj`` to a collection, or to the subresource of object ``name``."""
    if namespace is None and resource.namespaced:
        namespace = (obj.get("metadata") or {}).get("namespace")
        if namespace is None:
            raise ValueError(f"{resource.kind} to create needs a namespace")
    path = resource.path(namespace=namespace, name=name, subresource=subresource)
    query = _query({"fieldManager": field_manager, "fieldValidation": field_validation})
    return Request("create", resource, path, query, JSON, encode(obj))


def merge_patch(
    resource: Resource,
    name: str,
    patch: Mapping[str, Any],
    *,
    namespace: str | None = None,
    subresource: str | None = None,
    field_manager: str | None = None,
    field_validation: FieldValidation | None = None,
    metadata_only: bool = False,
) -> Request:
    """RFC 7386 merge patch.

    :param metadata_only: the answer is without anything else.
    """
    accept = METADATA if metadata_only else JSON
    path = resource.path(namespace=namespace, name=name, subresource=subresource)
    query = _query({"fieldManager": field_manager, "fieldValidation": field_validation})
    return Request("patch", resource, path, query, MERGE_PATCH, encode(patch), accept)


def apply(
    obj: Mapping[str, Any],
    *,
    field_manager: str,
    force: bool = True,
    subresource: str | None = None,
    field_validation: FieldValidation | None = None,
    dry_run: bool = False,
) -> Request:
    """Server-side apply; the object itself says where it belongs. A dry run stores nothing."""
    resource = resource_of(obj)
    metadata = obj["metadata"]
    path = resource.path(namespace=metadata.get("namespace"), name=metadata["name"], subresource=subresource)
    query = _query(
        {
            "fieldManager": field_manager,
            "force": force,
            "fieldValidation": field_validation,
            "dryRun": "All" if dry_run else None,
        }
    )
    return Request("patch", resource, path, query, APPLY_PATCH, encode(obj))


def delete(
    resource: Resource,
    name: str,
    *,
    namespace: str | None = None,
    uid: str | None = None,
    resource_version: str | None = None,
    propagation: Propagation = "Background",
    grace_seconds: int | None = None,
) -> Request:
    """Delete under preconditions."""
    preconditions = {"uid": uid, "resourceVersion": resource_version}
    options: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": propagation,
        "preconditions": {key: value for key, value in preconditions.items() if value is not None},
    }
    if grace_seconds is not None:
        options["gracePeriodSeconds"] = grace_seconds
    return Request(
        "delete", resource, resource.path(namespace=namespace, name=name), "", JSON, encode(options)
    )
