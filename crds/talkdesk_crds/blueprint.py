"""What a tenant is made from: template, variants, plans and what goes with them.

These fields of a TalkdeskApp's spec are rolled out together, a few tenants at a time: a *revision* is an
immutable copy of them (a ControllerRevision), and a tenant is rendered from the revision it was told.
Everything else in the spec holds for all tenants at once.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from talkdesk_crds.meta import (
    ATOMIC_LIST,
    MAP,
    MAX_INTEGER,
    WHOLE,
    DnsLabel,
    Flag,
    HttpUrl,
    Model,
    Quantity,
    cel,
    validations,
)
from talkdesk_crds.template import TemplateObject

PlanName = Annotated[str, Field(min_length=1, max_length=256)]
VersionId = Annotated[str, Field(min_length=1, max_length=128)]
#: The last part of a reference such as ``${plan.values.size}``.
ValueName = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-zA-Z][a-zA-Z0-9]*$")]
DataKey = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]


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
    """What a tenant may use, and the values that its template gets."""

    quota: Annotated[
        dict[Annotated[str, Field(max_length=128)], Quantity],
        Field(max_length=32, description="hard limits of the tenant's ResourceQuota, by resource name"),
        MAP,
    ] = Field(default_factory=lambda: {"requests.cpu": "2", "requests.memory": "4Gi", "pods": "20"})
    container_defaults: ContainerDefaults = Field(default_factory=ContainerDefaults)
    values: Annotated[
        dict[ValueName, Annotated[str, Field(max_length=1024)]],
        Field(max_length=64, description="texts that the template gets as ${plan.values.NAME}"),
        MAP,
    ] = Field(default_factory=dict)
    numbers: Annotated[
        dict[ValueName, Annotated[int, Field(ge=-MAX_INTEGER, le=MAX_INTEGER), WHOLE]],
        Field(max_length=64, description="integers that the template gets as ${plan.numbers.NAME}"),
        MAP,
    ] = Field(default_factory=dict)
    features: Annotated[
        dict[ValueName, Flag],
        Field(max_length=64, description="switches that the template gets as ${plan.features.NAME}"),
        MAP,
    ] = Field(default_factory=dict)
    on_suspend: Annotated[
        Literal["ScaleToZero", "KeepRunning"],
        Field(description="what becomes of a suspended tenant's workload; access is refused in any case"),
    ] = "ScaleToZero"


class SignIn(Model):
    """How users are sent to Talkdesk: what the app version is registered with."""

    redirect_uri: HttpUrl | None = None
    scopes: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[!-~]+$")]],
        Field(max_length=32, json_schema_extra=ATOMIC_LIST),
    ] = Field(default_factory=list)


class Variant(Model):
    """What installations of one app version get instead of the app's own; what is left out stays."""

    app_version: VersionId
    template: Annotated[list[TemplateObject], Field(max_length=64, json_schema_extra=ATOMIC_LIST)] | None = (
        None
    )
    service: ServiceRef | None = None
    sign_in: SignIn | None = None


class GeneratedKey(Model):
    """One random value."""

    length: Annotated[int, Field(ge=8, le=256, description="characters"), WHOLE] = 32
    alphabet: Annotated[
        Literal["Alphanumeric", "Hex"], Field(description="what the characters are drawn from")
    ] = "Alphanumeric"


class GeneratedSecret(Model):
    """A Secret of random values that is made once in each tenant and never changed."""

    name: DnsLabel
    keys: Annotated[dict[DataKey, GeneratedKey], Field(min_length=1, max_length=16), MAP]


class Copy(Model):
    """A ConfigMap or Secret of the operator's namespace that every tenant gets a copy of."""

    kind: Literal["ConfigMap", "Secret"]
    name: DnsLabel


#: Labels of a tenant's namespace that are not the app's to set: the product's own, and those that Kubernetes
#: gives a meaning to (Pod Security among them). ``app.kubernetes.io/`` is meant for everybody.
_RESERVED_LABELS = r"^([^/]*[.])?(talkdesk-operator[.]io|kubernetes[.]io|k8s[.]io)/"
_FREE_LABELS = "app.kubernetes.io/"


def _free_labels(labels: dict[str, str]) -> dict[str, str]:
    for key in labels:
        if re.search(_RESERVED_LABELS, key) and not key.startswith(_FREE_LABELS):
            raise ValueError(f"label {key} is not the app's to set")
    return labels


