"""Tell Talkdesk what it waits for: at most one answer a pass, recorded, read again, users listed again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from talkdesk_client import Conflict, InstallationRef, TalkdeskError
from talkdesk_crds import conditions as types
from talkdesk_crds.conditions import Reason
from talkdesk_crds.meta import time
from talkdesk_crds.names import ANSWERS_ANNOTATION
from talkdesk_kube import resources
from talkdesk_operator import annotation, failures
from talkdesk_operator.apology import apology
from talkdesk_operator.conditions import false, true
from talkdesk_operator.confirm import (
    UNINSTALLED_STATE,
    Given,
    Nothing,
    Readiness,
    Say,
    Situation,
    Wait,
    decide,
    is_pending,
    remember,
)
from talkdesk_operator.deadlines import answer_deadline
from talkdesk_operator.hanging import Call
from talkdesk_operator.incumbent import Role
from talkdesk_operator.moments import moment
from talkdesk_operator.patience import patience_began, tried
from talkdesk_operator.paused import is_paused
from talkdesk_operator.person import person
from talkdesk_operator.same_object import same_object
from talkdesk_operator.subscribed import answered_events, asking_events, event_patience, plan_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from talkdesk_client import State, TalkdeskClient
    from talkdesk_crds.app import TalkdeskApp
    from talkdesk_kube import Kube
    from talkdesk_operator.gate import Verdict
    from talkdesk_operator.hanging import Hanging
    from talkdesk_operator.mail.desk import MailDesk
    from talkdesk_operator.metrics import Metrics
    from talkdesk_operator.notes import Agenda, Notes
    from talkdesk_operator.observe import Observer
    from talkdesk_operator.reading import Reading
    from talkdesk_operator.revocations import RevocationDesk
    from talkdesk_operator.user_sync import UserSync

_log = structlog.get_logger(__name__)

#: How much of a cause the annotation keeps.
_CAUSE_LIMIT = 512


@dataclass(frozen=True)
class Desk:
    """What answering needs."""

    kube: Kube
    client: TalkdeskClient
    hanging: Hanging
    observer: Observer
    users: UserSync
    revocations: RevocationDesk
    mails: MailDesk
    metrics: Metrics
    clock: Callable[[], datetime]
    monotonic: Callable[[], float]
    #: What Talkdesk's API shows as pending before its event is here is not approved for so long: only the
    #: event says for certain which plan is asked for. Should it be lost, the API has to do.
    delivered_within: timedelta


class Answerer:
    """Decides and gives the answer of one installation."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def answer(self, notes: Notes, app: TalkdeskApp, ready: Verdict, agenda: Agenda) -> None:
        """Answer if an answer is owed. Talkdesk's failures become verdicts; raises KubeError."""
        reading = notes.reading
        if reading is None or (notes.role in (Role.SUPERSEDED, Role.AWAITED) and not notes.leaving):
            return
        decision = decide(self._situation(notes, app, ready, reading), self._desk.clock())
        if isinstance(decision, Say):
            ref = await self._desk.observer.ref(notes, app)
            if ref is None:
                return
            try:
                reading = await self._current(notes, reading)
                decision = decide(self._situation(notes, app, ready, reading), self._desk.clock())
                if isinstance(decision, Say):
                    reading = await self._say(notes, app, ref, reading=reading, say=decision, agenda=agenda)
                    decision = decide(self._situation(notes, app, ready, reading), self._desk.clock())
            except TalkdeskError as error:
                self._failed(notes, error, agenda)
                return
        self._conclude(notes, decision, agenda)

    def _situation(self, notes: Notes, app: TalkdeskApp, ready: Verdict, reading: Reading) -> Situation:
        installation = notes.installation
        access = installation.status.access
        patience, now = timedelta(seconds=app.spec.approval.patience_seconds), self._desk.clock()
        known = notes.memory.tried
        notes.memory.tried = tried(installation, patience=patience, known=known, now=now)
        listed = notes.memory.listed_for == reading.moment
        failed = Reason.LIST_FAILED if ready.readiness is Readiness.USABLE else ready.reason
        return Situation(
            state=reading.state,
            updated_at=reading.updated_at,
            uninstalled=notes.leaving,
            access_refused=access is not None and access.state == "Refused",
            readiness=Readiness.USABLE if rests(notes, ready, reading) else ready.readiness,
            detail=ready.message or ready.reason.value,
            users_listed=listed,
            given=notes.given,
            since=patience_began(reading.updated_at, tried=notes.memory.tried, now=now),
            patience=patience,
            paused=is_paused(installation),
            apology=apology(app, failed, updating=reading.state != "installing"),
            person=person(
                installation,
                state=reading.state,
                updated_at=reading.updated_at,
                deadline=answer_deadline(reading.updated_at),
            ),
            unannounced_until=self._unannounced_until(notes, reading),
            behind=notes.memory.rechecks > 0,
        )

    def _asking(self, notes: Notes, reading: Reading) -> str | None:
        """The event of what is pending, as far as can be told."""
        asking = asking_events(notes.installation.spec.talkdesk)
        before = answered_events(notes.given, reading.moment)
        return next((one for one in asking if one not in before), None)

    def _unannounced_until(self, notes: Notes, reading: Reading) -> datetime | None:
        """Until when the event of what is pending is waited for; None where it is here."""
        memory = notes.memory
        patience = event_patience(
            notes.installation.spec.talkdesk,
            reading.moment,
            answered=answered_events(notes.given, reading.moment),
            delivered_within=self._desk.delivered_within,
        )
        if patience is None:
            memory.unannounced = None
            return None
        if memory.unannounced is None or memory.unannounced[0] != reading.moment:
            memory.unannounced = (reading.moment, self._desk.clock())
        seen, asked = memory.unannounced[1], moment(reading.updated_at)
        return min(seen, asked or seen) + patience

    async def _current(self, notes: Notes, reading: Reading) -> Reading:
        """A reading of this very pass: what is answered must be what Talkdesk waits for now."""
        if notes.fresh is not None:
            return reading
        found = await self._desk.observer.read(notes, seen=frozenset(), whole=False)
        return self._keep(notes, found, reading)

    async def _say(
        self,
        notes: Notes,
        app: TalkdeskApp,
        ref: InstallationRef,
        *,
        reading: Reading,
        say: Say,
        agenda: Agenda,
    ) -> Reading:
        """Give the answer, and what Talkdesk shows afterwards."""
        try:
            with self._desk.hanging.asking(ref.hosts.api, Call.ANSWER):
                result = await self._desk.client.answer(ref, say.answer, say.reason)
        except Conflict as error:
            _log.debug("Talkdesk says there is nothing to answer", installation=notes.name, error=str(error))
            after = self._keep(
                notes, await self._desk.observer.read(notes, seen=frozenset(), whole=False), reading
            )
            if after.moment == reading.moment:
                await self._record(notes, app, reading, say, None)
            agenda.look_in(0.0 if is_pending(after.state) and after.moment != reading.moment else 1.0)
            return after
        except TalkdeskError as error:
            if not error.outcome_unknown:
                raise
            _log.warning("the outcome of an answer is unknown", installation=notes.name, error=str(error))
            after = self._keep(
                notes, await self._desk.observer.read(notes, seen=frozenset(), whole=False), reading
            )
            if after.moment == reading.moment:
                raise
            await self._record(notes, app, reading, say, None)
            agenda.look_in(0.0)
            return after
        _log.info("answered", installation=notes.name, answer=say.answer, state=reading.state)
        await self._record(notes, app, reading, say, result)
        self._desk.metrics.answered(
            say.answer, reading.state, self._desk.clock() - waiting_since(notes, reading)
        )
        return await self._afterwards(notes, app, ref, reading=reading, result=result, agenda=agenda)

    async def _afterwards(
        self,
        notes: Notes,
        app: TalkdeskApp,
        ref: InstallationRef,
        *,
        reading: Reading,
        result: State,
        agenda: Agenda,
    ) -> Reading:
        """Read and list once more: in between, the list may have shown the old users or the new."""
        said = replace(
            reading, state=result.state, updated_at=result.updated_at, begun=self._desk.monotonic()
        )
        after = self._keep(notes, said, reading)
        if notes.leaving:
            return after  # its credentials end with it
        seen = self._desk.revocations.unsettled(notes.installation)
        try:
            # Whole: an approved update has changed the plan, a rejected one has not, an approved installation
            # has started the trial; what Talkdesk showed before the answer does not tell.
            found = await self._desk.observer.read(notes, seen=seen, whole=True)
        except TalkdeskError as error:
            _log.warning("could not read after the answer", installation=notes.name, error=str(error))
            agenda.fail()
            return after
        after = self._keep(notes, found, reading)
        if notes.role is Role.INCUMBENT:
            await self._desk.users.sync(notes, app, ref, after, agenda)
        changed = (after.account, after.plan, after.trial) != (reading.account, reading.plan, reading.trial)
        if changed or (is_pending(after.state) and not any(one.covers(after.moment) for one in notes.given)):
            agenda.look_in(0.0)
        return after

    def _keep(self, notes: Notes, found: Reading, before: Reading) -> Reading:
        """The newest reading, with what only a whole one has."""
        kept = replace(found, generation=before.generation, resync_token=before.resync_token)
        if not found.whole:
            kept = kept.with_details_of(before)
        notes.fresh = notes.memory.reading = kept
        return kept

    async def _record(
        self, notes: Notes, app: TalkdeskApp, reading: Reading, say: Say, result: State | None
    ) -> None:
        """Keep the answer, and that a mail is owed about it, in annotations. Raises KubeError."""
        given = Given(
            state=reading.state,
            updated_at=reading.updated_at,
            answer=say.answer,
            at=time(self._desk.clock()),
            reason=say.reason,
            cause=say.cause[:_CAUSE_LIMIT] if say.cause is not None else None,
            result_state=result.state if result is not None else None,
            result_updated_at=result.updated_at if result is not None else None,
            event=self._asking(notes, reading),
            uninstalling=True if notes.leaving or reading.state == UNINSTALLED_STATE else None,
        )
        notes.given = remember(notes.given, given)
        metadata, mails = notes.installation.metadata, self._desk.mails
        async with mails.alone(notes.installation):
            owed = mails.with_answer(notes, app, given)
            annotations = {ANSWERS_ANNOTATION: annotation.render(notes.given), **owed}
            stored = await self._desk.kube.merge_patch(
                resources.INSTALLATIONS,
                metadata.name,
                same_object(metadata, {"metadata": {"annotations": annotations}}),
                namespace=metadata.namespace,
            )
            self._desk.observer.stored(stored)
        if owed:
            mails.send(notes.installation)

    def _failed(self, notes: Notes, error: TalkdeskError, agenda: Agenda) -> None:
        failure = failures.of_talkdesk(error)
        _log.warning("an answer could not be delivered", installation=notes.name, error=failure.message)
        notes.verdicts[types.CONFIRMED] = false(Reason.ANSWER_FAILED, failure.message)
        notes.patience = moment(notes.installation.status.deadlines.patience)
        # What is known of the installation is in doubt: the next pass reads it before anything else.
        notes.memory.reading = None
        agenda.fail(failure.retry_after)

    def _conclude(self, notes: Notes, decision: Nothing | Wait | Say, agenda: Agenda) -> None:
        if isinstance(decision, Say):
            notes.verdicts[types.CONFIRMED] = false(Reason.WAITING_FOR_TALKDESK, "another answer is owed")
        elif isinstance(decision, Nothing):
            notes.verdicts[types.CONFIRMED] = true(decision.reason, decision.message)
        else:
            notes.verdicts[types.CONFIRMED] = false(decision.reason, decision.message)
            if decision.reason in (Reason.WAITING_FOR_TENANT, Reason.WAITING_FOR_USERS):
                notes.patience = decision.until
            if decision.until is not None:
                agenda.decide_in((decision.until - self._desk.clock()).total_seconds())
        if goes_on(decision, access_ends=notes.suspension is not None):
            agenda.look_in(0.0)


