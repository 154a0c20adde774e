"""An object of the app's as it should be in one tenant: its namespace, labels, service account. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from talkdesk_operator.tenant import service_account

if TYPE_CHECKING:
    from talkdesk_operator.tenant.making import Making

#: Where each kind keeps the specification of its pods.
POD_SPECS = {
    "Deployment": ("spec", "template", "spec"),
    "StatefulSet": ("spec", "template", "spec"),
    "Job": ("spec", "template", "spec"),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
}
_SCALABLE = {"Deployment", "StatefulSet"}
_SUSPENDABLE = {"Job", "CronJob"}
#: Of a Job: when Kubernetes deletes it after its end. It would be applied, and so run, again and again.
TTL = "ttlSecondsAfterFinished"


def adapt(item: dict[str, Any], made: Making) -> dict[str, Any]:
    """``item`` in the tenant; a stopped tenant's has no replicas and starts no jobs.

    A Job would meet none of what it works with, use up its attempts, and stay failed for whoever comes back.
    It is there until the template drops it.
    """
    tenant, kind = made.tenant, item["kind"]
    metadata = {name: value for name, value in item["metadata"].items() if value not in ({}, None)}
    labels = {**metadata.get("labels", {}), **tenant.object_labels}
    adapted = {**item, "metadata": {**metadata, "namespace": tenant.name, "labels": labels}}
    if kind == "ServiceAccount":
        adapted = {**service_account.defaults(made), **adapted}
    if path := POD_SPECS.get(kind):
        adapted = _update(adapted, path, _with_service_account)
    if kind == "Job":
        adapted = _update(adapted, ("spec",), _without_ttl)
    if made.stopped and kind in _SCALABLE:
        adapted = _update(adapted, ("spec",), lambda spec: {**spec, "replicas": 0})
    if made.stopped and kind in _SUSPENDABLE:
        adapted = _update(adapted, ("spec",), lambda spec: {**spec, "suspend": True})
    return adapted


def _with_service_account(pod: dict[str, Any]) -> dict[str, Any]:
    defaults = {"serviceAccountName": service_account.NAME, "automountServiceAccountToken": False}
    return {**defaults, **pod}


def _without_ttl(spec: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in spec.items() if name != TTL}


def _update(node: dict[str, Any], path: tuple[str, ...], change: Any) -> dict[str, Any]:
    """``node`` with the object at ``path`` changed; untouched where a part of the path is no object."""
    head, *rest = path
    child = node.get(head)
    if not isinstance(child, dict):
        return node
    return {**node, head: _update(child, tuple(rest), change) if rest else change(child)}
