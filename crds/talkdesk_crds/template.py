"""The objects of a tenant's template: any of a list of kinds, with ``${…}`` references in their strings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from talkdesk_crds.meta import MAP, DnsLabel, Model, cel, validations

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Kinds a template may hold, with the apiVersion each must carry.
TEMPLATE_KINDS: dict[str, str] = {
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "Job": "batch/v1",
    "CronJob": "batch/v1",
    "Service": "v1",
    "ConfigMap": "v1",
    "Secret": "v1",
    "PersistentVolumeClaim": "v1",
    "ServiceAccount": "v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "PodDisruptionBudget": "policy/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
}

_ALLOWED = ", ".join(f"'{version}/{kind}'" for kind, version in TEMPLATE_KINDS.items())


class TemplateMeta(Model):
    """metadata of a template object. A namespace is refused: the tenant decides it."""

    name: DnsLabel
    namespace: Annotated[str, Field(max_length=253)] | None = None
    labels: Annotated[
        dict[Annotated[str, Field(max_length=317)], Annotated[str, Field(max_length=512)]],
        Field(max_length=32),
        MAP,
    ] = Field(default_factory=dict)
    annotations: Annotated[
        dict[Annotated[str, Field(max_length=317)], Annotated[str, Field(max_length=16384)]],
        Field(max_length=32),
        MAP,
    ] = Field(default_factory=dict)


class TemplateObject(Model):
    """One Kubernetes object of the tenant's template; strings may hold ``${…}`` references."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "x-kubernetes-preserve-unknown-fields": True,
            **validations(
                cel(
                    f"self.apiVersion + '/' + self.kind in [{_ALLOWED}]",
                    f"a template may hold only {', '.join(TEMPLATE_KINDS)}, each in its own apiVersion",
                    field=".kind",
                ),
                cel(
                    "!has(self.metadata.namespace)",
                    "must be left out: the tenant decides the namespace",
                    field=".metadata.namespace",
                ),
            ),
        },
    )

    api_version: Annotated[str, Field(max_length=64)]
    kind: Annotated[str, Field(max_length=64)]
    metadata: TemplateMeta

    @model_validator(mode="after")
    def _allowed(self) -> Self:
        if TEMPLATE_KINDS.get(self.kind) != self.api_version:
            raise ValueError(f"{self.api_version}/{self.kind} is not allowed in a template")
        if self.metadata.namespace is not None:
            raise ValueError("metadata.namespace must be left out: the tenant decides it")
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, known: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # A null that somebody wrote means something to the object's own kind: only our fields leave it out.
        fields: dict[str, Any] = known(self)
        return fields | (self.model_extra or {})


def template_json(template: Iterable[TemplateObject]) -> list[dict[str, Any]]:
    """The objects as plain JSON, in their order."""
    return [item.to_json() for item in template]
