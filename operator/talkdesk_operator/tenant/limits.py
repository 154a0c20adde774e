"""The tenant's LimitRange: what a container gets that states nothing itself; the quota refuses it else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from talkdesk_operator.tenant.making import Making, Object

NAME = "tenant"


def limit_range(made: Making) -> list[Object]:
    """The LimitRange of the plan."""
    tenant, defaults = made.tenant, made.plan.container_defaults
    limit: dict[str, Any] = {"type": "Container"}
    if default := defaults.limits.to_json():
        limit["default"] = default
    if request := defaults.requests.to_json():
        limit["defaultRequest"] = request
    return [
        {
            "apiVersion": "v1",
            "kind": "LimitRange",
            "metadata": {"name": NAME, "namespace": tenant.name, "labels": tenant.object_labels},
            "spec": {"limits": [limit]},
        }
    ]
