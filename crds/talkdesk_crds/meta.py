"""What all kinds share: the base model, object metadata, conditions, and the constrained scalar types.

Times that are *compared* are fixed-width strings (``2026-01-05T10:00:00.000000Z``): as text they sort as
they do in time, and the API server, the model and every reader agree on them byte for byte.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """Base of every kind and part of a kind: camelCase on the wire, unknown fields pruned as by the server."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)

    def to_json(self) -> dict[str, Any]:
        """As the API server stores it: wire names, absent optional fields left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


_DATE = r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"

#: An id of Talkdesk's: opaque, printable, no blanks.
TalkdeskId = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[!-~]+$")]
#: Microseconds, UTC, fixed width; sorts as text. For times that are compared with each other.
StampTime = Annotated[str, Field(max_length=27, pattern=rf"^{_DATE}T{_CLOCK}\.[0-9]{{6}}Z$")]
#: Seconds, UTC; as Kubernetes writes its own times.
Time = Annotated[str, Field(max_length=20, pattern=rf"^{_DATE}T{_CLOCK}Z$")]
DnsLabel = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]
#: Name of most Kubernetes objects (RFC 1123 subdomain).
ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")]
#: A host name without port, lower case.
HostName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=253,
        pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$",
    ),
]
HttpUrl = Annotated[str, Field(max_length=2048, pattern=r"^https?://[!-~]+$")]
Quantity = Annotated[
    str, Field(min_length=1, max_length=32, pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")
]


def stamp_time(moment: datetime) -> str:
    """``moment`` (aware) as a :data:`StampTime`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def time(moment: datetime) -> str:
    """``moment`` (aware) as a :data:`Time`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime:
    """The aware datetime of a :data:`Time` or :data:`StampTime`. ValueError for a day that does not exist."""
    return datetime.fromisoformat(text)


class ObjectMeta(Model):
    """The part of Kubernetes' ObjectMeta that the product reads."""

    name: str
    namespace: str | None = None
    uid: str | None = None
    resource_version: str | None = None
    generation: int | None = None
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class Condition(Model):
    """A Kubernetes condition; a list of them is a list-map by ``type``."""

    type: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Z][A-Za-z]*$")]
    status: Literal["True", "False", "Unknown"]
    reason: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Z][A-Za-z0-9]*$")]
    message: Annotated[str, Field(max_length=4096)] = ""
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    last_transition_time: Time


Conditions = Annotated[
    list[Condition],
    Field(
        max_length=32,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    ),
]


def cel(rule: str, message: str) -> dict[str, str]:
    """One entry of ``x-kubernetes-validations``; pass a list of them by ``json_schema_extra``."""
    return {"rule": rule, "message": message}


VALIDATIONS = "x-kubernetes-validations"
