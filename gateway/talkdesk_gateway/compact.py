"""What the watch cache keeps of an object: what deciding needs, for there are thousands. Pure."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from sys import intern
from typing import TYPE_CHECKING, Any, NamedTuple

from talkdesk_crds import names
from talkdesk_crds.user_slice import LicensedUser

if TYPE_CHECKING:
    from talkdesk_kube import Obj

_METADATA = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp")
#: Parts of an installation that are long, and that nobody here asks for.
_NOT_OF_SPEC = ("trial", "subscription", "recent", "updated")
_NOT_OF_STATUS = ("conditions", "answers", "deadlines", "impending")


class Entry(NamedTuple):
    """One licensed user, in a fifth of the memory that the model takes."""

    epoch: str
    role: str
    email: str | None
    name: str | None
    active: bool
    admin: bool


@lru_cache(maxsize=4096)
def licensed(entry: Entry) -> LicensedUser:
    """The entry as its model; those of busy users are kept, for it is needed at each of their requests."""
    return LicensedUser.model_construct(
        epoch=entry.epoch,
        role=entry.role,
        email=entry.email,
        name=entry.name,
        active=entry.active,
        admin=entry.admin,
    )


def installation(obj: Obj) -> Obj:
    """A TalkdeskInstallation without conditions, answers, deadlines and old events."""
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    talkdesk = dict(spec.get("talkdesk") or {})
    for field in _NOT_OF_SPEC:
        talkdesk.pop(field, None)
    for field in _NOT_OF_STATUS:
        status.pop(field, None)
    spec["talkdesk"] = talkdesk
    token = (obj["metadata"].get("annotations") or {}).get(names.RESYNC_ANNOTATION)
    annotations = {} if token is None else {names.RESYNC_ANNOTATION: token}
    return {
        "apiVersion": obj.get("apiVersion", names.API_VERSION),
        "kind": obj.get("kind", "TalkdeskInstallation"),
        "metadata": {**_metadata(obj), "annotations": annotations},
        "spec": spec,
        "status": status,
    }


def user_slice(obj: Obj) -> Obj:
    """A TalkdeskUserSlice: ``spec`` without its users, and ``users``: :class:`Entry` by user id.

    What is no entry (the schema lets none pass) is left out: it lets nobody in.
    """
    spec = obj.get("spec") or {}
    users = {user: entry for user, one in (spec.get("users") or {}).items() if (entry := _entry(one))}
    kept = {field: spec.get(field) for field in ("installation", "buckets", "bucket")}
    return {"metadata": _metadata(obj), "spec": kept, "users": users}


def service(obj: Obj) -> Obj:
    """A Service: ``address``, its ClusterIP ("" where it has none), and ``ports``, those of TCP."""
    spec = obj.get("spec") or {}
    ports = tuple(one.get("port") for one in spec.get("ports") or () if one.get("protocol", "TCP") == "TCP")
    return {"metadata": _metadata(obj), "address": _address(spec.get("clusterIP")), "ports": ports}


def _metadata(obj: Obj) -> dict[str, Any]:
    metadata = obj["metadata"]
    return {field: metadata[field] for field in _METADATA if field in metadata}


def _entry(one: Any) -> Entry | None:
    if not isinstance(one, dict) or not isinstance(one.get("epoch"), str) or not one["epoch"]:
        return None
    return Entry(
        epoch=one["epoch"],
        role=intern(str(one.get("role") or "user")),
        email=one.get("email"),
        name=one.get("name"),
        active=one.get("active") is not False,
        admin=one.get("admin") is True,
    )


def _address(text: Any) -> str:
    """``text`` as it stands before a port; "" where it is no address (headless Services say None)."""
    try:
        address = ip_address(text)
    except ValueError:
        return ""
    return f"[{address}]" if address.version == 6 else str(address)
