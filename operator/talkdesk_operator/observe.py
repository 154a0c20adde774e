"""The first steps of a pass: region, revocations, and what only Talkdesk can say."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from talkdesk_client import InstallationRef, NotFound, TalkdeskError
from talkdesk_crds import conditions as types
from talkdesk_crds.conditions import Reason
from talkdesk_crds.installation import TalkdeskInstallation
from talkdesk_crds.meta import stamp_time
from talkdesk_crds.names import ANSWERS_ANNOTATION
from talkdesk_kube import parse, resources
from talkdesk_operator import answers, failures, not_found, reading
from talkdesk_operator.conditions import false, find, true, unknown
from talkdesk_operator.confirm import (
    NOT_FOUND_STATE,
    is_pending,
    uninstall_approved,
)
from talkdesk_operator.failures import Kind
from talkdesk_operator.hanging import Call
from talkdesk_operator.incumbent import Role
from talkdesk_operator.memory import RECHECKS, due
from talkdesk_operator.moments import moment
from talkdesk_operator.notes import Agenda, Notes
from talkdesk_operator.over import answered, is_over
from talkdesk_operator.reading import Reading
from talkdesk_operator.resync import resync_token
from talkdesk_operator.revoked import until_over
from talkdesk_operator.same_object import same_object
from talkdesk_operator.standing.talkdesk_state import TROUBLED_STATES
from talkdesk_operator.user_rules import changed, roles_unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from talkdesk_client import TalkdeskClient
    from talkdesk_crds.app import TalkdeskApp
    from talkdesk_kube import Kube, Obj
    from talkdesk_operator.cache import Caches
    from talkdesk_operator.conditions import Verdict
    from talkdesk_operator.credentials import Unusable
    from talkdesk_operator.hanging import Hanging
    from talkdesk_operator.keyring import Keyring
    from talkdesk_operator.memory import Cadence, Memory
    from talkdesk_operator.pace import Pace
    from talkdesk_operator.revocations import RevocationDesk
    from talkdesk_operator.slices import SliceStore

_log = structlog.get_logger(__name__)

#: How far ahead of ours Talkdesk's clock may be.
_SKEW = timedelta(minutes=5)


class Observer:
    """Looks at installations, and keeps what it learns in their notes."""

    def __init__(
        self,
        *,
        kube: Kube,
        caches: Caches,
        client: TalkdeskClient,
        keyring: Keyring,
        spreading: timedelta,
        revoked: timedelta,
        slices: SliceStore,
        revocations: RevocationDesk,
        memory: Memory,
        cadence: Cadence,
        pace: Pace,
        hanging: Hanging,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._kube = kube
        self._caches = caches
        self._client = client
        self._keyring = keyring
        self._spreading = spreading
        self._revoked = revoked
        self._slices = slices
        self._revocations = revocations
        self._memory = memory
        self._cadence = cadence
        self._pace = pace
        self._hanging = hanging
        self._clock = clock
        self._monotonic = monotonic

    def notes(self, installation: TalkdeskInstallation) -> Notes:
        """Fresh notes about ``installation``."""
        annotation = installation.metadata.annotations.get(ANSWERS_ANNOTATION)
        return Notes(
            installation=installation,
            memory=self._memory.of(installation),
            given=answers.parse(annotation),
            users=self._slices.current(installation).status,
        )

    def newest(self, installation: TalkdeskInstallation) -> TalkdeskInstallation | None:
        """The object as it is known by now; None where it was deleted, whoever has its name since."""
        metadata = installation.metadata
        found = self._caches.installations.get(metadata.namespace or "", metadata.name)
        return found if found is not None and found.metadata.uid == metadata.uid else None

    def stored(self, answer: Obj) -> None:
        """Take the API server's answer to a write of ours into the cache.

        The notes keep what the pass began with: news that the answer may hold belongs to the next pass.
        """
        answer["metadata"].pop("managedFields", None)
        self._caches.installations.view.remember(answer)

    async def place(self, notes: Notes, region: str) -> None:
        """Write the region, once. Raises KubeError."""
        if notes.installation.spec.region is not None:
            return
        metadata = notes.installation.metadata
        answer = await self._kube.merge_patch(
            resources.INSTALLATIONS,
            metadata.name,
            same_object(metadata, {"spec": {"region": region}}),
            namespace=metadata.namespace,
        )
        self.stored(answer)
        notes.installation = parse(TalkdeskInstallation, answer)

    async def revoke(self, notes: Notes, agenda: Agenda) -> None:
        """Apply what takes access away, before anything slower. Raises KubeError."""
        if await self._revocations.apply(notes.installation):
            _log.info("revocations applied", installation=notes.name)
        next_at = await self._revocations.sweep(notes.installation)
        if next_at is not None:
            agenda.look_in((next_at - self._clock()).total_seconds())
        notes.users = self._slices.current(notes.installation).status

    async def look(
        self, notes: Notes, app: TalkdeskApp, agenda: Agenda, *, role: Role, facts_known: bool
    ) -> None:
        """Read the installation from Talkdesk if it is due; failures become verdicts. Raises KubeError."""
        installation = notes.installation
        if not self._speaks(notes, role):
            return
        serving = role in (Role.INCUMBENT, Role.AWAITED) and not installation.spec.talkdesk.is_uninstalled
        overtaken = self._overtaken(notes, role)
        unsettled = self._revocations.unsettled(installation) if serving else frozenset()
        complete = facts_known and not _forgotten(installation)
        wait = due(
            installation,
            notes.memory,
            now=self._monotonic(),
            cadence=self._cadence,
            incomplete=serving and not (complete and self._known(installation)),
            unsettled=bool(unsettled),
            ruled_anew=self._ruled_anew(notes, role),
            overtaken=overtaken,
        )
        known = notes.memory.reading
        outdated = serving and known is not None and known.outdated
        watched = role is Role.SUPERSEDED and not overtaken and not notes.leaving
        routine = self._routine(notes, facts_known=complete or watched, unsettled=bool(unsettled))
        trial = self._keyring.is_due(notes)
        if wait <= 0 and routine and not outdated and not trial:
            wait = self._turn(notes, app)
        if wait > 0 and not outdated and not notes.ask and not trial:
            agenda.look_in(min(wait, self._keyring.wait(notes) or wait))
            return
        if installation.spec.talkdesk.credentials is None:
            notes.located = await self._keyring.locate(installation)
            if notes.located is None:
                self._silent(notes)
                return
        whole = serving and (
            notes.ask or known is None or not complete or _news(notes, known) or self._resync(notes)
        )
        try:
            opened = await self._keyring.open(
                notes,
                app,
                lambda: self._ask(notes, unsettled, whole=whole or outdated, serving=serving),
                news=known is None or _news(notes, known),
            )
        except TalkdeskError as error:
            missing = isinstance(error, NotFound) and not notes.leaving
            if not missing or not not_found.believed(notes.memory, self._monotonic(), self._cadence):
                self._refused(notes, error, agenda)
                return
            found = not_found.reading(installation, known, self._monotonic())
            notes.memory.resync_due = self._cadence.next_resync(self._monotonic())
        else:
            if not isinstance(opened, Reading):
                self._keyless(notes, opened, agenda)
                return
            found = opened
            not_found.known(notes.memory)
        self._taken(notes, found, agenda)

    async def _ask(self, notes: Notes, unsettled: frozenset[str], *, whole: bool, serving: bool) -> Reading:
        """A reading whose account, plan and trial are of the state that it shows. Raises TalkdeskError."""
        known = notes.memory.reading
        found = await self.read(notes, seen=unsettled, whole=whole)
        if known is None or found.whole:
            return found
        found = found.with_details_of(known)
        if serving and found.outdated:
            # An answer, Talkdesk's patience or an event on its way has changed what it shows.
            return await self.read(notes, seen=unsettled, whole=True)
        return found

    async def ref(self, notes: Notes, app: TalkdeskApp) -> InstallationRef | None:
        """How to call Talkdesk, where the notes do not have it yet. Raises KubeError."""
        if notes.ref is None:
            notes.ref = await self._keyring.ref(notes, app)
        return notes.ref if isinstance(notes.ref, InstallationRef) else None

    async def read(self, notes: Notes, *, seen: frozenset[str], whole: bool) -> Reading:
        """Read now. Raises TalkdeskError."""
        assert isinstance(notes.ref, InstallationRef)  # noqa: S101 - look() and ref() come first
        with self._hanging.asking(notes.ref.hosts.api, Call.WHOLE_READING if whole else Call.READING):
            return await reading.read(
                self._client,
                notes.ref,
                notes.installation,
                seen=seen,
                now=self._monotonic(),
                at=self._clock(),
                whole=whole,
            )

    def _known(self, installation: TalkdeskInstallation) -> bool:
        """All users are in the slices, and their roles were read as well."""
        return self._slices.current(installation).complete and not roles_unknown(installation)

    def _ruled_anew(self, notes: Notes, role: Role) -> bool:
        """The users are not what the present rules make of them, and Talkdesk can be asked for them."""
        if role is not Role.INCUMBENT or notes.state == NOT_FOUND_STATE:
            return False
        return changed(notes.installation, notes.rules)

    def _speaks(self, notes: Notes, role: Role) -> bool:
        """Whether there is anything to ask Talkdesk about this installation."""
        installation = notes.installation
        if installation.spec.talkdesk.is_uninstalled or role is Role.UNINSTALLED:
            return not answered(installation)
        # An awaited one may be a customer whose object somebody deleted: its credentials may still be there.
        # Of a superseded one the uninstallation is missing: Talkdesk may wait for our answer to it.
        return role is not Role.SUPERSEDED or not is_over(installation)

    def _overtaken(self, notes: Notes, role: Role) -> bool:
        """A newer installation holds the tenant, no event says why, and Talkdesk was not asked since."""
        memory, installation = notes.memory, notes.installation
        if role is not Role.SUPERSEDED or installation.spec.talkdesk.is_uninstalled:
            memory.overtaken_at = None
            return False
        if memory.overtaken_at is None:
            ready = find(installation.status.conditions, types.READY)
            confirmed = find(installation.status.conditions, types.CONFIRMED)
            asked = confirmed is None or confirmed.status != "Unknown"
            if ready is not None and ready.reason == Reason.SUPERSEDED and asked:
                return False
            memory.overtaken_at = self._monotonic()
        return memory.reading is None or memory.reading.begun < memory.overtaken_at

    def _routine(self, notes: Notes, *, facts_known: bool, unsettled: bool) -> bool:
        """Nobody waits for this reading: no event, no person, no sign-in, no answer that is owed."""
        known, installation = notes.memory.reading, notes.installation
        if known is None:
            observed = installation.status.observed_generation == installation.metadata.generation
            news = not observed or resync_token(installation) != installation.status.observed_resync
        else:
            news = _news(notes, known) or is_pending(known.state)
        return not news and facts_known and not unsettled

    def _turn(self, notes: Notes, app: TalkdeskApp) -> float:
        """Seconds until a routine reading has its turn; 0 or less: now."""
        now, memory = self._monotonic(), notes.memory
        if memory.turn is None and (host := _host(notes, app)):
            memory.turn = self._pace.reserve(host, now)
        if memory.turn is None or memory.turn <= now:
            memory.turn = None
            return 0.0
        return memory.turn - now

    def _resync(self, notes: Notes) -> bool:
        due_at = notes.memory.resync_due
        return due_at is not None and due_at <= self._monotonic()

    def _silent(self, notes: Notes) -> None:
        notes.verdicts[types.CREDENTIALS_VALID] = unknown(
            Reason.AWAITING_INSTALLED, "no event has carried credentials yet"
        )

    def _taken(self, notes: Notes, found: Reading, agenda: Agenda) -> None:
        memory = notes.memory
        news = memory.reading is None or _news(notes, memory.reading)
        behind = not is_pending(found.state) and _behind(notes.installation, found)
        memory.rechecks = (RECHECKS if news else max(0, memory.rechecks - 1)) if behind else 0
        if found.whole or memory.resync_due is None or notes.leaving or notes.role is Role.SUPERSEDED:
            memory.resync_due = self._cadence.next_resync(self._monotonic())
        if found.whole:
            memory.listed_for, memory.secrets_due = None, True
        memory.reading = notes.fresh = found
        if memory.rechecks or is_pending(found.state) or found.seen:
            agenda.look_in(self._cadence.pending)
        elif found.state in TROUBLED_STATES:
            agenda.look_in(self._cadence.troubled)
        else:
            agenda.look_in(memory.resync_due - self._monotonic())
        notes.verdicts[types.CREDENTIALS_VALID] = true(Reason.CREDENTIALS_ACCEPTED)
        wait = self._keyring.wait(notes)
        if wait is not None:
            agenda.look_in(wait)
            message = "with the set before the newest, which is refused so far and tried again"
            notes.verdicts[types.CREDENTIALS_VALID] = true(Reason.CREDENTIALS_ACCEPTED, message)

    def _keyless(self, notes: Notes, problem: Unusable, agenda: Agenda) -> None:
        """There are no credentials to try."""
        notes.verdicts[types.CREDENTIALS_VALID] = false(problem.reason, problem.message)
        if problem.permanent:
            agenda.fail()  # nothing tells us when somebody brings the Secret back

    def _refused(self, notes: Notes, error: TalkdeskError, agenda: Agenda) -> None:
        failure = failures.of_reading(error)
        installation, gone = notes.installation, isinstance(error, NotFound)
        left = notes.leaving or notes.role is Role.SUPERSEDED
        wait = None
        if left and (gone or failure.kind is Kind.REFUSED):
            wait = until_over(
                installation,
                superseded=notes.role is Role.SUPERSEDED,
                holder=notes.holder,
                approved=uninstall_approved(notes.given),
                told=gone,
                refused=failure.final,
                now=self._clock(),
                lasting=self._revoked,
            )
        if wait == timedelta(0):
            message = "uninstalled, and Talkdesk no longer accepts the credentials: nothing is left to answer"
            notes.verdicts[types.CREDENTIALS_VALID] = false(Reason.CREDENTIALS_REVOKED, message)
            approved = uninstall_approved(notes.given)
            reason = Reason.UNINSTALL_APPROVED if approved else Reason.CREDENTIALS_REVOKED
            notes.verdicts[types.CONFIRMED] = true(reason, message)
            return
        _log.warning("Talkdesk could not be read", installation=notes.name, error=failure.message)
        agenda.fail(failure.retry_after)
        verdict = self._credentials_verdict(installation, failure)
        if wait is not None:
            agenda.decide_in(wait.total_seconds())
            verdict = false(failure.reason, f"{failure.message}; if that lasts, the uninstallation is over")
        if verdict is not None:
            notes.verdicts[types.CREDENTIALS_VALID] = verdict
        if not answered(installation):
            # An answer that was owed stays owed: the condition's time is where patience began.
            owed = find(installation.status.conditions, types.CONFIRMED)
            say = false if owed is not None and owed.status == "False" else unknown
            notes.verdicts[types.CONFIRMED] = say(
                failure.reason if failure.kind is not Kind.REFUSED else Reason.NOT_CHECKED, failure.message
            )

    def _credentials_verdict(
        self, installation: TalkdeskInstallation, failure: failures.Failure
    ) -> Verdict | None:
        """What a failed reading says about the credentials; None for nothing."""
        if failure.kind is not Kind.REFUSED:
            about = failure.reason in (Reason.CREDENTIALS_INVALID, Reason.FOREIGN_LINKS)
            return false(failure.reason, failure.message) if about else None
        if not failure.final or not self._young(installation):
            return false(failure.reason, failure.message)
        stored = find(installation.status.conditions, types.CREDENTIALS_VALID)
        # Refused credentials stay refused until others have worked: their grace runs on.
        say = false if stored is not None and stored.status == "False" else unknown
        return say(Reason.CREDENTIALS_SPREADING, f"not accepted yet, as new ones may be; {failure.message}")

    def _young(self, installation: TalkdeskInstallation) -> bool:
        """The newest credentials may not have spread at Talkdesk yet."""
        register = installation.spec.talkdesk.credentials
        came = moment(register.at) if register is not None else None
        came = came or moment(installation.metadata.creation_timestamp)
        age = self._clock() - came if came is not None else self._spreading
        return -_SKEW < age < self._spreading


def _host(notes: Notes, app: TalkdeskApp) -> str:
    """Where its region's API is; "" for a region that the app does not have."""
    region = app.spec.regions.get(notes.installation.spec.region or "")
    return region.api if region is not None else ""


