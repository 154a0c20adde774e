"""What the control API accepts. An unknown field is refused: it is a typing error."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AwareDatetime,
    Base64Bytes,
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    field_validator,
    model_validator,
)

from talkdesk_sandbox.talkdesk.deliveries import Event
from talkdesk_sandbox.talkdesk.delivery_faults import DeliveryFault, DeliveryFaultKind
from talkdesk_sandbox.talkdesk.faults import Fault
from talkdesk_sandbox.talkdesk.hosts import Region
from talkdesk_sandbox.talkdesk.keys import new_id
from talkdesk_sandbox.talkdesk.model import Plan

AccountName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
#: SCIM writes a user's roles in one text, with semicolons between.
RoleName = Annotated[str, Field(pattern=r"^[^;\s]([^;]*[^;\s])?$")]
HttpUrl = Annotated[str, Field(pattern=r"^https?://[!-~]+$")]

#: What an app needs for everything this project does.
DEFAULT_SCOPES = ["openid", "refresh_token", "account:read", "users:read", "apps:read", "apps:write"]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewPlan(_Body):
    """One subscription type."""

    name: Annotated[str, Field(min_length=1)]
    type: Literal["trial", "paid"] = "paid"
    license_type: Literal["individual", "universal"] = "individual"
    price: int = 0
    min_licenses: Annotated[int, Field(ge=0)] = 1
    max_licenses: int | None = None

    def to_plan(self) -> Plan:
        """As a value of the world."""
        return Plan(**self.model_dump())


class NewApp(_Body):
    """A partner's app. Without plans it has one trial and one paid plan."""

    name: Annotated[str, Field(min_length=1)]
    events_url: HttpUrl
    launch_url: HttpUrl = "https://app.example/launch"
    redirect_uris: list[HttpUrl] = []
    scopes: list[str] = DEFAULT_SCOPES
    plans: Annotated[list[NewPlan], Field(min_length=1)] = [
        NewPlan(name="Trial", type="trial"),
        NewPlan(name="Standard", type="paid", price=20),
    ]
    version: str = "1.0.0"
    summary: Annotated[str, Field(max_length=400)] = ""
    terms_url: HttpUrl | None = None


class AppChanges(_Body):
    """Changes of an app; what is left out stays."""

    name: Annotated[str, Field(min_length=1)] | None = None
    events_url: HttpUrl | None = None
    launch_url: HttpUrl | None = None
    redirect_uris: list[HttpUrl] | None = None
    scopes: list[str] | None = None
    plans: Annotated[list[NewPlan], Field(min_length=1)] | None = None
    version: str | None = None
    summary: Annotated[str, Field(max_length=400)] | None = None
    terms_url: HttpUrl | None = None


class NewAccount(_Body):
    """A customer's account; ``name`` becomes its subdomain."""

    name: AccountName
    region: Region
    reseller: bool = False


class AccountChanges(_Body):
    """A new name for an account."""

    name: AccountName


class NewUser(_Body):
    """A user of an account."""

    email: Annotated[str, Field(min_length=3)]
    name: Annotated[str, Field(min_length=1)]
    active: bool = True
    roles: list[RoleName] = []


class NewUsers(_Body):
    """Many users of one account."""

    users: Annotated[list[NewUser], Field(min_length=1, max_length=100_000)]


class UserChanges(_Body):
    """Changes of a user; what is left out stays."""

    email: str | None = None
    name: str | None = None
    active: bool | None = None
    roles: list[RoleName] | None = None


class Install(_Body):
    """An install; ``plan`` is the app's first one and ``created_by`` the first user unless given."""

    app_id: str
    account_id: str
    plan: str | None = None
    users: Annotated[list[str], Field(min_length=1)]
    created_by: str | None = None


class Update(_Body):
    """An update of users, plan, or both."""

    adding: list[str] = []
    removing: list[str] = []
    plan: str | None = None


class Uninstall(_Body):
    """An uninstall; a text as reason becomes ``{type: other, message}``."""

    reason: str | dict[str, Any] = "not needed any more"


class TrialUntil(_Body):
    """Start or extend a trial; 30 days unless said otherwise."""

    expires_at: AwareDatetime | None = None


class TrialEnd(_Body):
    """End a trial."""

    reason: Literal["trial_expired", "app_uninstalled", "plan_upgraded"] = "trial_expired"


class Rotate(_Body):
    """Rotate credentials; compromised ones die at once."""

    compromise: bool = False


class Logout(_Body):
    """Who logs out."""

    user_id: str


class ClockMove(_Body):
    """How far to move the clock."""

    advance_seconds: Annotated[float, Field(ge=0, le=20 * 365 * 86400)]


class NewSigningKey(_Body):
    """A signing key; ``expires_at`` only for one beside the current key."""

    current: bool = True
    expires_at: AwareDatetime | None = None


class NewFault(_Body):
    """A fault, as :class:`Fault` tells it."""

    path: str = ".*"
    query: str = ""
    method: Literal["GET", "POST"] | None = None
    region: Region | None = None
    times: Annotated[int, Field(ge=1)] | None = 1
    when: Literal["before", "after"] = "before"
    status: Annotated[int, Field(ge=200, le=599)] | None = None
    cut: bool = False
    headers: dict[str, str] = {}
    body: Any = None
    delay_seconds: Annotated[float, Field(ge=0, le=120)] = 0.0

    @field_validator("path", "query")
    @classmethod
    def _is_pattern(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as wrong:
            raise ValueError(f"no regular expression: {wrong}") from None
        return pattern

    def to_fault(self) -> Fault:
        """As a value."""
        return Fault(**self.model_dump())


class NewDeliveryFault(_Body):
    """A fault of deliveries, as :class:`DeliveryFault` tells it."""

    kind: DeliveryFaultKind
    times: Annotated[int, Field(ge=1)] = 1
    delay_seconds: Annotated[float, Field(ge=0, le=120)] = 0.0

    def to_fault(self) -> DeliveryFault:
        """As a value."""
        return DeliveryFault(**self.model_dump())


class AnyObject(RootModel[dict[str, Any]]):
    """Any JSON object."""


class AnyEvent(_Body):
    """A body to sign and deliver: ``event`` (JSON) or ``raw`` (Base64 bytes).

    ``headers`` replace the stand-in's (null leaves one out); ``signed`` (Base64) is signed instead of the
    body; ``key_id`` names another signing key than the current one.
    """

    app_id: str
    event: dict[str, Any] | None = None
    raw: Base64Bytes | None = None
    headers: dict[str, str | None] = {}
    signed: Base64Bytes | None = None
    key_id: str | None = None

    @model_validator(mode="after")
    def _one_body(self) -> Self:
        if (self.event is None) == (self.raw is None):
            raise ValueError("give either event or raw")
        return self

    def to_event(self) -> Event:
        """As a delivery; its id is the event's own where it has one."""
        body = self.raw if self.raw is not None else json.dumps(self.event, ensure_ascii=False).encode()
        event = self.event or {}
        data = event.get("data")
        about = data if isinstance(data, dict) else {}
        return Event(
            id=_text(event.get("id")) or _text(event.get("event_id")) or new_id(),
            app_id=self.app_id,
            body=body,
            type=_text(event.get("type")),
            installation_id=_text(about.get("installation_id")),
            account_id=_text(about.get("account_id")),
            headers=self.headers,
            signed=self.signed,
            key_id=self.key_id,
        )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
