"""TalkdeskUserSlice (``tdus``): licensed users of an installation, and the only source of who may enter.

Like EndpointSlices: a user is in the bucket that a hash of the id names, so that one user more rewrites one
slice. Written by the operator alone.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from talkdesk_crds.meta import VALIDATIONS, Model, ObjectMeta, ObjectName, TalkdeskId, cel


class LicensedUser(Model):
    """A user who may enter."""

    email: Annotated[str, Field(max_length=320)] | None = None
    name: Annotated[str, Field(max_length=512)] | None = None
    active: bool = True
    role: Annotated[str, Field(min_length=1, max_length=64)] = "user"
    admin: Annotated[bool, Field(description="the installing admin")] = False
    epoch: Annotated[
        str,
        Field(
            min_length=1,
            max_length=64,
            description="new whenever the entry is made or the user signs out; a session enters only under the "
            "epoch it was made under",
        ),
    ]


class TalkdeskUserSliceSpec(Model):
    """One bucket of one generation."""

    installation: Annotated[
        ObjectName,
        Field(
            description="name of the TalkdeskInstallation",
            json_schema_extra={VALIDATIONS: [cel("self == oldSelf", "installation is immutable")]},
        ),
    ]
    buckets: Annotated[
        int,
        Field(
            ge=1,
            le=65536,
            description="how many buckets this generation has: a power of two",
            json_schema_extra={VALIDATIONS: [cel("self == oldSelf", "buckets is immutable")]},
        ),
    ]
    bucket: Annotated[
        int,
        Field(
            ge=0, le=65535, json_schema_extra={VALIDATIONS: [cel("self == oldSelf", "bucket is immutable")]}
        ),
    ]
    users: Annotated[
        dict[TalkdeskId, LicensedUser],
        Field(max_length=400, json_schema_extra={"x-kubernetes-map-type": "atomic"}),
    ] = Field(default_factory=dict)

    model_config = {
        "json_schema_extra": {
            VALIDATIONS: [cel("self.bucket < self.buckets", "bucket must be less than buckets")]
        }
    }


class TalkdeskUserSlice(Model):
    """One bucket of licensed users; see :class:`TalkdeskUserSliceSpec`."""

    api_version: Literal["talkdesk-operator.io/v1alpha1"] = "talkdesk-operator.io/v1alpha1"
    kind: Literal["TalkdeskUserSlice"] = "TalkdeskUserSlice"
    metadata: ObjectMeta
    spec: TalkdeskUserSliceSpec