def _forgotten(installation: TalkdeskInstallation) -> bool:
    """The status does not say what only a reading can: somebody deleted it, or no reading has ended well.

    A part of it may be back: a pass that was under way writes what it changed.
    """
    status = installation.status
    known = {one.type for one in status.conditions if one.reason != Reason.NOT_CHECKED}
    if not {types.CREDENTIALS_VALID, types.USERS_SYNCED} <= known or status.talkdesk is None:
        return True
    accepted = any(one.type == types.CREDENTIALS_VALID and one.status == "True" for one in status.conditions)
    return accepted and status.credentials is None and status.talkdesk.state != NOT_FOUND_STATE


def _news(notes: Notes, known: Reading) -> bool:
    """Something was said since ``known`` was read: by an event, a person's switch or a resync token."""
    installation = notes.installation
    return (known.generation, known.resync_token) != (
        installation.metadata.generation,
        resync_token(installation),
    )


def _behind(installation: TalkdeskInstallation, found: Reading) -> bool:
    """Talkdesk's API shows a state from before the newest event that changes it."""
    said = installation.spec.talkdesk
    newest = max(
        (one.at or "" for one in (said.installed, said.updated, said.uninstalled) if one), default=""
    )
    try:
        shown = stamp_time(datetime.fromisoformat(found.updated_at or ""))
    except ValueError:
        return True
    return shown < newest
