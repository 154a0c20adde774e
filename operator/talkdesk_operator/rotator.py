"""Tell Talkdesk that new credentials have arrived, and ask for new ones in time. Failures wait for later."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from talkdesk_client import InstallationRef, TalkdeskError
from talkdesk_crds.meta import time
from talkdesk_operator import failures, rotation
from talkdesk_operator.failures import Kind
from talkdesk_operator.hanging import Call
from talkdesk_operator.incumbent import Role

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from talkdesk_client import TalkdeskClient
    from talkdesk_crds.app import TalkdeskApp
    from talkdesk_operator.hanging import Hanging
    from talkdesk_operator.keyring import Keyring
    from talkdesk_operator.notes import Agenda, Notes
    from talkdesk_operator.publish import Publisher

_log = structlog.get_logger(__name__)


class Rotator:
    """Rotations of one installation at a time; ``settle`` is how long the old set's work may take to end."""

    def __init__(
        self,
        *,
        client: TalkdeskClient,
        hanging: Hanging,
        keyring: Keyring,
        publisher: Publisher,
        settle: timedelta,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._client = client
        self._hanging = hanging
        self._keyring = keyring
        self._publisher = publisher
        self._settle = settle.total_seconds()
        self._clock = clock
        self._monotonic = monotonic

    async def rotate(self, notes: Notes, app: TalkdeskApp, agenda: Agenda) -> None:
        """Acknowledge, or ask for new credentials, where that is due. Raises KubeError."""
        installation = notes.installation
        if notes.role is not Role.INCUMBENT or notes.leaving or notes.reading is None:
            return
        if notes.worked is not None and installation.status.credentials not in (None, notes.worked):
            note = (
                f"Secret {notes.worked} has worked and takes the place of {installation.status.credentials}"
            )
            self._publisher.tell(notes, "Normal", "CredentialsReplaced", note, action="Rotate")
            agenda.look_in(self._settle)
        if rotation.owes_acknowledgement(installation):
            await self._acknowledge(notes, app, agenda)
        every = timedelta(seconds=app.spec.credentials.rotate_after_seconds)
        due = rotation.request_at(installation, every=every)
        if due is None:
            return
        if due > self._clock():
            agenda.look_in((due - self._clock()).total_seconds())
            return
        await self._request(notes, app, agenda)

    async def _acknowledge(self, notes: Notes, app: TalkdeskApp, agenda: Agenda) -> None:
        """With the new set, which proves that it works; the old one ends with it."""
        keys, name, now = notes.memory.keys, notes.installation.status.credentials or "", self._monotonic()
        if keys.settled is None or keys.settled[0] != name:
            keys.settled = (name, now)
        wait = keys.settled[1] + self._settle - now
        if wait > 0:
            agenda.look_in(wait)
            return
        ref = await self._keyring.ref(notes, app)
        if not isinstance(ref, InstallationRef):
            return
        try:
            with self._hanging.asking(ref.hosts.api, Call.ROTATION):
                await self._client.acknowledge(ref)
        except TalkdeskError as error:
            failure = failures.of_talkdesk(error)
            waits_for_none = error.status in _NOTHING_TO_ACKNOWLEDGE
            if not waits_for_none and (failure.kind is not Kind.PERMANENT or error.outcome_unknown):
                _log.info("not acknowledged yet", installation=notes.name, secret=name, error=str(error))
                agenda.fail(failure.retry_after)
                return
            # 409: nothing waits for it. Anything else permanent: the old set ends by itself after its week.
            _log.info("nothing to acknowledge", installation=notes.name, secret=name, error=str(error))
        else:
            note = f"Talkdesk was told that the credentials in Secret {name} are in use"
            self._publisher.tell(notes, "Normal", "CredentialsAcknowledged", note, action="Rotate")
        notes.acknowledged = name

    async def _request(self, notes: Notes, app: TalkdeskApp, agenda: Agenda) -> None:
        ref = await self._keyring.ref(notes, app)
        if not isinstance(ref, InstallationRef):
            return
        try:
            with self._hanging.asking(ref.hosts.api, Call.ROTATION):
                await self._client.rotate(ref)
        except TalkdeskError as error:
            failure = failures.of_talkdesk(error)
            _log.warning("could not ask for new credentials", installation=notes.name, error=str(error))
            if failure.kind is not Kind.PERMANENT and not error.outcome_unknown:
                agenda.fail(failure.retry_after)
                return
            note = f"Talkdesk was asked for new credentials, and may not give any: {failure.message}"
            self._publisher.tell(notes, "Warning", "RotationRefused", note, action="Rotate")
        else:
            note = "Talkdesk was asked for new credentials; they come as an event"
            self._publisher.tell(notes, "Normal", "RotationRequested", note, action="Rotate")
        # Also where the outcome is unknown: each request makes another set, so one too few is the better.
        notes.rotation_requested_at = time(self._clock())
        agenda.look_in(app.spec.credentials.rotate_after_seconds * rotation.REPEATED_AFTER)


#: The set is not the one that waits for an acknowledgement, or none does.
_NOTHING_TO_ACKNOWLEDGE = frozenset({404, 409})