def once(label: str, key: Any) -> Any:
    """A validator: no two items of a list have the same ``key``, which people call ``label``."""

    def check(items: list[Any]) -> list[Any]:
        keys = [key(item) for item in items]
        if len(set(keys)) < len(keys):
            raise ValueError(f"two entries have the same {label}")
        return items

    return AfterValidator(check)


def _map_by(*fields: str) -> dict[str, Any]:
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [*fields]}


#: What CEL holds a blueprint to; whoever adds rules to it repeats these.
BLUEPRINT_RULES = (
    cel(
        "!has(self.sampleData) || self.sampleData.kind == 'Job'",
        "must be a Job",
        field=".sampleData",
    ),
    cel(
        "!has(self.namespaceLabels) || self.namespaceLabels.all(label, "
        f"label.startsWith('{_FREE_LABELS}') || !label.matches(r'{_RESERVED_LABELS}'))",
        "labels of talkdesk-operator.io, kubernetes.io and k8s.io are not the app's to set",
        field=".namespaceLabels",
    ),
)


class Blueprint(Model):
    """The fields of a TalkdeskApp's spec that a revision holds."""

    model_config = ConfigDict(json_schema_extra=validations(*BLUEPRINT_RULES))

    service: ServiceRef
    template: Annotated[list[TemplateObject], Field(max_length=64, json_schema_extra=ATOMIC_LIST)]
    variants: Annotated[
        list[Variant],
        Field(
            max_length=8,
            description="app versions that differ, by Talkdesk's app_version_id",
            json_schema_extra=_map_by("appVersion"),
        ),
        once("appVersion", lambda item: item.app_version),
    ] = Field(default_factory=list)
    sign_in: SignIn = Field(default_factory=SignIn)
    default_plan: Annotated[Plan, Field(description="for a plan that plans does not name, or for none")] = (
        Field(default_factory=Plan)
    )
    plans: Annotated[
        dict[PlanName, Plan],
        Field(max_length=32, description="by the name that Talkdesk's subscription shows"),
        MAP,
    ] = Field(default_factory=dict)
    generated_secrets: Annotated[
        list[GeneratedSecret],
        Field(max_length=16, json_schema_extra=_map_by("name")),
        once("name", lambda item: item.name),
    ] = Field(default_factory=list)
    copies: Annotated[
        list[Copy],
        Field(max_length=32, json_schema_extra=_map_by("kind", "name")),
        once("kind and name", lambda item: (item.kind, item.name)),
    ] = Field(default_factory=list)
    image_pull_secrets: Annotated[
        list[DnsLabel],
        Field(
            max_length=8,
            description="Secrets of the operator's namespace, copied into each tenant for its pods' images",
            json_schema_extra={"x-kubernetes-list-type": "set"},
        ),
        once("name", lambda item: item),
    ] = Field(default_factory=list)
    namespace_labels: Annotated[
        dict[
            Annotated[
                str,
                Field(
                    max_length=317,
                    pattern=r"^([a-z0-9]([-.a-z0-9]*[a-z0-9])?/)?[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?$",
                ),
            ],
            Annotated[str, Field(max_length=63, pattern=r"^([A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?)?$")],
        ],
        Field(max_length=32, description="more labels of the tenants' namespaces"),
        AfterValidator(_free_labels),
        MAP,
    ] = Field(default_factory=dict)
    sample_data: Annotated[
        TemplateObject | None,
        Field(description="a Job that runs once in each new tenant and must succeed before the approval"),
    ] = None

    @model_validator(mode="after")
    def _sample_data_is_a_job(self) -> Self:
        if self.sample_data is not None and self.sample_data.kind != "Job":
            raise ValueError("sampleData must be a Job")
        return self


def blueprint_of(spec: Blueprint) -> Blueprint:
    """The revision's part of a TalkdeskApp's spec, and nothing else of it."""
    return Blueprint.model_construct(**{name: getattr(spec, name) for name in Blueprint.model_fields})


def for_version(blueprint: Blueprint, app_version: str | None) -> Blueprint:
    """``blueprint`` as an installation of ``app_version`` gets it; without variants."""
    variant = next((one for one in blueprint.variants if one.app_version == app_version), None)
    changes: dict[str, Any] = {"variants": []}
    if variant is not None:
        for field in ("template", "service", "sign_in"):
            if (value := getattr(variant, field)) is not None:
                changes[field] = value
    return blueprint.model_copy(update=changes)


def plan_of(blueprint: Blueprint, name: str | None) -> tuple[Plan, bool]:
    """The plan of that name and True, or the default and False."""
    plan = blueprint.plans.get(name) if name is not None else None
    return (plan, True) if plan is not None else (blueprint.default_plan, False)
