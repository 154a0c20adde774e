"""The ServiceAccount of the tenant's pods. No token is mounted: tenants do not talk to the API server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from talkdesk_operator.tenant.making import Making, Object

NAME = "tenant"


def service_account(made: Making) -> list[Object]:
    """The ServiceAccount ``tenant``, used by every pod of the template that names none."""
    tenant = made.tenant
    return [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": NAME, "namespace": tenant.name, "labels": tenant.object_labels},
            **defaults(made),
        }
    ]


def defaults(made: Making) -> dict[str, Any]:
    """What every ServiceAccount of a tenant has, the template's own too unless they say otherwise."""
    found: dict[str, Any] = {"automountServiceAccountToken": False}
    if secrets := made.blueprint.image_pull_secrets:
        found["imagePullSecrets"] = [{"name": name} for name in secrets]
    return found
