"""TalkdeskApp (``tda``): one partner app, as the platform engineer declares it.

It says where Talkdesk's hosts are, what a tenant is made of, and when a tenant counts as usable.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from talkdesk_crds.blueprint import BLUEPRINT_RULES, Blueprint, once
from talkdesk_crds.email import EmailPolicy
from talkdesk_crds.meta import (
    ATOMIC_LIST,
    MAP,
    MAX_INTEGER,
    WHOLE,
    Conditions,
    HostName,
    HttpUrl,
    Model,
    ObjectMeta,
    ObjectName,
    ObservedGeneration,
    TalkdeskId,
    Time,
    cel,
    immutable,
    validations,
)

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


class Rollout(Model):
    """How a new revision reaches tenants that exist already."""

    max_unavailable: Annotated[
        int, Field(ge=1, le=1000, description="tenants that may be unready at once"), WHOLE
    ] = 1
    progress_seconds: Annotated[
        int,
        Field(ge=1, le=604800, description="without progress for so long a roll-out counts as stalled"),
        WHOLE,
    ] = 600


class TrialPolicy(Model):
    """What happens around the end of a trial."""

    grace_seconds: Annotated[
        int,
        Field(
            ge=0,
            le=2592000,
            description="how long access stays after a trial's end while Talkdesk cannot be asked about it",
        ),
        WHOLE,
    ] = 86400


class Retention(Model):
    """How long a tenant without an installation is kept."""

    seconds: Annotated[int, Field(ge=0, le=315360000), WHOLE] = 2592000
    on_delete: Annotated[
        Literal["Retain", "Delete"],
        Field(
            description="somebody deletes a TalkdeskInstallation: its tenant is kept as after an uninstall, "
            "or deleted at once"
        ),
    ] = "Retain"


class CredentialsPolicy(Model):
    """What happens while Talkdesk refuses an installation's credentials."""

    grace_seconds: Annotated[
        int, Field(ge=0, le=2592000, description="how long access stays while they are refused"), WHOLE
    ] = 604800
    rotate_after_seconds: Annotated[
        int,
        Field(
            ge=0,
            le=31536000,
            description="age at which we ask for new credentials: a rotation whose event was lost would cost "
            "us the old ones after a week; 0: never",
        ),
        WHOLE,
    ] = 432000


class SessionPolicy(Model):
    """How long a user stays signed in to a tenant without asking Talkdesk again."""

    idle_seconds: Annotated[
        int, Field(ge=60, le=2592000, description="a session that nobody uses for so long is over"), WHOLE
    ] = 43200
    absolute_seconds: Annotated[
        int, Field(ge=60, le=2592000, description="a session is over so long after it began"), WHOLE
    ] = 604800


CspSource = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[!-+\--:<-~]+$")]


class Bar(Model):
    """The Talkdesk bar on top of the app's pages. Talkdesk gives its script to partners privately."""

    script: Annotated[HttpUrl, Field(description="loaded by every page that a user opens in the tenant")]
    attributes: Annotated[
        dict[
            Annotated[str, Field(min_length=1, max_length=63, pattern=r"^data-[a-z0-9-]+$")],
            Annotated[str, Field(max_length=1024)],
        ],
        Field(
            max_length=16,
            description="of its script element; ${account.id}, ${account.name}, ${region}, ${user.id}, "
            "${user.name} and ${installation.id} are replaced",
        ),
        MAP,
    ] = Field(default_factory=dict)
    height: Annotated[int, Field(ge=0, le=400, description="pixels that pages leave free for it"), WHOLE] = 48
    csp: Annotated[
        dict[
            Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[a-z]+(-[a-z]+)*-src$")],
            Annotated[list[CspSource], Field(max_length=16, json_schema_extra=ATOMIC_LIST)],
        ],
        Field(max_length=16, description="what it needs beyond its script, by directive, e.g. connect-src"),
        MAP,
    ] = Field(default_factory=dict)


class RoleRule(Model):
    """What users with one of Talkdesk's roles are in the app."""

    talkdesk: Annotated[str, Field(min_length=1, max_length=128, description="the role's name at Talkdesk")]
    app: Annotated[str, Field(min_length=1, max_length=64, description="the role in the app")]


