"""From verified bytes to an Event, leniently: what Talkdesk signed is genuine and is kept in any form.

Unknown fields are ignored, wrong types are read for what they can mean, and what had to be clipped, dropped
or guessed is named in ``oddities``. Everything in an Event fits the kinds' schemas, so that the API server
has no reason to refuse what is made of it. Source of the shapes: docs.talkdesk.com, Events API.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import SecretStr

from talkdesk_crds.meta import MAX_INTEGER, stamp_time
from talkdesk_crds.names import digest
from talkdesk_webhook import life
from talkdesk_webhook.lenient_json import NotJsonError, loads

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_TEXT: Final = 1024
MAX_NAME: Final = 128
MAX_LINK_NAME: Final = 64
MAX_HREF: Final = 2048
MAX_LINKS: Final = 32
MAX_PLAN: Final = 256

CLIPPED: Final = "clipped"
NO_EVENT_ID: Final = "no-event-id"
NO_TIME: Final = "no-created-at"
NO_ZONE: Final = "time-without-zone"
NO_TYPE: Final = "no-type"
BAD_LINK: Final = "unusable-link"
BAD_USER: Final = "unusable-user-id"
PARTIAL_CREDENTIALS: Final = "partial-credentials"
NOT_TEXT: Final = "unencodable-text"
BAD_PLAN: Final = "unusable-plan"

#: Links the product knows; where there are more than MAX_LINKS, these stay.
_LINKS_FIRST: Final = (
    "root", "installation", "authorization", "tokens", "token", "token_url", "userinfo", "self", "user"
)  # fmt: skip
_ID: Final = re.compile(r"[!-~]{1,128}")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class CredentialSet:
    """Credentials as the event carried them; absent parts are None."""

    client_id: str | None
    client_secret: SecretStr | None
    private_key: SecretStr | None
    public_key: str | None
    key_id: str | None
    key_algorithm: str | None

    @property
    def usable(self) -> bool:
        """True if a token could be had with them: a client id and a secret or a private key."""
        return self.client_id is not None and (self.client_secret is not None or self.private_key is not None)


@dataclass(frozen=True, kw_only=True)
class TrialNews:
    """What a trial event says; times are fixed-width as in ``meta.StampTime``."""

    state: Literal["started", "extended", "ended"]
    expires_at: str | None
    ended_at: str | None
    ended_reason: str | None
    ended_by: str | None


@dataclass(frozen=True, kw_only=True)
class SubscriptionNews:
    """The plan that an update subscribes to; ``licenses`` is how many are bought with it."""

    name: str
    licenses: int | None


@dataclass(frozen=True, kw_only=True)
class Event:
    """One event, every value within the kinds' limits. ``at`` is a ``meta.StampTime`` or None."""

    id: str
    type: str
    at: str | None
    app_id: str
    account_id: str
    installation_id: str
    account_name: str | None = None
    version_id: str | None = None
    version_name: str | None = None
    links: Mapping[str, str] = field(default_factory=dict)
    credentials: CredentialSet | None = None
    trial: TrialNews | None = None
    subscription: SubscriptionNews | None = None
    uninstall_reason: str | None = None
    removed: tuple[str, ...] = ()
    signed_out: tuple[str, ...] = ()
    oddities: frozenset[str] = frozenset()

    @property
    def rank(self) -> int:
        """Place of the type in the order of a life."""
        return life.rank(self.type)


@dataclass(frozen=True, kw_only=True)
class NotAnEvent:
    """Genuine, and of no use: nothing says which installation it is about. ``reason`` is a constant."""

    reason: str
    id: str | None = None
    type: str | None = None


def parse(raw: bytes) -> Event | NotAnEvent:
    """Read a verified body; never raises. An event without an id gets one that hangs on its bytes."""
    try:
        parsed = loads(raw)
    except NotJsonError:
        return NotAnEvent(reason="not-json")
    if not isinstance(parsed.value, dict):
        return NotAnEvent(reason="not-an-object")
    return _Reader(raw, parsed.value, parsed.oddities).event()


