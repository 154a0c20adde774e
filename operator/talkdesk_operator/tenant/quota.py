"""The tenant's ResourceQuota: what the plan allows in all."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from talkdesk_operator.tenant.making import Making, Object

NAME = "tenant"


def resource_quota(made: Making) -> list[Object]:
    """The ResourceQuota of the plan."""
    tenant = made.tenant
    return [
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": NAME, "namespace": tenant.name, "labels": tenant.object_labels},
            "spec": {"hard": dict(made.plan.quota)},
        }
    ]
