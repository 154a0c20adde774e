"""What all kinds share: the base model, object metadata, conditions, and the constrained scalar types.

Times that are *compared* are fixed-width strings (``2026-01-05T10:00:00.000000Z``): as text they sort as
they do in time, and the API server, the model and every reader agree on them byte for byte.

A model accepts exactly what the API server accepts under the schema generated from it. That is why numbers
and booleans are not coerced from strings here, why null counts as absent, and why every rule in CEL has its
twin in Python.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict, model_validator
from pydantic.alias_generators import to_camel

if TYPE_CHECKING:
    from pydantic.config import ExtraValues, JsonDict

#: The key of CEL rules in a schema.
VALIDATIONS = "x-kubernetes-validations"


def cel(rule: str, message: str, *, field: str | None = None) -> JsonDict:
    """One CEL rule, to be passed through :func:`validations`.

    :param field: the field to blame, as a path below the node that carries the rule, e.g. ``.gate``; by
        default the node itself.
    """
    entry: JsonDict = {"rule": rule, "message": message}
    if field is not None:
        entry["fieldPath"] = field
    return entry


def validations(*rules: JsonDict) -> JsonDict:
    """``json_schema_extra`` that holds the API server to CEL rules."""
    return {VALIDATIONS: [*rules]}


def immutable(field: str) -> JsonDict:
    """``json_schema_extra`` of a field that keeps its first value."""
    return validations(cel("self == oldSelf", f"{field} is immutable"))


#: ``json_schema_extra`` of a list that is replaced whole: one field manager owns all of it.
ATOMIC_LIST: JsonDict = {"x-kubernetes-list-type": "atomic"}


class Model(BaseModel):
    """Base of every kind and its parts: camelCase on the wire, unknown fields pruned as the server does."""

    # Validators are built when first used: a process uses a few of the models, and most are parts of others.
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True, defer_build=True
    )

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        # The server drops null from a field that is not nullable and then fills in the default.
        if not isinstance(data, dict) or None not in data.values():
            return data
        known = {name for field, info in cls.model_fields.items() for name in (field, info.alias)}
        return {key: value for key, value in data.items() if value is not None or key not in known}

    @classmethod
    def model_validate(
        cls,
        obj: Any,
        *,
        strict: bool | None = None,
        extra: ExtraValues | None = None,
        from_attributes: bool | None = None,
        context: Any | None = None,
        by_alias: bool | None = None,
        by_name: bool | None = None,
    ) -> Self:
        """The JSON of the API server as a model; raises pydantic's ValidationError.

        Wire names only, unless ``by_name`` says otherwise: to the server ``app_id`` is an unknown field.
        """
        return super().model_validate(
            obj,
            strict=strict,
            extra=extra,
            from_attributes=from_attributes,
            context=context,
            by_alias=by_alias,
            by_name=False if by_name is None else by_name,
        )

    def to_json(self) -> dict[str, Any]:
        """As the API server stores it: wire names, absent optional fields left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def _whole(value: Any) -> Any:
    # JSON has one kind of number: the server takes 3.0 for the integer 3, but neither "3" nor true.
    if isinstance(value, bool | str):
        raise ValueError("must be an integer")  # noqa: TRY004 -- pydantic collects ValueError, not TypeError
    return value


def _entries(value: Any) -> Any:
    # As with fields, the server drops an entry that is null where null is not allowed.
    return (
        {key: entry for key, entry in value.items() if entry is not None}
        if isinstance(value, dict)
        else value
    )


#: Put last into the ``Annotated`` of every map.
MAP = BeforeValidator(_entries)
#: Put last into the ``Annotated`` of every integer, unless CEL computes with it: CEL takes no 3.0 for the
#: integer 3, and such a field is ``strict`` instead.
WHOLE = BeforeValidator(_whole)
#: The greatest integer that every reader of JSON holds exactly.
MAX_INTEGER = 2**53 - 1
Flag = Annotated[bool, Strict()]

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


def _utc(moment: datetime) -> datetime:
    # isoformat pads a year below 1000, strftime does not; the width is what makes times sort as text.
    return moment.astimezone(UTC).replace(tzinfo=None)


def stamp_time(moment: datetime) -> str:
    """``moment`` (aware) as a :data:`StampTime`."""
    return _utc(moment).isoformat(timespec="microseconds") + "Z"


def time(moment: datetime) -> str:
    """``moment`` (aware) as a :data:`Time`."""
    return _utc(moment).isoformat(timespec="seconds") + "Z"


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
    observed_generation: Annotated[int, Field(ge=0, le=MAX_INTEGER), WHOLE] | None = None
    last_transition_time: Time


def _one_of_a_type(conditions: list[Condition]) -> list[Condition]:
    if len({condition.type for condition in conditions}) < len(conditions):
        raise ValueError("two conditions have the same type")
    return conditions


Conditions = Annotated[
    list[Condition],
    Field(
        max_length=32,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    ),
    AfterValidator(_one_of_a_type),
]

#: ``status.observedGeneration``: the generation that the rest of the status speaks of. The server fills in
#: -1, so that kstatus (and with it Helm, Flux and Argo CD) waits for the operator's first look at an object.
ObservedGeneration = Annotated[int, Field(ge=-1, le=MAX_INTEGER), WHOLE]
