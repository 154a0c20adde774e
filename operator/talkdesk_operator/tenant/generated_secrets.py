"""The app's generated Secrets: random values that each tenant gets once and keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_operator.tenant.making import Generated

if TYPE_CHECKING:
    from talkdesk_operator.tenant.making import Making


def generated_secrets(made: Making) -> list[Generated]:
    """One Secret for each of ``spec.generatedSecrets``; immutable, for nobody knows another copy of it."""
    tenant = made.tenant
    return [
        Generated(
            obj={
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": one.name, "namespace": tenant.name, "labels": tenant.object_labels},
                "immutable": True,
            },
            keys=one.keys,
        )
        for one in made.blueprint.generated_secrets
    ]
