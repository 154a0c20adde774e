"""What Talkdesk answers, read leniently.

Unknown fields are ignored and every enumeration is an open string. What is optional and unreadable counts as
absent; what is needed and missing is an error of validation, which the client turns into UnexpectedAnswer.
Sources: Talkdesk's reference pages of the Apps, Accounts and Events APIs, whose schema and examples differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


def _text_or_none(value: object) -> str | None:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def integer_or_none(value: object) -> int | None:
    """``10``, ``10.0`` and ``"10"`` (Talkdesk writes numbers of licences both ways); None for all else."""
    if isinstance(value, bool):
        return None
    try:
        return int(value)  # type: ignore[call-overload, no-any-return] # any JSON; int itself decides
    except (TypeError, ValueError, OverflowError):
        return None


def _number_or_none(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)  # type: ignore[arg-type] # any JSON; float itself decides
    except (TypeError, ValueError, OverflowError):
        return None


def _moment(value: object) -> datetime | None:
    """``2016-06-14T16:23:07Z`` and ``2017-08-18T10:29:52.000+00:00`` are both Talkdesk's; naive is UTC."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError("a time must be an ISO 8601 string")  # noqa: TRY004 # what pydantic collects
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _moment_or_none(value: object) -> datetime | None:
    try:
        return _moment(value)
    except ValueError:
        return None


def _strings(value: object) -> tuple[str, ...]:
    """Strings of a JSON array, or of one string with blanks between; anything else is none."""
    if isinstance(value, str):
        return tuple(value.split())
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list | tuple) else ()


def _present(value: object) -> object:
    return True if value is None else value


Text = Annotated[str | None, BeforeValidator(_text_or_none)]
Integer = Annotated[int | None, BeforeValidator(integer_or_none)]
Number = Annotated[float | None, BeforeValidator(_number_or_none)]
#: A time that something hangs on; unreadable is an error.
Moment = Annotated[datetime | None, BeforeValidator(_moment)]
#: A time that is only shown; unreadable is absent.
Since = Annotated[datetime | None, BeforeValidator(_moment_or_none)]
Strings = Annotated[tuple[str, ...], BeforeValidator(_strings)]
Identifier = Annotated[str, Field(min_length=1)]


def embedded(body: Mapping[str, Any], name: str) -> Any:
    """``_embedded.<name>``, where ``_embedded`` is an object, or an array of objects (some schemas say so).

    None when it is absent.
    """
    holder = body.get("_embedded")
    if isinstance(holder, Mapping):
        return holder.get(name)
    if isinstance(holder, Sequence) and not isinstance(holder, str):
        for item in holder:
            if isinstance(item, Mapping) and name in item:
                return item[name]
    return None


def href(body: Mapping[str, Any], name: str) -> str | None:
    """``_links.<name>.href``, or ``_links.<name>`` where that is a string; None when absent or empty."""
    links = body.get("_links")
    link = links.get(name) if isinstance(links, Mapping) else None
    target = link.get("href") if isinstance(link, Mapping) else link
    return target if isinstance(target, str) and target else None


class Answered(BaseModel):
    """Base of everything Talkdesk answers. Validation errors do not show the input."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        populate_by_name=True,
        coerce_numbers_to_str=True,
        hide_input_in_errors=True,
        defer_build=True,  # until it is first used: a process asks for some of them
    )


class Account(Answered):
    """``GET /account``. It has no region, plan or reseller flag; ``name`` is the subdomain."""

    id: Identifier
    name: Text = None
    company_name: Text = None
    email: Text = None
    timezone: Text = None
    created_at: Since = None


class User(Answered):
    """A licensed user of an installation, or its ``created_by``. The identity is ``id``; e-mails change."""

    id: Identifier
    email: Text = None
    name: Text = None
    active: Annotated[bool, BeforeValidator(_present)] = True
    created_at: Since = None


class State(Answered):
    """The state of an installation, or of credentials: an open string.

    ``updated_at`` stays the string Talkdesk sent: together with ``state`` it names one transition and is only
    ever compared for equality.
    """

    state: Identifier
    reason: Text = None
    updated_at: Text = None

    @model_validator(mode="before")
    @classmethod
    def _state_may_be_an_object(cls, value: Any) -> Any:
        """``"completed"``, ``{state: "completed"}`` and ``{state: {state: "completed"}}`` are the same."""
        if isinstance(value, str):
            return {"state": value}
        if isinstance(value, Mapping) and isinstance(value.get("state"), Mapping):
            inner = value["state"]
            named = next(
                (inner[key] for key in ("state", "name", "value") if isinstance(inner.get(key), str)), None
            )
            return {**inner, **{k: v for k, v in value.items() if v is not None}, "state": named}
        return value


class Installation(Answered):
    """``GET /apps/{app_id}/installations/{id}``; ``created_by`` is the admin who installed it."""

    id: Identifier
    app_id: Text = None
    account_id: Text = None
    scopes: Strings = ()
    created_at: Since = None
    created_by: User | None = None
    state: State | None = None

    @model_validator(mode="before")
    @classmethod
    def _lift_embedded(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        lifted = {name: embedded(value, name) or value.get(name) for name in ("created_by", "state")}
        if not isinstance(lifted["created_by"], Mapping) or "id" not in lifted["created_by"]:
            lifted["created_by"] = None
        return {**value, **lifted}


class Subscription(Answered):
    """``GET …/subscription``: the plan; ``price`` monthly per seat, ``total_licenses`` those bought here."""

    id: Text = None
    name: Text = None
    type: Text = None
    license_type: Text = None
    price: Number = None
    description: Text = None
    listing_summary: Text = None
    min_licenses: Integer = None
    max_licenses: Integer = None
    total_licenses: Integer = None


class Trial(Answered):
    """``GET …/trial``; values of ``state`` are not documented."""

    state: Text = None
    started_at: Since = None
    expires_at: Moment = None
    ended_at: Moment = None
    ended_reason: Text = None
    subscription_name: Text = None


class SignatureKey(Answered):
    """``GET /events/signature-keys/{key_id}``; the form of ``public_key`` is not documented."""

    key_id: Identifier
    public_key: Identifier
    created_at: Since = None
    expires_at: Moment = None