def link_order(name: str) -> tuple[int, str]:
    """Which links stay where there are too many: a fixed order of names, so that arrival has no say."""
    known = _LINKS_FIRST.index(name) if name in _LINKS_FIRST else len(_LINKS_FIRST)
    return (known, name)


class _Reader:
    """One reading of one body; collects what was odd."""

    def __init__(self, raw: bytes, body: dict[str, Any], oddities: Iterable[str]) -> None:
        self.raw = raw
        self.body = body
        self.data = _object(body.get("data"))
        self.odd = set(oddities)

    def event(self) -> Event | NotAnEvent:
        event_id = self.event_id()
        event_type = self.text(self.body.get("type"), MAX_NAME)
        ids = {}
        for name in ("app_id", "account_id", "installation_id"):
            found = self.identifier(self.body.get(name)) or self.identifier(self.data.get(name))
            if found is None:
                return NotAnEvent(reason=f"no-{name.replace('_', '-')}", id=event_id, type=event_type)
            ids[name] = found
        if event_type is None:
            self.odd.add(NO_TYPE)
            event_type = "unknown"
        at = self.time(self.body.get("created_at"))
        if at is None:
            self.odd.add(NO_TIME)
        is_logout = event_type == life.USER_LOGOUT
        return Event(
            id=event_id,
            type=event_type,
            at=at,
            app_id=ids["app_id"],
            account_id=ids["account_id"],
            installation_id=ids["installation_id"],
            account_name=self.text(self.data.get("account_name"), MAX_TEXT),
            version_id=self.text(self.body.get("app_version_id"), MAX_NAME),
            version_name=self.text(self.body.get("app_version_name"), MAX_TEXT),
            links=self.links(),
            credentials=self.credentials(),
            trial=self.trial(event_type),
            subscription=self.subscription() if event_type == life.UPDATED else None,
            uninstall_reason=self.reason() if event_type == life.UNINSTALLED else None,
            removed=() if is_logout else self.users(_object(self.data.get("users")).get("removing")),
            signed_out=self.users(self.data.get("user_id")) if is_logout else (),
            oddities=frozenset(self.odd),
        )

    def event_id(self) -> str:
        for name in ("id", "event_id"):
            given = self.body.get(name)
            if (found := self.identifier(given)) is not None:
                return found
            if isinstance(given, str) and given:
                self.odd.add(CLIPPED)
                return f"x-{digest(_encodable(given), length=32)}"
        self.odd.add(NO_EVENT_ID)
        return f"x-{digest(self.raw.hex(), length=32)}"

    def identifier(self, value: Any) -> str | None:
        """An id of Talkdesk's (a number is read as its digits), or None."""
        text = str(value) if _is_number(value) else value
        return text if isinstance(text, str) and _ID.fullmatch(text) else None

    def text(self, value: Any, limit: int) -> str | None:
        """Non-empty text of at most ``limit`` characters that can be encoded, or None."""
        text = str(value) if _is_number(value) else value
        if not isinstance(text, str) or not text:
            return None
        if _SURROGATE.search(text):
            self.odd.add(NOT_TEXT)
            text = _encodable(text)
        if len(text) > limit:
            self.odd.add(CLIPPED)
            text = text[:limit]
        return text

    def time(self, value: Any) -> str | None:
        """An ISO 8601 time as ``meta.StampTime``; without a zone it is taken for UTC. None if unreadable."""
        if not isinstance(value, str):
            return None
        try:
            moment = datetime.fromisoformat(value.strip())
            if moment.tzinfo is None:
                self.odd.add(NO_ZONE)
                moment = moment.replace(tzinfo=UTC)
            return stamp_time(moment)
        except (ValueError, OverflowError):
            return None

    def links(self) -> dict[str, str]:
        found = {}
        for name, value in _object(self.body.get("_links")).items():
            first = value[0] if isinstance(value, list) and value else value
            href = first.get("href") if isinstance(first, dict) else first
            if not isinstance(href, str) or not href or not name:
                self.odd.add(BAD_LINK)
            elif len(name) > MAX_LINK_NAME or len(href) > MAX_HREF or _SURROGATE.search(name + href):
                # A clipped link would name something else; without it the event is as good as before.
                self.odd.add(BAD_LINK)
            else:
                found[name] = href
        kept = sorted(found, key=link_order)[:MAX_LINKS]
        if len(kept) < len(found):
            self.odd.add(CLIPPED)
        return {name: found[name] for name in kept}

    def credentials(self) -> CredentialSet | None:
        secret, private = self.secret("client_secret"), self.secret("private_key")
        if secret is None and private is None:
            return None
        found = CredentialSet(
            client_id=self.whole("client_id"),
            client_secret=secret,
            private_key=private,
            public_key=self.whole("public_key"),
            key_id=self.whole("key_id"),
            key_algorithm=self.whole("key_algorithm"),
        )
        if not found.usable:
            self.odd.add(PARTIAL_CREDENTIALS)
        return found

    def whole(self, name: str) -> str | None:
        """A value of ``data`` that goes into the Secret, which has room for all of it."""
        return self.text(self.data.get(name), len(self.raw))

    def secret(self, name: str) -> SecretStr | None:
        value = self.whole(name)
        return None if value is None else SecretStr(value)

    def trial(self, event_type: str) -> TrialNews | None:
        states: dict[str, Literal["started", "extended", "ended"]] = {
            life.TRIAL_STARTED: "started",
            life.TRIAL_EXTENDED: "extended",
            life.TRIAL_ENDED: "ended",
        }
        if event_type not in states:
            return None
        return TrialNews(
            state=states[event_type],
            expires_at=self.time(self.data.get("expires_at")),
            ended_at=self.time(self.data.get("ended_at")),
            ended_reason=self.text(self.data.get("ended_reason"), MAX_TEXT),
            ended_by=self.text(self.data.get("ended_by"), MAX_TEXT),
        )

    def subscription(self) -> SubscriptionNews | None:
        """``subscription.adding`` of an update; licences come as a number or as its digits."""
        adding = _object(_object(self.data.get("subscription")).get("adding"))
        name = adding.get("name")
        if name is None:
            return None
        # A clipped name would be another plan's: without it the subscription is read from Talkdesk.
        if not isinstance(name, str) or not 0 < len(name) <= MAX_PLAN or _SURROGATE.search(name):
            self.odd.add(BAD_PLAN)
            return None
        return SubscriptionNews(name=name, licenses=self.count(adding.get("licenses")))

    def count(self, value: Any) -> int | None:
        """A whole number from 0 on, also as decimal digits, or None."""
        if value is None:
            return None
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,16}", value.strip(), re.ASCII):
            value = int(value)
        if _is_number(value) and 0 <= value <= MAX_INTEGER:
            return int(value)
        self.odd.add(BAD_PLAN)
        return None

    def reason(self) -> str | None:
        given = self.data.get("reason")
        if not isinstance(given, dict):
            return self.text(given, MAX_TEXT)
        parts = [self.text(given.get(name), MAX_TEXT) for name in ("type", "message")]
        return self.text(": ".join(part for part in parts if part), MAX_TEXT)

    def users(self, value: Any) -> tuple[str, ...]:
        """User ids, sorted, each once; entries may be ids or objects with an ``id``."""
        if value is None:
            return ()
        found = set()
        for entry in value if isinstance(value, list) else [value]:
            user = self.identifier(entry.get("id") if isinstance(entry, dict) else entry)
            if user is None:
                self.odd.add(BAD_USER)
            else:
                found.add(user)
        return tuple(sorted(found))


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _encodable(text: str) -> str:
    """``text`` with lone surrogates, which no UTF-8 can hold, replaced."""
    return _SURROGATE.sub("\ufffd", text)
