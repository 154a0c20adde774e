"""TalkdeskUserSlice (``tdus``): licensed users of an installation, and the only source of who may enter.

Like EndpointSlices: a user is in the bucket that a hash of the id names, so that one user more rewrites one
slice. Written by the operator alone.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from talkdesk_crds.meta import (
    MAP,
    Flag,
    Model,
    ObjectMeta,
    ObjectName,
    TalkdeskId,
    cel,
    immutable,
    validations,
)

#: Users one slice may hold; about twice the average, for hashing spreads unevenly.
USERS_PER_SLICE = 400


_BUCKETS = [2**power for power in range(17)]


def _power_of_two(buckets: int) -> int:
    if buckets not in _BUCKETS:
        raise ValueError("must be a power of two, 65536 at most")
    return buckets


class LicensedUser(Model):
    """A user who may enter."""

    email: Annotated[str, Field(max_length=320)] | None = None
    name: Annotated[str, Field(max_length=512)] | None = None
    active: Flag = True
    role: Annotated[str, Field(min_length=1, max_length=64)] = "user"
    admin: Annotated[Flag, Field(description="the installing admin")] = False
    epoch: Annotated[
        str,
        Field(
            min_length=1,
            max_length=64,
            description="new whenever the entry is made or the user signs out; a session enters only "
            "under the epoch it was made under",
        ),
    ]


class TalkdeskUserSliceSpec(Model):
    """One bucket of one generation."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel("self.bucket < self.buckets", "bucket must be less than buckets", field=".bucket")
        )
    )

    installation: Annotated[
        ObjectName,
        Field(description="name of the TalkdeskInstallation", json_schema_extra=immutable("installation")),
    ]
    buckets: Annotated[
        int,
        Field(
            strict=True,
            description="how many buckets this generation has: a power of two, 65536 at most",
            json_schema_extra=validations(
                cel("self == oldSelf", "buckets is immutable"),
                cel(f"self in {_BUCKETS}", "must be a power of two, 65536 at most"),
            ),
        ),
        AfterValidator(_power_of_two),
    ]
    bucket: Annotated[int, Field(strict=True, ge=0, le=65535, json_schema_extra=immutable("bucket"))]
    users: Annotated[
        dict[TalkdeskId, LicensedUser],
        Field(max_length=USERS_PER_SLICE, json_schema_extra={"x-kubernetes-map-type": "atomic"}),
        MAP,
    ] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _bucket_of_these(self) -> Self:
        if self.bucket >= self.buckets:
            raise ValueError("bucket must be less than buckets")
        return self


class TalkdeskUserSlice(Model):
    """One bucket of an installation's licensed users."""

    api_version: Literal["talkdesk-operator.io/v1alpha1"] = "talkdesk-operator.io/v1alpha1"
    kind: Literal["TalkdeskUserSlice"] = "TalkdeskUserSlice"
    metadata: ObjectMeta
    spec: TalkdeskUserSliceSpec


def bucket_of(user_id: str, buckets: int) -> int:
    """The bucket that ``user_id`` belongs to among ``buckets`` (a power of two)."""
    if buckets == 1:
        return 0
    return int.from_bytes(hashlib.sha256(user_id.encode()).digest()[:4], "big") % buckets