def goes_on(decision: Nothing | Wait | Say, *, access_ends: bool) -> bool:
    """True where the next answer waits for nothing but what this pass stores.

    :param access_ends: this pass refuses access. An end that is held back is looked at again when it is due.
    """
    if isinstance(decision, Wait):
        return decision.reason is Reason.WAITING_FOR_ACCESS and access_ends
    return isinstance(decision, Say)


def rests(notes: Notes, ready: Verdict, reading: Reading) -> bool:
    """The trial is over, and what the customer changes does not pay for anything.

    The tenant stands still before and after it: what is asked for (other users) is done once they are listed.
    Another plan is not: its tenant has to run first.
    """
    if ready.reason is not Reason.TRIAL_ENDED or reading.state != "updating":
        return False
    spent = answered_events(notes.given, reading.moment)
    said = notes.installation.spec.talkdesk
    asked = plan_name(said, state=reading.state, shown=reading.plan, answered=spent)
    before = reading.trial.subscription_name if reading.trial is not None else None
    return asked == (before or reading.plan)


def waiting_since(notes: Notes, reading: Reading) -> datetime:
    """Since when Talkdesk waits, else since the event, else since we know."""
    installed = notes.installation.spec.talkdesk.installed
    candidates = (
        reading.updated_at,
        installed.at if installed is not None else None,
        notes.installation.metadata.creation_timestamp,
    )
    found = next((since for text in candidates if (since := moment(text)) is not None), None)
    return found or datetime.min.replace(tzinfo=UTC)
