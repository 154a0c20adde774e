"""TalkdeskRevocation (``tdr``): the inbox for facts that take access away. It never grants anything.

Immutable and named by a digest of content and cause, so that a repetition is a 409. Webhook (and gateway)
may only create it; the operator applies it to the slices, marks it and deletes it after a day.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from talkdesk_crds.meta import (
    ATOMIC_LIST,
    WHOLE,
    Model,
    ObjectMeta,
    StampTime,
    TalkdeskId,
    Time,
    cel,
    validations,
)
from talkdesk_crds.names import digest

#: Users one object may name; a longer list is split into numbered parts.
USERS_PER_PART = 10_000


class TalkdeskRevocationSpec(Model):
    """Who loses what, and why."""

    model_config = ConfigDict(
        json_schema_extra=validations(cel("self == oldSelf", "a revocation is immutable"))
    )

    kind: Annotated[
        Literal["Removed", "SignedOut"],
        Field(
            description="Removed: out until Talkdesk lists the user again; "
            "SignedOut: sessions end, access stays"
        ),
    ]
    app_id: TalkdeskId
    account_id: TalkdeskId
    installation_id: TalkdeskId
    users: Annotated[
        list[TalkdeskId],
        Field(min_length=1, max_length=USERS_PER_PART, json_schema_extra=ATOMIC_LIST),
    ]
    cause: Annotated[
        str, Field(min_length=1, max_length=256, description="the event's id, or what else caused it")
    ]
    part: Annotated[int, Field(ge=0, le=99), WHOLE] = 0
    at: Annotated[
        StampTime | None,
        Field(description="the event's own time; what Talkdesk showed before it settles nothing"),
    ] = None


class TalkdeskRevocationStatus(Model):
    """Written by the operator alone."""

    applied_at: Annotated[Time | None, Field(description="when the slices reflected it")] = None
    settled_at: Annotated[
        Time | None,
        Field(description="when a complete list, bracketed by equal readings of the installation, took over"),
    ] = None


class TalkdeskRevocation(Model):
    """A fact that takes access away: users who were removed, or who signed out."""

    api_version: Literal["talkdesk-operator.io/v1alpha1"] = "talkdesk-operator.io/v1alpha1"
    kind: Literal["TalkdeskRevocation"] = "TalkdeskRevocation"
    metadata: ObjectMeta
    spec: TalkdeskRevocationSpec
    status: TalkdeskRevocationStatus = Field(default_factory=TalkdeskRevocationStatus)


def revocation_name(spec: TalkdeskRevocationSpec) -> str:
    """The object's name: the same fact from the same cause has the same name, whoever reports it."""
    return "tdr-" + digest(
        spec.kind, spec.installation_id, spec.cause, str(spec.part), *sorted(spec.users), length=40
    )