class UsersPolicy(Model):
    """Who of Talkdesk's users may enter, and as what."""

    inactive: Annotated[
        Literal["Removed", "Licensed"],
        Field(description="what a user counts as whom Talkdesk lists with active: false"),
    ] = "Removed"
    roles: Annotated[
        list[RoleRule],
        Field(
            max_length=64,
            description="the app's role by Talkdesk's, read by SCIM (scope scim) where any is named; the "
            "first that fits a user counts. Others are user; the installing admin is admin in any case",
            json_schema_extra=ATOMIC_LIST,
        ),
    ] = Field(default_factory=list)


#: The label under ``baseDomain`` that a tenant's host has: the digest in its namespace's name.
_TENANT_LABEL = "^[0-9a-f]{20}[.]"


class TalkdeskAppSpec(Blueprint):
    """What the platform engineer declares."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            *BLUEPRINT_RULES,
            cel(
                "!has(self.launchHost) || !self.launchHost.endsWith('.' + self.baseDomain) || "
                f"!self.launchHost.matches('{_TENANT_LABEL}')",
                "this is a host that a tenant may have",
                field=".launchHost",
            ),
        )
    )

    app_id: Annotated[TalkdeskId, Field(json_schema_extra=immutable("appId"))]
    regions: Annotated[dict[RegionName, Region], Field(min_length=1, max_length=32), MAP]
    base_domain: Annotated[HostName, Field(description="tenants live at <tenant>.<baseDomain>")]
    launch_host: Annotated[
        HostName | None,
        Field(
            description="where Talkdesk sends users: <launchHost>/_td/launch and /_td/callback; without one "
            "nobody can sign in"
        ),
    ] = None
    session: SessionPolicy = Field(default_factory=SessionPolicy)
    bar: Bar | None = None
    resellers: Annotated[
        list[TalkdeskId],
        Field(
            max_length=1024,
            description="ids of resellers' accounts: they are not shown the bar",
            json_schema_extra={"x-kubernetes-list-type": "set"},
        ),
        once("entry", lambda item: item),
    ] = Field(default_factory=list)
    users: UsersPolicy = Field(default_factory=UsersPolicy)
    rollout: Rollout = Field(default_factory=Rollout)
    approval: Approval = Field(default_factory=Approval)
    trial: TrialPolicy = Field(default_factory=TrialPolicy)
    retention: Retention = Field(default_factory=Retention)
    credentials: CredentialsPolicy = Field(default_factory=CredentialsPolicy)
    links: AppLinks = Field(default_factory=AppLinks)
    contact: (
        Annotated[str, Field(max_length=254, description="e-mail address that customers may write to")] | None
    ) = None
    email: EmailPolicy = Field(default_factory=EmailPolicy)
    egress: Annotated[list[NetworkDestination], Field(max_length=32, json_schema_extra=ATOMIC_LIST)] = Field(
        default_factory=list
    )

    @model_validator(mode="after")
    def _launched_at_no_tenant(self) -> Self:
        host = self.launch_host or ""
        if host.endswith(f".{self.base_domain}") and re.match(_TENANT_LABEL, host):
            raise ValueError("launchHost is a host that a tenant may have")
        return self


class RolloutProgress(Model):
    """How far a revision has come; ``updated`` of ``tenants`` have it and are ready."""

    revision: ObjectName
    tenants: Annotated[int, Field(ge=0, le=MAX_INTEGER), WHOLE]
    updated: Annotated[int, Field(ge=0, le=MAX_INTEGER), WHOLE]
    unavailable: Annotated[int, Field(ge=0, le=MAX_INTEGER), WHOLE]
    #: When the number of updated tenants last changed.
    progressed_at: Time | None = None


class TalkdeskAppStatus(Model):
    """Written by the operator alone."""

    observed_generation: ObservedGeneration = -1
    conditions: Conditions = Field(default_factory=list)
    revision: Annotated[
        ObjectName | None, Field(description="the revision that rolled out last; new tenants get it")
    ] = None
    rollout: RolloutProgress | None = None


class TalkdeskApp(Model):
    """One partner app: where Talkdesk is, what a tenant is made of, and when it counts as usable."""

    api_version: Literal["talkdesk-operator.io/v1alpha1"] = "talkdesk-operator.io/v1alpha1"
    kind: Literal["TalkdeskApp"] = "TalkdeskApp"
    metadata: ObjectMeta
    spec: TalkdeskAppSpec
    status: TalkdeskAppStatus = Field(default_factory=TalkdeskAppStatus)
