"""TalkdeskInstallation (``tdi``): one installation of one app in one account.

``spec.talkdesk`` is what Talkdesk said, as last-writer-wins registers that only the webhook writes; beside it
stand the switches meant for people. ``status`` is written by the operator alone. No user and no secret is
here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from talkdesk_crds.app import RegionName
from talkdesk_crds.blueprint import ServiceRef, SignIn
from talkdesk_crds.meta import (
    ATOMIC_LIST,
    MAP,
    MAX_INTEGER,
    WHOLE,
    Conditions,
    DnsLabel,
    Flag,
    Model,
    ObjectMeta,
    ObjectName,
    ObservedGeneration,
    StampTime,
    TalkdeskId,
    Time,
    cel,
    immutable,
    validations,
)
from talkdesk_crds.names import RESYNC_LENGTH

Text = Annotated[str, Field(max_length=1024)]


class Stamp(Model):
    """Which event wrote a register. Registers are ordered by (at, rank, event): the greatest wins.

    ``at`` is the event's ``created_at``, absent where the event had none that could be read (then it ranks
    lowest); ``rank`` is the place of the event's type in the order of a life.
    """

    at: StampTime | None = None
    rank: Annotated[int, Field(ge=0, le=99), WHOLE]
    event: Annotated[str, Field(min_length=1, max_length=128)]

    def order(self) -> tuple[str, int, str]:
        """Sort key; a missing time sorts before every time."""
        return (self.at or "", self.rank, self.event)


class Installed(Stamp):
    """The newest ``app.installed``."""


class Updated(Stamp):
    """The newest ``app.updated``."""


class Uninstalled(Stamp):
    """The newest ``app.uninstalled``; holds until a later installed."""

    reason: Text | None = None


class CredentialsRef(Stamp):
    """The newest credentials' Secret, in the release's credentials namespace."""

    secret: ObjectName


class Trial(Stamp):
    """What the newest trial event said."""

    state: Literal["started", "extended", "ended"]
    expires_at: StampTime | None = None
    ended_at: StampTime | None = None
    ended_reason: Text | None = None
    ended_by: Text | None = None


class Subscription(Stamp):
    """The plan that the newest event with one said is being subscribed to."""

    name: Annotated[str, Field(min_length=1, max_length=256)]
    licenses: Annotated[int, Field(ge=0, le=MAX_INTEGER), WHOLE] | None = None


class AppVersion(Stamp):
    """The newest app version an event carried."""

    id: Annotated[str, Field(max_length=128)]
    name: Text | None = None


class AccountName(Stamp):
    """The account's subdomain; decoration, it may change."""

    name: Text


class Link(Stamp):
    """One link of the events' ``_links``; checked against the app's host table where it is used."""

    href: Annotated[str, Field(max_length=2048)]


class RecentEvent(Stamp):
    """One of the newest events."""

    type: Annotated[str, Field(max_length=128)]


class FromTalkdesk(Model):
    """What Talkdesk said, register by register."""

    installed: Installed | None = None
    updated: Updated | None = None
    uninstalled: Uninstalled | None = None
    credentials: CredentialsRef | None = None
    trial: Trial | None = None
    subscription: Subscription | None = None
    app_version: AppVersion | None = None
    account_name: AccountName | None = None
    links: Annotated[
        dict[Annotated[str, Field(min_length=1, max_length=64)], Link],
        Field(max_length=32),
        MAP,
    ] = Field(default_factory=dict)
    recent: Annotated[list[RecentEvent], Field(max_length=20, json_schema_extra=ATOMIC_LIST)] = Field(
        default_factory=list
    )

    @property
    def is_uninstalled(self) -> bool:
        """True while the newest uninstalled register has not been overtaken by a later installed one."""
        if self.uninstalled is None:
            return False
        return self.installed is None or self.uninstalled.order() > self.installed.order()


class Decision(Model):
    """A person's answer to what Talkdesk waits for, for this one moment of it alone."""

    answer: Literal["approve", "reject"]
    updated_at: Annotated[
        str, Field(max_length=64, description="status.talkdesk.updatedAt of what is being answered")
    ]
    reason: Text | None = None


