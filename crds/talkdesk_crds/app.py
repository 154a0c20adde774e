"""TalkdeskApp (``tda``): one partner app, as the platform engineer declares it.

It says where Talkdesk's hosts are, what a tenant is made of, and when a tenant counts as usable.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from talkdesk_crds.meta import (
    ATOMIC_LIST,
    MAP,
    WHOLE,
    Conditions,
    DnsLabel,
    HostName,
    HttpUrl,
    Model,
    ObjectMeta,
    ObservedGeneration,
    Quantity,
    TalkdeskId,
    cel,
    immutable,
    validations,
)

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

RegionName = Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]


class Region(Model):
    """Talkdesk's hosts in one region; links of events are used only when their host is one of these."""

    api: Annotated[HostName, Field(description="Host of the API gateway, e.g. api.talkdeskapp.eu.")]
    identity: Annotated[
        HostName,
        Field(
            description="Domain of the accounts' identity hosts, e.g. talkdeskid.eu for acme.talkdeskid.eu."
        ),
    ]


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


class ServiceRef(Model):
    """The tenant's Service that users reach."""

    name: DnsLabel
    port: Annotated[int, Field(ge=1, le=65535), WHOLE]


class Resources(Model):
    """CPU and memory, as Kubernetes quantities."""

    cpu: Quantity | None = None
    memory: Quantity | None = None


class ContainerDefaults(Model):
    """What a container gets that states nothing itself (a LimitRange of the tenant)."""

    requests: Resources = Field(default_factory=lambda: Resources(cpu="50m", memory="64Mi"))
    limits: Resources = Field(default_factory=lambda: Resources(cpu="1", memory="512Mi"))


class Plan(Model):
    """What a tenant may use."""

    quota: Annotated[
        dict[Annotated[str, Field(max_length=128)], Quantity],
        Field(max_length=32, description="hard limits of the tenant's ResourceQuota, by resource name"),
        MAP,
    ] = Field(default_factory=lambda: {"requests.cpu": "2", "requests.memory": "4Gi", "pods": "20"})
    container_defaults: ContainerDefaults = Field(default_factory=ContainerDefaults)


class Probe(Model):
    """An HTTP request that a new tenant must answer with 2xx or 3xx before it is approved."""

    path: Annotated[str, Field(max_length=512, pattern=r"^/[!-~]*$")] = "/"


class Approval(Model):
    """When an installation is usable, and how long to try."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                "!has(self.probe) || self.gate == 'WorkloadReady'",
                "a probe needs gate: WorkloadReady",
                field=".probe",
            )
        )
    )

    gate: Literal["WorkloadReady", "NamespaceReady"] = "WorkloadReady"
    probe: Annotated[
        Probe | None,
        Field(description="asked of the tenant's Service through its ClusterIP; only with WorkloadReady"),
    ] = None
    patience_seconds: Annotated[
        int,
        Field(
            ge=1,
            le=604800,
            description="how long a permanent failure or an unready tenant is tried before rejecting",
        ),
        WHOLE,
    ] = 86400

    @model_validator(mode="after")
    def _probe_needs_workload(self) -> Self:
        if self.probe is not None and self.gate != "WorkloadReady":
            raise ValueError("a probe needs gate: WorkloadReady")
        return self


class AppLinks(Model):
    """Pages that tenants and mails point to."""

    terms: HttpUrl | None = None
    support: HttpUrl | None = None
    upgrade: HttpUrl | None = None


class NetworkDestination(Model):
    """An address range that the tenant's pods may reach beside DNS."""

    cidr: Annotated[str, Field(max_length=43, pattern=r"^[0-9a-fA-F.:]+/[0-9]{1,3}$")]
    ports: Annotated[
        list[Annotated[int, Field(ge=1, le=65535), WHOLE]],
        Field(max_length=16, description="TCP ports; none: all of them", json_schema_extra=ATOMIC_LIST),
    ] = Field(default_factory=list)


class TalkdeskAppSpec(Model):
    """What the platform engineer declares."""

    app_id: Annotated[TalkdeskId, Field(json_schema_extra=immutable("appId"))]
    regions: Annotated[dict[RegionName, Region], Field(min_length=1, max_length=32), MAP]
    base_domain: Annotated[HostName, Field(description="tenants live at <tenant>.<baseDomain>")]
    service: ServiceRef
    template: Annotated[list[TemplateObject], Field(max_length=64, json_schema_extra=ATOMIC_LIST)]
    default_plan: Plan = Field(default_factory=Plan)
    approval: Approval = Field(default_factory=Approval)
    links: AppLinks = Field(default_factory=AppLinks)
    contact: (
        Annotated[str, Field(max_length=254, description="e-mail address that customers may write to")] | None
    ) = None
    egress: Annotated[list[NetworkDestination], Field(max_length=32, json_schema_extra=ATOMIC_LIST)] = Field(
        default_factory=list
    )


class TalkdeskAppStatus(Model):
    """Written by the operator alone."""

    observed_generation: ObservedGeneration = -1
    conditions: Conditions = Field(default_factory=list)


class TalkdeskApp(Model):
    """One partner app: where Talkdesk is, what a tenant is made of, and when it counts as usable."""

    api_version: Literal["talkdesk-operator.io/v1alpha1"] = "talkdesk-operator.io/v1alpha1"
    kind: Literal["TalkdeskApp"] = "TalkdeskApp"
    metadata: ObjectMeta
    spec: TalkdeskAppSpec
    status: TalkdeskAppStatus = Field(default_factory=TalkdeskAppStatus)


def template_json(app: TalkdeskApp) -> list[dict[str, Any]]:
    """The template's objects as plain JSON, in their order."""
    return [item.to_json() for item in app.spec.template]
