"""The things of Talkdesk's world as immutable values. A change makes a new value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from talkdesk_sandbox.talkdesk.switches import KeyAlgorithm

Verdict = Literal["approve", "reject"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One subscription type of an app; ``price`` is per seat and month."""

    name: str
    type: Literal["trial", "paid"]
    license_type: Literal["individual", "universal"] = "individual"
    price: int = 0
    min_licenses: int = 1
    max_licenses: int | None = None


@dataclass(frozen=True, kw_only=True)
class Version:
    """One published version of an app."""

    id: str
    name: str


@dataclass(frozen=True, kw_only=True)
class BrowserUrls:
    """Where a version of an app sends browsers, and lets them be sent to."""

    launch_url: str
    redirect_uris: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class App:
    """A partner's app, as its developer described it. ``former``: the URLs of its earlier versions, by id.

    ``summary`` and ``terms_url`` are what the listing shows: a sentence, and the partner's terms of service.
    """

    id: str
    name: str
    events_url: str
    launch_url: str
    redirect_uris: tuple[str, ...]
    scopes: tuple[str, ...]
    plans: tuple[Plan, ...]
    version: Version
    created_at: datetime
    former: Mapping[str, BrowserUrls] = field(default_factory=dict)
    summary: str = ""
    terms_url: str | None = None

    def urls(self, version_id: str) -> BrowserUrls:
        """The URLs of a version of it; they stay while somebody has it installed."""
        current = BrowserUrls(launch_url=self.launch_url, redirect_uris=self.redirect_uris)
        return current if version_id == self.version.id else self.former[version_id]

    def plan(self, name: str) -> Plan | None:
        """The plan of that name."""
        return next((plan for plan in self.plans if plan.name == name), None)


@dataclass(frozen=True, kw_only=True)
class Account:
    """A customer. Its name is the subdomain of its identity host; former names lead there, too."""

    id: str
    name: str
    region: str
    reseller: bool
    created_at: datetime
    former_names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class User:
    """A user of one account; the same e-mail address may exist in others."""

    id: str
    account_id: str
    email: str
    name: str
    active: bool
    created_at: datetime
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Credential:
    """What Talkdesk keeps of one set of credentials: the public half, and a digest of the client secret.

    ``status``: ``active``; ``old`` (still good until ``ends_at``, after a rotation); ``revoked``.
    """

    client_id: str
    secret_digest: bytes = field(repr=False)
    public_key: str
    key_id: str
    key_algorithm: KeyAlgorithm
    status: Literal["active", "old", "revoked"] = "active"
    ends_at: datetime | None = None
    acknowledged: bool = True


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """What an installation has bought."""

    id: str
    plan: Plan
    total_licenses: int
    created_by: str


@dataclass(frozen=True, kw_only=True)
class Trial:
    """The trial of an installation; it does not renew."""

    started_at: datetime
    expires_at: datetime
    subscription_name: str
    ended_at: datetime | None = None
    ended_reason: Literal["trial_expired", "app_uninstalled", "plan_upgraded"] | None = None
    ended_by: Literal["system", "user"] | None = None


@dataclass(frozen=True, kw_only=True)
class Pending:
    """The request that waits for the partner's answer. For an update: what holds once it is approved."""

    kind: Literal["install", "update", "uninstall"]
    event_id: str
    deadline: datetime
    previous_state: str = ""
    users: tuple[str, ...] = ()
    subscription: Subscription | None = None


@dataclass(frozen=True, kw_only=True)
class Settled:
    """The answer that was given last, and to which event."""

    verdict: Verdict
    event_id: str


@dataclass(frozen=True, kw_only=True)
class Installation:
    """One installation of an app in an account."""

    id: str
    app_id: str
    version: Version
    account_id: str
    created_by: str
    created_at: datetime
    scopes: tuple[str, ...]
    state: str
    updated_at: datetime
    users: tuple[str, ...]
    subscription: Subscription
    credentials: tuple[Credential, ...]
    reason: str | None = None
    pending: Pending | None = None
    settled: Settled | None = None
    trial: Trial | None = None
    gone: bool = False

    @property
    def live(self) -> bool:
        """Whether it stands in the way of another installation of the same app."""
        return self.state in {"installing", "updating", "completed", "suspended"}

    @property
    def licensed(self) -> tuple[str, ...]:
        """Users licensed now or by the update that waits for its answer."""
        waiting = self.pending.users if self.pending else ()
        return tuple(dict.fromkeys((*self.users, *waiting)))

    def credential(self, client_id: str) -> Credential | None:
        """The set of that client id, whatever its status."""
        return next((one for one in self.credentials if one.client_id == client_id), None)
