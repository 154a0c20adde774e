"""Sends what is owed to one installation's admin: its own queue, its own time, no part in any pass."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from talkdesk_crds.conditions import Reason
from talkdesk_crds.meta import time
from talkdesk_kube import KubeError, NotFound
from talkdesk_operator import inventory
from talkdesk_operator.keys import UNPLACED
from talkdesk_operator.mail import record
from talkdesk_operator.mail.compose import compose
from talkdesk_operator.mail.message import Sender, message
from talkdesk_operator.mail.recipient import recipient, usable
from talkdesk_operator.mail.smtp import Fault, NotSent
from talkdesk_operator.mail.values import Story, app_name
from talkdesk_operator.mail.verdict import Failing
from talkdesk_operator.queue import Outcome
from talkdesk_operator.same_object import is_another
from talkdesk_operator.tenant.facts import Facts

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from talkdesk_crds.app import TalkdeskApp
    from talkdesk_crds.installation import TalkdeskInstallation
    from talkdesk_operator.cache import Caches
    from talkdesk_operator.directory import Directory
    from talkdesk_operator.keys import Key, MailKey
    from talkdesk_operator.mail.desk import MailDesk
    from talkdesk_operator.mail.record import Mail
    from talkdesk_operator.mail.smtp import Smtp
    from talkdesk_operator.memory import Memory
    from talkdesk_operator.metrics import Metrics
    from talkdesk_operator.slices import SliceStore
    from talkdesk_operator.tenant import Release

_log = structlog.get_logger(__name__)


class Mailer:
    """``sender`` is the address that mails come from; ``wake`` has the tenant's pass show what came of it."""

    def __init__(
        self,
        *,
        desk: MailDesk,
        smtp: Smtp,
        sender: str,
        caches: Caches,
        directory: Directory,
        slices: SliceStore,
        memory: Memory,
        metrics: Metrics,
        release: Release,
        wake: Callable[[Key], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._desk = desk
        self._smtp = smtp
        self._sender = sender
        self._caches = caches
        self._directory = directory
        self._slices = slices
        self._memory = memory
        self._metrics = metrics
        self._release = release
        self._wake = wake
        self._clock = clock

    async def deliver(self, key: MailKey) -> Outcome:
        """Send the mails owed to one installation, oldest first; one that fails is tried again later."""
        installation = self._caches.installations.get(self._release.namespace, key.name)
        if installation is None or not self._desk.policy.configured:
            return Outcome()
        try:
            for mail in record.of(installation):
                if mail.state == "owed" and (later := await self._one(installation, mail)) is not None:
                    return later
        except NotFound:
            return Outcome()  # deleted meanwhile
        except KubeError as error:
            if is_another(error):
                return Outcome()
            _log.warning("what became of a mail could not be recorded", error=str(error))
            return Outcome(after=error.retry_after, failed=True)
        return Outcome()

    async def _one(self, installation: TalkdeskInstallation, mail: Mail) -> Outcome | None:
        """Send one, or give it up; the outcome of the pass where it has to wait."""
        app = self._directory.app(installation.spec.app_id)
        if app is not None and not app.spec.email.enabled:
            off = Failing(Reason.MAILS_SWITCHED_OFF, "the app's mails were switched off before it was sent")
            await self._give_up(installation, mail, off)
            return None
        failing = await self._attempt(installation, app, mail)
        if failing is None:
            self._metrics.mailed(mail.outcome, "sent")
            _log.info("mail sent", installation=installation.metadata.name, outcome=mail.outcome)
            await self._end(installation, replace(mail, state="sent"))
            return None
        if failing.reason is Reason.MAIL_REFUSED:
            await self._give_up(installation, mail, failing)
            return None
        left = (mail.owed_since + self._desk.policy.patience - self._clock()).total_seconds()
        if left <= 0:
            given_up = failing
            if failing.reason is Reason.MAIL_RETRYING:
                given_up = Failing(Reason.MAIL_GIVEN_UP, f"tried until now; {failing.message}")
            await self._give_up(installation, mail, given_up)
            return None
        if self._desk.failed(installation, failing):
            _log.warning(
                "a mail could not be sent yet",
                installation=installation.metadata.name,
                outcome=mail.outcome,
                error=failing.message,
            )
            self._show(installation)
        return Outcome(failed=True, deadline=left)

    async def _attempt(
        self, installation: TalkdeskInstallation, app: TalkdeskApp | None, mail: Mail
    ) -> Failing | None:
        """Why it was not sent; None where it was."""
        if app is None:
            return Failing(Reason.MAIL_GIVEN_UP, "no TalkdeskApp has its appId any more")
        try:
            sent = await self._send(installation, app, mail)
        except NotSent as problem:
            self._metrics.mailed(mail.outcome, "failed")
            refused = problem.fault is Fault.REFUSED
            return Failing(Reason.MAIL_REFUSED if refused else Reason.MAIL_RETRYING, str(problem))
        except Exception as defect:  # noqa: BLE001 - what stays owed for ever keeps its customer's data for ever
            self._metrics.mailed(mail.outcome, "failed")
            _log.exception(
                "making a mail ended in a defect",
                installation=installation.metadata.name,
                outcome=mail.outcome,
            )
            return Failing(Reason.MAIL_RETRYING, f"a defect, see the operator's log: {type(defect).__name__}")
        if sent:
            return None
        return Failing(
            Reason.NOBODY_TO_WRITE_TO,
            "neither the installing admin nor the account has an e-mail address that could be used",
        )

    async def _send(self, installation: TalkdeskInstallation, app: TalkdeskApp, mail: Mail) -> bool:
        """False where there is nobody to write to. Raises NotSent."""
        facts = self._facts(installation)
        account = facts.account
        to = recipient(self._slices.current(installation).users.values(), account)
        if to is None:
            return False
        story = Story(app, installation, mail, to, account, facts.plan, self._launch(installation, app))
        email = app.spec.email
        sender = Sender(
            self._sender, email.sender_name or app_name(app), usable(email.reply_to or app.spec.contact)
        )
        ready = message(
            compose(story),
            sender=sender,
            to=to,
            mail_id=mail.id(installation.spec.installation_id),
            date=mail.owed_since,
        )
        await self._smtp.send(ready, sender=self._sender, to=to.address)
        return True

    def _facts(self, installation: TalkdeskInstallation) -> Facts:
        """As read from Talkdesk last, by this process or by whoever made the tenant."""
        key = self._directory.key_of(installation)
        known, identity = self._memory.known(installation), installation.spec.installation_id
        stored = None
        if key.region != UNPLACED:
            stored = inventory.stored_in(self._caches.inventory(self._release.tenant(key))).facts
        if known is not None and known.reading is not None:
            same = stored if stored is not None and stored.installation_id == identity else None
            return known.reading.facts(key, installation, known=same)
        return stored or Facts(
            app_id=key.app_id,
            region=key.region,
            account_id=key.account_id,
            installation_id=identity,
        )

    def _launch(self, installation: TalkdeskInstallation, app: TalkdeskApp) -> str | None:
        """Where the users enter; status may not say so yet. None where nobody can sign in."""
        key = self._directory.key_of(installation)
        if app.spec.launch_host is None or key.region == UNPLACED:
            return None
        return f"{self._release.url(self._release.tenant(key).host(app.spec.base_domain))}/"

    async def _give_up(self, installation: TalkdeskInstallation, mail: Mail, failing: Failing) -> None:
        self._metrics.mailed(mail.outcome, "given up")
        _log.error(
            "a mail was given up",
            installation=installation.metadata.name,
            outcome=mail.outcome,
            error=failing.message,
        )
        cause = failing.reason.value
        await self._end(installation, replace(mail, state="givenUp", cause=cause, message=failing.message))

    async def _end(self, installation: TalkdeskInstallation, mail: Mail) -> None:
        await self._desk.ended(installation, replace(mail, ended=time(self._clock())))
        self._show(installation)

    def _show(self, installation: TalkdeskInstallation) -> None:
        self._wake(self._directory.key_of(installation))
