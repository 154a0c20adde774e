"""The ServiceAccount that Kubernetes makes in every namespace: pods that name none get no token by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from talkdesk_operator.tenant.making import Making, Object

NAME = "default"


def default_service_account(made: Making) -> list[Object]:
    """The ServiceAccount ``default``, without a mounted token."""
    tenant = made.tenant
    return [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": NAME, "namespace": tenant.name, "labels": tenant.object_labels},
            "automountServiceAccountToken": False,
        }
    ]
