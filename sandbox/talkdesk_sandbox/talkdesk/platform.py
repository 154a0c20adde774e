"""Talkdesk itself: the world's state, and every change of it with its consequences.

All methods are synchronous, so each change is one step for everybody who looks on.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from talkdesk_sandbox.talkdesk import life, rotation, trials
from talkdesk_sandbox.talkdesk.change import Announcement, Change, NotPossibleError
from talkdesk_sandbox.talkdesk.clock import Agenda, Clock
from talkdesk_sandbox.talkdesk.codes import Codes, RefreshTokens
from talkdesk_sandbox.talkdesk.deliveries import Deliveries, Event
from talkdesk_sandbox.talkdesk.envelopes import envelope, logout_data
from talkdesk_sandbox.talkdesk.faults import Faults
from talkdesk_sandbox.talkdesk.hosts import REGIONS
from talkdesk_sandbox.talkdesk.keyring import Keyring
from talkdesk_sandbox.talkdesk.keys import SigningKey, new_credentials, new_id
from talkdesk_sandbox.talkdesk.ledger import Ledger
from talkdesk_sandbox.talkdesk.model import (
    Account,
    App,
    Credential,
    Installation,
    Plan,
    Subscription,
    User,
    Verdict,
)
from talkdesk_sandbox.talkdesk.sign_ins import SignIns
from talkdesk_sandbox.talkdesk.tokens import Issuer, SeenAssertions

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from talkdesk_sandbox.talkdesk.hosts import Host
    from talkdesk_sandbox.talkdesk.switches import Switches

_T = TypeVar("_T")


class UnknownError(Exception):
    """Nothing has that id."""


class Talkdesk:
    """The state of the stand-in. Raises :class:`UnknownError` and :class:`NotPossibleError`."""

    def __init__(self, *, switches: Switches, clock: Clock | None = None) -> None:
        self.switches = switches
        self.clock = clock or Clock()
        self.agenda = Agenda(self.clock)
        self.ledger = Ledger(self.clock.now)
        self.issuer = Issuer()
        self.seen_assertions = SeenAssertions()
        self.codes = Codes()
        self.refresh_tokens = RefreshTokens()
        self.sign_ins = SignIns()
        #: Where browsers sign on, once somebody listens there.
        self.browser_port: int | None = None
        self.apps: dict[str, App] = {}
        self.accounts: dict[str, Account] = {}
        self.users: dict[str, User] = {}
        self.installations: dict[str, Installation] = {}
        self.keyring = Keyring()
        self.faults = Faults()
        self._installation_of_client: dict[str, str] = {}
        self.deliveries = Deliveries(
            agenda=self.agenda,
            ledger=self.ledger,
            events_url=lambda app_id: self.app(app_id).events_url,
            signing_key=self._signing_key,
            switches=lambda: self.switches,
        )

    def app(self, id_: str) -> App:
        """The app of that id."""
        return _known(self.apps, id_, "app")

    def account(self, id_: str) -> Account:
        """The account of that id."""
        return _known(self.accounts, id_, "account")

    def account_named(self, place: Host) -> Account | None:
        """The account whose identity host ``place`` is."""
        here = [one for one in self.accounts.values() if one.region == place.region]
        # A name that was given up may be somebody else's by now.
        by_name = (one for one in here if one.name == place.account)
        return next(by_name, None) or next((one for one in here if place.account in one.former_names), None)

    def user(self, id_: str) -> User:
        """The user of that id."""
        return _known(self.users, id_, "user")

    def installation(self, id_: str) -> Installation:
        """The installation of that id."""
        return _known(self.installations, id_, "installation")

    def users_of(self, account_id: str) -> list[User]:
        """The account's users, in the order they were made."""
        return [user for user in self.users.values() if user.account_id == account_id]

    def client(self, client_id: str, *, account: Account) -> tuple[Installation, Credential] | None:
        """The installation and the credentials of a client of ``account``, unless they are revoked."""
        installation = self.installations.get(self._installation_of_client.get(client_id, ""))
        if installation is None or installation.account_id != account.id:
            return None
        credential = installation.credential(client_id)
        if credential is None or credential.status == "revoked":
            return None
        return installation, credential

    def install(
        self, *, app_id: str, account_id: str, plan: str | None, users: list[str], created_by: str | None
    ) -> tuple[str, str]:
        """An admin installs the app: (installation id, event id)."""
        app, account = self.app(app_id), self.account(account_id)
        for other in self.installations.values():
            if other.app_id == app_id and other.account_id == account_id and other.live:
                raise NotPossibleError(f"account {account.name} has this app installed already: {other.id}")
        licensed = tuple(dict.fromkeys(users))
        admin = created_by or (licensed[0] if licensed else "")
        self._check_users((*licensed, admin), account=account)
        chosen = self._plan(app, plan)
        licenses = life.licenses_for(chosen, len(licensed))
        if chosen.max_licenses is not None and licenses > chosen.max_licenses:
            raise NotPossibleError(
                f"plan {chosen.name} allows {chosen.max_licenses} licences, not {licenses}"
            )
        credential, secrets = new_credentials(self.switches)
        installation_id, event_id = new_id(), new_id()
        self._installation_of_client[credential.client_id] = installation_id
        self.apply(
            life.install(
                app=app,
                account_id=account_id,
                installation_id=installation_id,
                event_id=event_id,
                subscription=Subscription(
                    id=new_id(), plan=chosen, total_licenses=licenses, created_by=admin
                ),
                users=licensed,
                created_by=admin,
                credential=credential,
                secrets=secrets,
                now=self.clock.now(),
            )
        )
        return installation_id, event_id

    def update(self, id_: str, *, adding: list[str], removing: list[str], plan: str | None) -> str:
        """An admin changes users or plan: the event's id."""
        installation = self.installation(id_)
        account = self.account(installation.account_id)
        self._check_users((*adding, *removing), account=account)
        if strangers := [user for user in removing if user not in installation.users]:
            raise NotPossibleError(f"not licensed, so not removable: {' '.join(strangers)}")
        chosen = None if plan is None else self._plan(self.app(installation.app_id), plan)
        event_id = new_id()
        self.apply(
            life.update(
                installation,
                adding=tuple(user for user in dict.fromkeys(adding) if user not in installation.users),
                removing=tuple(dict.fromkeys(removing)),
                plan=chosen,
                event_id=event_id,
                now=self.clock.now(),
                switches=self.switches,
            )
        )
        return event_id

    def uninstall(self, id_: str, *, reason: dict[str, Any]) -> str:
        """An admin uninstalls: the event's id."""
        event_id = new_id()
        self.apply(
            life.uninstall(
                self.installation(id_),
                reason=reason,
                event_id=event_id,
                now=self.clock.now(),
                switches=self.switches,
            )
        )
        return event_id

    def answer(self, id_: str, *, verdict: Verdict, reason: str | None) -> Installation:
        """The partner approves or rejects."""
        return self.apply(
            life.answer(
                self.installation(id_),
                verdict=verdict,
                reason=reason,
                now=self.clock.now(),
                switches=self.switches,
            )
        )

    def trial(
        self,
        id_: str,
        action: Literal["start", "extend", "end"],
        *,
        expires_at: datetime | None = None,
        reason: Literal["trial_expired", "app_uninstalled", "plan_upgraded"] = "trial_expired",
    ) -> str:
        """Talkdesk's staff start, extend or end a trial: the event's id."""
        installation, now = self.installation(id_), self.clock.now()
        if action == "start":
            change = trials.start_trial(installation, now=now, expires_at=expires_at)
        elif action == "extend":
            running = installation.trial.expires_at if installation.trial else now
            change = trials.extend_trial(installation, expires_at=expires_at or running + trials.TRIAL_LASTS)
        elif reason == "trial_expired":
            change = trials.expire_trial(installation, now=now, switches=self.switches)
        else:
            change = trials.end_trial(installation, reason=reason, now=now)
        if not change.announcements:
            raise NotPossibleError(f"installation {id_} has no running trial to {action}")
        event_id = new_id()
        first, *rest = change.announcements
        self.apply(replace(change, announcements=(replace(first, event_id=event_id), *rest)))
        return event_id

    def rotate(self, id_: str, *, compromise: bool) -> str:
        """New credentials for an installation: the event's id."""
        installation = self.installation(id_)
        credential, secrets = new_credentials(self.switches)
        event_id = new_id()
        change = rotation.rotate(
            installation,
            credential=credential,
            secrets=secrets,
            compromise=compromise,
            event_id=event_id,
            now=self.clock.now(),
        )
        self._installation_of_client[credential.client_id] = id_
        self.apply(change)
        return event_id

    def acknowledge(self, id_: str, *, client_id: str) -> None:
        """The partner confirms that it has the new credentials."""
        self.apply(rotation.acknowledge(self.installation(id_), client_id=client_id, switches=self.switches))

    def redeliver(self, event_id: str) -> None:
        """Deliver the same bytes of an event again."""
        if event_id not in self.deliveries.events:
            raise UnknownError(f"no event {event_id!r}")
        self.deliveries.again(event_id)

    def logout(self, id_: str, *, user_id: str) -> str:
        """A licensed user logs out of Talkdesk, in every browser: the event's id."""
        installation, user = self.installation(id_), self.user(user_id)
        if user_id not in installation.licensed:
            raise NotPossibleError(f"user {user_id} is not licensed for installation {id_}")
        self.sign_ins.end_all(user_id)
        return self._announce_logout(installation, user)

    def signed_out(self, user_id: str) -> None:
        """A user has signed out in a browser: every app that they are licensed for hears of it."""
        if self.switches.logout_events == "off":
            return
        for installation in list(self.installations.values()):
            if installation.live and user_id in installation.licensed:
                self._announce_logout(installation, self.user(user_id))

    def _announce_logout(self, installation: Installation, user: User) -> str:
        event_id = new_id()
        announcement = Announcement(type="user.logout", data=logout_data(user), event_id=event_id)
        self.apply(Change(installation=installation, announcements=(announcement,)))
        return event_id

    def apply(self, change: Change) -> Installation:
        """Make a change real: keep it, write it down, send its events, and look again when time is due."""
        installation = change.installation
        self.installations[installation.id] = installation
        for step in change.steps:
            self.ledger.add(
                "transition",
                installation_id=installation.id,
                account_id=installation.account_id,
                event_id=step.event_id,
                detail={
                    "from": step.before,
                    "to": step.after,
                    "answer": step.answer,
                    "effective": step.effective,
                },
            )
        for announcement in change.announcements:
            self._announce(installation, announcement)
        due = life.next_due(installation)
        if due is not None:
            self.agenda.at(due, self._elapse(installation.id))
        return installation

    def _elapse(self, id_: str) -> Callable[[], None]:
        def look() -> None:
            installation, now = self.installations[id_], self.clock.now()
            due = life.next_due(installation)
            if due is not None and due <= now:
                self.apply(life.elapse(installation, now=now, switches=self.switches))

        return look

    def _announce(self, installation: Installation, announcement: Announcement) -> None:
        event_id = announcement.event_id or new_id()
        body = envelope(
            type_=announcement.type,
            event_id=event_id,
            link_id=event_id if self.switches.self_link == "same" else new_id(),
            now=self.clock.now(),
            installation=installation,
            account=self.account(installation.account_id),
            data=announcement.data,
            switches=self.switches,
            browser_port=self.browser_port,
        )
        self.deliveries.send(
            Event(
                id=event_id,
                app_id=installation.app_id,
                body=json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode(),
                type=announcement.type,
                installation_id=installation.id,
                account_id=installation.account_id,
            )
        )

    def _signing_key(self, event: Event) -> SigningKey:
        if event.key_id is not None:
            return _known(self.keyring.keys, event.key_id, "signing key")
        account = self.accounts.get(event.account_id or "")
        return self.keyring.current(
            region=account.region if account else REGIONS[0], now=self.clock.now(), switches=self.switches
        )

    def _check_users(self, ids: tuple[str, ...], *, account: Account) -> None:
        for id_ in ids:
            if self.user(id_).account_id != account.id:
                raise UnknownError(f"user {id_} does not belong to account {account.name}")

    @staticmethod
    def _plan(app: App, name: str | None) -> Plan:
        plan = app.plan(name) if name is not None else next(iter(app.plans), None)
        if plan is None:
            raise UnknownError(f"app {app.name} has no plan {name!r}")
        return plan


def _known(things: dict[str, _T], id_: str, what: str) -> _T:
    try:
        return things[id_]
    except KeyError:
        raise UnknownError(f"no {what} {id_!r}") from None
