"""The tenant's Namespace: labelled as ours, with Pod Security ``restricted``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_crds import names

if TYPE_CHECKING:
    from talkdesk_operator.tenant.making import Making, Object

#: Pinned, so that an upgrade of the cluster does not change what a tenant's pods may do.
POD_SECURITY_VERSION = "v1.34"


def namespace(made: Making) -> Object:
    """The Namespace; annotations carry the ids in full, for people, since labels may be digests."""
    tenant = made.tenant
    security = {
        f"pod-security.kubernetes.io/{mode}{suffix}": value
        for mode in ("enforce", "audit", "warn")
        for suffix, value in (("", "restricted"), ("-version", POD_SECURITY_VERSION))
    }
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": tenant.name,
            "labels": {
                **made.blueprint.namespace_labels,
                **tenant.labels,
                names.TENANT_LABEL: tenant.release.id,
                **security,
            },
            "annotations": {
                f"{names.GROUP}/app-id": tenant.key.app_id,
                f"{names.GROUP}/account-id": tenant.key.account_id,
            },
        },
    }
