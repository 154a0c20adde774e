"""The RoleBinding that gives this release's operator its rights inside one tenant, and nobody else any."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from talkdesk_operator.tenant.identity import Tenant

NAME = "talkdesk-operator"


def role_binding(tenant: Tenant) -> dict[str, Any]:
    """The RoleBinding; applied before everything else in the namespace."""
    release = tenant.release
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": NAME, "namespace": tenant.name, "labels": tenant.object_labels},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": release.tenant_cluster_role,
        },
        "subjects": [
            {"kind": "ServiceAccount", "name": release.service_account, "namespace": release.namespace}
        ],
    }
