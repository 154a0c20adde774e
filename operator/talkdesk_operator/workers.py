"""The queue's workers: they run while this replica holds the Lease, and end with the passes in hand."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from talkdesk_operator.keys import AppKey, KeysKey, SweepKey

if TYPE_CHECKING:
    from talkdesk_operator.app_reconcile import AppReconciler
    from talkdesk_operator.gateway_keys import GatewayKeys
    from talkdesk_operator.keys import Key, MailKey, RevokeKey
    from talkdesk_operator.mail.mailer import Mailer
    from talkdesk_operator.queue import Outcome, WorkQueue
    from talkdesk_operator.reconcile import TenantReconciler
    from talkdesk_operator.settings import OperatorSettings
    from talkdesk_operator.sweeper import Sweeper
    from talkdesk_operator.urgent import UrgentRevoker

_log = structlog.get_logger(__name__)


#: Revocations have workers of their own, so that no number of passes keeps them waiting.
_URGENT = 4
#: Mails sent at once, and how long those in hand may take when the process is asked to stop.
_MAILS = 4
_LAST_MAIL_SECONDS = 3.0


class Workers:
    """The queues' workers, for as long as this replica holds the Lease."""

    def __init__(
        self,
        queue: WorkQueue[Key],
        urgent: WorkQueue[RevokeKey],
        mails: WorkQueue[MailKey],
        *,
        tenants: TenantReconciler,
        apps: AppReconciler,
        sweeper: Sweeper,
        keys: GatewayKeys,
        revoker: UrgentRevoker,
        mailer: Mailer,
        settings: OperatorSettings,
    ) -> None:
        self._queue = queue
        self._tenants = tenants
        self._apps = apps
        self._sweeper = sweeper
        self._keys = keys
        self._urgent = urgent
        self._revoker = revoker
        self._mails = mails
        self._mailer = mailer
        self._mailing: asyncio.Task[None] | None = None
        self._workers = settings.workers
        self._patience = settings.finish_seconds
        self._running: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Work until drained or cancelled; a cancelled pass stops where it is, and is done again by whoever
        works next."""
        self._running = asyncio.current_task()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._queue.run(self._pass, workers=self._workers))
            group.create_task(self._urgent.run(self._revoke, workers=_URGENT))
            self._mailing = group.create_task(self._mails.run(self._mail, workers=_MAILS))

    async def drain(self) -> bool:
        """Take nothing new, and let the passes in hand end, for a bounded time.

        True where the workers ran and have ended; False where they never did, or are not done in time.
        """
        self._queue.close()
        self._urgent.close()
        self._mails.close()
        running = self._running
        if running is None:
            return False
        if self._mailing is not None:
            # A mail server that is slow must not keep the Lease from the next replica: it sends the copy.
            await asyncio.wait({self._mailing}, timeout=_LAST_MAIL_SECONDS)
            self._mailing.cancel()
        _, pending = await asyncio.wait({running}, timeout=self._patience)
        if pending:
            _log.warning("passes in hand did not end in time", seconds=self._patience)
        return not pending

    async def _revoke(self, key: RevokeKey) -> Outcome:
        with structlog.contextvars.bound_contextvars(key=str(key)):
            return await self._revoker.revoke(key)

    async def _mail(self, key: MailKey) -> Outcome:
        with structlog.contextvars.bound_contextvars(key=str(key)):
            return await self._mailer.deliver(key)

    async def _pass(self, key: Key) -> Outcome:
        with structlog.contextvars.bound_contextvars(key=str(key)):
            if isinstance(key, AppKey):
                return await self._apps.reconcile(key)
            if isinstance(key, SweepKey):
                return await self._sweeper.sweep()
            if isinstance(key, KeysKey):
                return await self._keys.turn()
            return await self._tenants.reconcile(key)
