"""The tenant's ResourceQuota: what the plan allows in all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from talkdesk_crds.app import Plan
    from talkdesk_operator.tenant.identity import Tenant

NAME = "tenant"


def resource_quota(tenant: Tenant, plan: Plan) -> dict[str, Any]:
    """The ResourceQuota of ``plan``."""
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": NAME, "namespace": tenant.name, "labels": tenant.object_labels},
        "spec": {"hard": dict(plan.quota)},
    }
