"""The mails of installations, kept in their annotation: what a pass owes, and what the mailer has done."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from talkdesk_crds import conditions as types
from talkdesk_crds.conditions import Reason
from talkdesk_crds.names import MAILS_ANNOTATION
from talkdesk_kube import resources
from talkdesk_operator import annotation
from talkdesk_operator.incumbent import Role
from talkdesk_operator.keys import MailKey
from talkdesk_operator.mail import owed, record
from talkdesk_operator.mail.verdict import verdict
from talkdesk_operator.same_object import same_object

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime, timedelta

    from talkdesk_crds.app import TalkdeskApp
    from talkdesk_crds.installation import TalkdeskInstallation
    from talkdesk_kube import Kube
    from talkdesk_operator.cache import Caches
    from talkdesk_operator.conditions import Verdict
    from talkdesk_operator.confirm import Given
    from talkdesk_operator.mail.record import Mail
    from talkdesk_operator.mail.verdict import Failing
    from talkdesk_operator.memory import Memory
    from talkdesk_operator.notes import Notes


@dataclass(frozen=True)
class Policy:
    """Whether mails are sent at all, and how long one is tried."""

    configured: bool
    patience: timedelta


class MailDesk:
    """Reads and writes the record; ``wake`` has the mailer look at an installation.

    Passes and the mailer both write it: whoever does holds :meth:`alone` from reading to writing.
    """

    def __init__(
        self,
        kube: Kube,
        caches: Caches,
        memory: Memory,
        policy: Policy,
        *,
        wake: Callable[[MailKey], None],
        clock: Callable[[], datetime],
    ) -> None:
        self.policy = policy
        self._kube = kube
        self._caches = caches
        self._memory = memory
        self._wake = wake
        self._clock = clock
        self._writing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def alone(self, installation: TalkdeskInstallation) -> AbstractAsyncContextManager[None]:
        """While it is held, nobody else writes the record of ``installation``."""
        return self._writing.setdefault(installation.metadata.name, asyncio.Lock())

    def mails(self, installation: TalkdeskInstallation) -> tuple[Mail, ...]:
        """As known by now, whatever a pass began with."""
        metadata = installation.metadata
        newest = self._caches.installations.get(metadata.namespace or "", metadata.name)
        same = newest is not None and newest.metadata.uid == metadata.uid
        return record.of(newest if newest is not None and same else installation)

    def with_answer(self, notes: Notes, app: TalkdeskApp, given: Given) -> dict[str, str]:
        """The annotation that is to be written together with an answer's own; empty where nothing is owed."""
        if not self._writes(app):
            return {}
        installation, superseded = notes.installation, notes.role is Role.SUPERSEDED
        mail = owed.by_answer(given, installation.spec.talkdesk, superseded=superseded)
        known = self.mails(installation)
        after = record.remember(known, mail) if mail is not None else known
        return {MAILS_ANNOTATION: annotation.render(after)} if after != known else {}

    def send(self, installation: TalkdeskInstallation) -> None:
        """What was recorded for ``installation`` is to be sent now."""
        self._wake(MailKey(installation.metadata.name))

    async def settle(self, notes: Notes, app: TalkdeskApp) -> None:
        """Record what no answer tells of, but the state does. Raises KubeError."""
        if not self._writes(app):
            return
        installation = notes.installation
        async with self.alone(installation):
            known = self.mails(installation)
            mail = owed.by_state(_standing(notes), known, now=self._clock(), within=self.policy.patience)
            if mail is None:
                return
            await self._store(installation, record.remember(known, mail))
        self.send(installation)

    async def ended(self, installation: TalkdeskInstallation, mail: Mail) -> None:
        """Record that ``mail`` was sent or given up. Raises KubeError."""
        async with self.alone(installation):
            await self._store(installation, record.mark(self.mails(installation), mail))
        self._memory.of(installation).mail_failing = None

    def failed(self, installation: TalkdeskInstallation, failing: Failing) -> bool:
        """Note why a mail does not go out; True where that is news."""
        known = self._memory.of(installation)
        before, known.mail_failing = known.mail_failing, failing
        return before != failing

    def owes(self, installation: TalkdeskInstallation) -> bool:
        """A mail about ``installation`` is to be sent still, and there is somebody to send it to."""
        failing = self._memory.of(installation).mail_failing
        if failing is not None and failing.reason is Reason.NOBODY_TO_WRITE_TO:
            return False
        return self.policy.configured and record.is_owed(self.mails(installation))

    def verdict(self, installation: TalkdeskInstallation, app: TalkdeskApp | None) -> Verdict:
        """The condition ``Notified``."""
        return verdict(
            self.mails(installation),
            configured=self.policy.configured,
            enabled=app is None or app.spec.email.enabled,
            failing=self._memory.of(installation).mail_failing,
        )

    def _writes(self, app: TalkdeskApp) -> bool:
        return self.policy.configured and app.spec.email.enabled

    async def _store(self, installation: TalkdeskInstallation, mails: Sequence[Mail]) -> None:
        metadata = installation.metadata
        patch = {"metadata": {"annotations": {MAILS_ANNOTATION: annotation.render(mails)}}}
        stored = await self._kube.merge_patch(
            resources.INSTALLATIONS,
            metadata.name,
            same_object(metadata, patch),
            namespace=metadata.namespace,
        )
        stored["metadata"].pop("managedFields", None)
        self._caches.installations.view.remember(stored)


def _standing(notes: Notes) -> owed.Standing:
    said, reading = notes.verdicts.get(types.CONFIRMED), notes.reading
    stored = notes.installation.status.talkdesk
    shown = reading or stored
    return owed.Standing(
        said=notes.installation.spec.talkdesk,
        given=notes.given,
        state=shown.state if shown is not None else None,
        updated_at=shown.updated_at if shown is not None else None,
        leaving=notes.leaving,
        confirmed=said is not None and said.status == "True",
        superseded=notes.role is Role.SUPERSEDED,
    )