class TalkdeskInstallationSpec(Model):
    """Identity, what Talkdesk said, and the switches meant for people."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel("!has(oldSelf.region) || has(self.region)", "region is immutable once set", field=".region")
        )
    )

    app_id: Annotated[TalkdeskId, Field(json_schema_extra=immutable("appId"))]
    account_id: Annotated[TalkdeskId, Field(json_schema_extra=immutable("accountId"))]
    installation_id: Annotated[TalkdeskId, Field(json_schema_extra=immutable("installationId"))]
    region: Annotated[RegionName, Field(json_schema_extra=immutable("region"))] | None = Field(
        default=None, description="resolved once, by the operator, from the app's host table"
    )
    talkdesk: FromTalkdesk = Field(default_factory=FromTalkdesk)
    suspend: Annotated[
        Flag, Field(description="a person's switch: refuse access and scale the tenant to zero")
    ] = False
    approval: Annotated[
        Literal["Automatic", "Manual"],
        Field(description="Manual: installations and updates wait for a person's decision"),
    ] = "Automatic"
    decision: Decision | None = None
    show_bar: Annotated[
        Flag | None, Field(description="whether users see the Talkdesk bar; by default resellers do not")
    ] = None
    roles: (
        Annotated[
            dict[TalkdeskId, Annotated[str, Field(min_length=1, max_length=64)]],
            Field(
                max_length=1024,
                description="the app's role by user id, over the app's rules and over the installing admin's",
            ),
            MAP,
        ]
        | None
    ) = None


class Access(Model):
    """Whether users may enter; the gateway obeys it."""

    state: Literal["Allowed", "Refused"]
    reason: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Z][A-Za-z0-9]*$")]


class Impending(Model):
    """An end of access that Talkdesk's API tells of, and no event has; it stands here while the API says so.

    While ``status.access`` is still Allowed the end is awaited, or the brake holds it.
    """

    reason: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Z][A-Za-z0-9]*$")]
    since: Time


class Users(Model):
    """Which generation of TalkdeskUserSlices counts."""

    count: Annotated[int, Field(ge=0, le=MAX_INTEGER), WHOLE]
    buckets: Annotated[int, Field(ge=1, le=65536), WHOLE]
    resource_version: Annotated[
        str,
        Field(max_length=32, description="what a reader's slice watch must have reached before it uses this"),
    ]


class TalkdeskState(Model):
    """What Talkdesk's Apps API said last about the installation."""

    state: Annotated[str, Field(max_length=64)]
    updated_at: Annotated[str, Field(max_length=64)] | None = None


class Answer(Model):
    """An answer given to Talkdesk, for one observed (state, updatedAt)."""

    state: Annotated[str, Field(max_length=64)]
    updated_at: Annotated[str, Field(max_length=64)] | None = None
    answer: Literal["approve", "reject"]
    reason: Text | None = None
    at: Time


class Deadlines(Model):
    """Times at which something happens by itself; absent where nothing is due."""

    answer: Annotated[Time | None, Field(description="Talkdesk gives up waiting for our answer")] = None
    patience: Annotated[Time | None, Field(description="we reject what is not usable by then")] = None
    trial: Annotated[Time | None, Field(description="the trial ends")] = None
    rotation: Annotated[Time | None, Field(description="the old credentials end")] = None
    credentials: Annotated[
        Time | None, Field(description="access ends, should Talkdesk go on refusing the credentials")
    ] = None
    retention: Annotated[Time | None, Field(description="the tenant is deleted")] = None


class TalkdeskInstallationStatus(Model):
    """Written by the operator alone; all of it can be rebuilt."""

    observed_generation: ObservedGeneration = -1
    conditions: Conditions = Field(default_factory=list)
    access: Access | None = None
    impending: Impending | None = None
    users: Users | None = None
    user_rules: Annotated[
        str | None,
        Field(
            max_length=64,
            description="digest of the rules (the app's spec.users, spec.roles) that the users were last "
            "brought under; absent: of the default ones",
        ),
    ] = None
    tenant: Annotated[DnsLabel | None, Field(description="the tenant's namespace")] = None
    host: Annotated[str, Field(max_length=253)] | None = None
    plan: Annotated[str, Field(max_length=256)] | None = None
    app_version: Annotated[str, Field(max_length=128)] | None = None
    revision: Annotated[
        ObjectName | None, Field(description="the revision that the tenant was last made from, completely")
    ] = None
    sign_in: SignIn | None = None
    service: Annotated[
        ServiceRef | None, Field(description="the tenant's Service that users reach, by its revision")
    ] = None
    credentials: Annotated[ObjectName | None, Field(description="the Secret in use")] = None
    acknowledged: Annotated[
        ObjectName | None, Field(description="the Secret whose arrival was acknowledged to Talkdesk last")
    ] = None
    rotation_requested_at: Annotated[
        Time | None, Field(description="when we last asked Talkdesk for new credentials")
    ] = None
    deadlines: Deadlines = Field(default_factory=Deadlines)
    talkdesk: TalkdeskState | None = None
    answers: Annotated[list[Answer], Field(max_length=10, json_schema_extra=ATOMIC_LIST)] = Field(
        default_factory=list
    )
    observed_resync: Annotated[str, Field(max_length=RESYNC_LENGTH)] | None = None


class TalkdeskInstallation(Model):
    """One installation of one app in one account."""

    api_version: Literal["talkdesk-operator.io/v1alpha1"] = "talkdesk-operator.io/v1alpha1"
    kind: Literal["TalkdeskInstallation"] = "TalkdeskInstallation"
    metadata: ObjectMeta
    spec: TalkdeskInstallationSpec
    status: TalkdeskInstallationStatus = Field(default_factory=TalkdeskInstallationStatus)
