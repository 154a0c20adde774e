"""What the watch cache keeps of a tenant's objects: a few facts each, for there are thousands. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from talkdesk_crds import names
from talkdesk_operator.gate import WORKLOADS, workload_state
from talkdesk_operator.inventory import PREFIX
from talkdesk_operator.owned import is_ours, owned_digest, written_at
from talkdesk_operator.replicas import SCALABLE, scale_of

if TYPE_CHECKING:
    from talkdesk_kube import Obj

_METADATA = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
)


def content_of(obj: Obj) -> Obj:
    """Of a ConfigMap or Secret that tenants get a copy of: identity and content, and a Secret's type."""
    metadata = obj["metadata"]
    fields = ("apiVersion", "kind", "type", "data", "binaryData")
    kept: dict[str, Any] = {name: obj[name] for name in fields if name in obj}
    return {**kept, "metadata": {name: metadata[name] for name in _METADATA if name in metadata}}


def identity_of(obj: Obj) -> Obj:
    """Of an object whose content is not to be kept: which one it is, and in which version."""
    metadata = obj["metadata"]
    kept = {name: metadata[name] for name in _METADATA if name in metadata}
    return {"apiVersion": obj.get("apiVersion"), "kind": obj.get("kind"), "metadata": kept}


def compact(obj: Obj) -> Obj:
    """Identity, a digest of the fields we own (``owned``), and what readiness and probe ask for.

    ``annotations``: ours, of namespaces and inventories; ``unclaimedWritten``: when the clean-up record was
    written. ``scale``: see :mod:`talkdesk_operator.replicas`.
    ``workload``: see :func:`~talkdesk_operator.gate.workload_state`; ``clusterIP`` of a Service; ``data`` of
    an inventory, and ``app``, the label of its app; ``revision`` that a Namespace's annotation orders.
    ``ours`` tells whether our field manager is on the object at all.
    """
    metadata = obj["metadata"]
    kept: dict[str, Any] = {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "metadata": {name: metadata[name] for name in _METADATA if name in metadata},
        "owned": owned_digest(obj),
        "ours": is_ours(obj),
    }
    kind = obj["kind"]
    is_inventory = kind == "ConfigMap" and metadata["name"].startswith(PREFIX)
    if kind == "Namespace" or is_inventory:
        kept["annotations"] = {
            name: value
            for name, value in (metadata.get("annotations") or {}).items()
            if name.startswith(f"{names.GROUP}/")
        }
        if names.UNCLAIMED_ANNOTATION in kept["annotations"]:
            kept["unclaimedWritten"] = written_at(obj, "metadata", "annotations", names.UNCLAIMED_ANNOTATION)
    if kind == "Namespace":
        kept["region"] = (metadata.get("labels") or {}).get(names.REGION_LABEL)
    if kind in SCALABLE:
        kept["scale"] = scale_of(obj)
    if kind in WORKLOADS:
        kept["workload"] = workload_state(obj)
    elif kind == "Service":
        kept["clusterIP"] = (obj.get("spec") or {}).get("clusterIP")
    elif is_inventory:
        kept["data"] = obj.get("data") or {}
        kept["app"] = (metadata.get("labels") or {}).get(names.APP_LABEL, "")
    elif kind == "Namespace":
        kept["revision"] = (metadata.get("annotations") or {}).get(names.REVISION_ANNOTATION)
    return kept
