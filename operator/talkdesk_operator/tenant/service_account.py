"""The ServiceAccount of the tenant's pods. No token is mounted: tenants do not talk to the API server."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
            "automountServiceAccountToken": False,
        }
    ]
