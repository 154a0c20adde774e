"""The fold: what an installation is, from whatever events arrived, in whatever order, however often.

Each aspect is a last-writer-wins register: of two events that say something about it the one with the greater
(time, rank of its type, event id) counts. So the same events give the same spec in any order, and a late
``app.installed`` does not undo an ``app.uninstalled``.
"""

from __future__ import annotations

import json
from typing import Any, Final, TypeVar

from talkdesk_crds.installation import (
    AccountName,
    AppVersion,
    CredentialsRef,
    FromTalkdesk,
    Installed,
    Link,
    RecentEvent,
    Stamp,
    Subscription,
    TalkdeskInstallationSpec,
    Trial,
    Uninstalled,
    Updated,
)
from talkdesk_webhook import life
from talkdesk_webhook.event import MAX_LINKS, Event, link_order
from talkdesk_webhook.secret import secret_name

#: How many events an installation remembers.
RECENT: Final = 20

S = TypeVar("S", bound=Stamp)


class ForeignEventError(Exception):
    """The event is of another app or account than the installation it names. ``field`` says which differs."""

    def __init__(self, field: str) -> None:
        super().__init__(f"the event's {field} is not the installation's")
        self.field = field


def fold(spec: TalkdeskInstallationSpec | None, event: Event) -> TalkdeskInstallationSpec | None:
    """``spec`` (None: no such installation yet) after ``event``; an equal value where it brings no news.

    A ``user.logout`` says nothing about the installation: it changes none and makes none. Raises
    ForeignEventError.
    """
    if spec is not None:
        _same_installation(spec, event)
    if event.type == life.USER_LOGOUT:
        return spec
    before = FromTalkdesk() if spec is None else spec.talkdesk
    after = _registers(before, event)
    if spec is None:
        return TalkdeskInstallationSpec(
            app_id=event.app_id,
            account_id=event.account_id,
            installation_id=event.installation_id,
            talkdesk=after,
        )
    return spec.model_copy(update={"talkdesk": after})


def _same_installation(spec: TalkdeskInstallationSpec, event: Event) -> None:
    for field in ("app_id", "account_id", "installation_id"):
        if getattr(spec, field) != getattr(event, field):
            raise ForeignEventError(field)


def _registers(before: FromTalkdesk, event: Event) -> FromTalkdesk:
    installed, updated, uninstalled = before.installed, before.updated, before.uninstalled
    match event.type:
        case life.INSTALLED:
            installed = _newer(installed, _stamped(Installed, event))
        case life.UPDATED:
            updated = _newer(updated, _stamped(Updated, event))
        case life.UNINSTALLED:
            uninstalled = _newer(uninstalled, _stamped(Uninstalled, event, reason=event.uninstall_reason))
    links = {name: _stamped(Link, event, href=href) for name, href in event.links.items()}
    return FromTalkdesk(
        installed=installed,
        updated=updated,
        uninstalled=uninstalled,
        credentials=_credentials(before.credentials, event),
        trial=_trial(before.trial, event),
        subscription=_subscription(before.subscription, event),
        app_version=_app_version(before.app_version, event),
        account_name=_account_name(before.account_name, event),
        links=_links(before.links, links),
        recent=_recent(before.recent, _stamped(RecentEvent, event, type=event.type)),
    )


def _credentials(held: CredentialsRef | None, event: Event) -> CredentialsRef | None:
    if event.credentials is None or not event.credentials.usable:
        return held
    name = secret_name(event.installation_id, event.credentials)
    return _newer(held, _stamped(CredentialsRef, event, secret=name))


def _trial(held: Trial | None, event: Event) -> Trial | None:
    if event.trial is None:
        return held
    said = {
        "state": event.trial.state,
        "expires_at": event.trial.expires_at,
        "ended_at": event.trial.ended_at,
        "ended_reason": event.trial.ended_reason,
        "ended_by": event.trial.ended_by,
    }
    return _newer(held, _stamped(Trial, event, **said))


def _subscription(held: Subscription | None, event: Event) -> Subscription | None:
    if event.subscription is None:
        return held
    said = {"name": event.subscription.name, "licenses": event.subscription.licenses}
    return _newer(held, _stamped(Subscription, event, **said))


def _app_version(held: AppVersion | None, event: Event) -> AppVersion | None:
    if event.version_id is None:
        return held
    return _newer(held, _stamped(AppVersion, event, id=event.version_id, name=event.version_name))


def _account_name(held: AccountName | None, event: Event) -> AccountName | None:
    if event.account_name is None:
        return held
    return _newer(held, _stamped(AccountName, event, name=event.account_name))


def _stamped(register: type[S], event: Event, **content: Any) -> S:
    return register(at=event.at, rank=event.rank, event=event.id, **content)


def _newer(held: S | None, news: S) -> S:
    return news if held is None or _order(news) > _order(held) else held


def _order(register: Stamp) -> tuple[tuple[str, int, str], str]:
    # Two contents under one event id should not be; the content decides then, so that arrival never does.
    return register.order(), json.dumps(register.to_json(), sort_keys=True)


def _links(held: dict[str, Link], news: dict[str, Link]) -> dict[str, Link]:
    merged = held | {name: _newer(held.get(name), link) for name, link in news.items()}
    # The order of names alone decides which of too many stay: it cannot depend on which came first.
    return {name: merged[name] for name in sorted(merged, key=link_order)[:MAX_LINKS]}


def _recent(held: list[RecentEvent], news: RecentEvent) -> list[RecentEvent]:
    """The newest RECENT, newest first."""
    return sorted({_order(entry): entry for entry in [*held, news]}.values(), key=_order, reverse=True)[
        :RECENT
    ]
