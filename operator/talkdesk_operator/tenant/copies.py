"""ConfigMaps and Secrets of the operator's namespace that the app wants in each tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_operator.tenant.making import Copied

if TYPE_CHECKING:
    from talkdesk_operator.tenant.making import Making


def copies(made: Making) -> list[Copied]:
    """One for each of ``spec.copies`` and, as a Secret, of ``spec.imagePullSecrets``; each only once."""
    tenant, blueprint = made.tenant, made.blueprint
    wanted = [(one.kind, one.name) for one in blueprint.copies]
    wanted += [("Secret", name) for name in blueprint.image_pull_secrets]
    return [
        Copied(
            obj={
                "apiVersion": "v1",
                "kind": kind,
                "metadata": {"name": name, "namespace": tenant.name, "labels": tenant.object_labels},
            }
        )
        for kind, name in dict.fromkeys(wanted)
    ]
