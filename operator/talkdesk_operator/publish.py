"""The end of a pass: one write of status for each installation whose status changed, and Events about it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakValueDictionary

from talkdesk_crds import conditions as types
from talkdesk_crds.conditions import INSTALLATION_CONDITIONS, READY, Reason
from talkdesk_crds.installation import TalkdeskInstallationStatus, TalkdeskState
from talkdesk_kube import NotFound, resources
from talkdesk_operator import answers, audit, trial
from talkdesk_operator.access import access
from talkdesk_operator.conditions import Verdict, conditions, false, find, summary, unknown
from talkdesk_operator.confirm import NOT_FOUND_STATE, was_served
from talkdesk_operator.deadlines import deadlines
from talkdesk_operator.incumbent import Role
from talkdesk_operator.moments import moment
from talkdesk_operator.news import news
from talkdesk_operator.over import is_over
from talkdesk_operator.paused import is_paused
from talkdesk_operator.tenant.sign_in import sign_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from talkdesk_crds.installation import TalkdeskInstallation
    from talkdesk_crds.meta import Condition
    from talkdesk_kube import Kube
    from talkdesk_kube.events import EventRecorder
    from talkdesk_operator.notes import Notes
    from talkdesk_operator.observe import Observer
    from talkdesk_operator.tenant import Making, Tenant


@dataclass(frozen=True)
class Home:
    """Where an installation lives; absent for those that hold no tenant."""

    tenant: Tenant
    host: str
    #: What the tenant is made as; None while it is not known.
    made: Making | None = None
    #: It is all of that by now.
    whole: bool = False
    #: The revision that this pass applied completely, None where it did not come so far.
    revision: str | None = None


def status_of(notes: Notes, home: Home | None, now: datetime) -> TalkdeskInstallationStatus:
    """The whole status after a pass. Pure."""
    installation = notes.installation
    old, generation = installation.status, installation.metadata.generation
    steps = conditions(
        old.conditions,
        _unasked(notes) | notes.verdicts,
        wanted=[name for name in INSTALLATION_CONDITIONS if name != READY],
        generation=generation,
        now=now,
    )
    ready = summary(steps, overruled=_overruled(notes), generation=generation)
    if ready.status == "True" and is_paused(installation):
        ready = replace(ready, message="paused by annotation: nothing is written to the tenant")
    summed = conditions(old.conditions, {READY: ready}, wanted=[READY], generation=generation, now=now)
    reading = notes.reading
    listed = notes.listed or notes.role is not Role.INCUMBENT or notes.state == NOT_FOUND_STATE
    return TalkdeskInstallationStatus(
        observed_generation=generation,
        conditions=[*steps, *summed],
        access=access(
            suspension=notes.suspension,
            state=notes.state,
            approved=_approved(notes),
            previous=old.access,
            served=was_served(notes.given),
        ),
        impending=notes.impending,
        users=notes.users,
        user_rules=notes.user_rules if notes.listed else old.user_rules,
        **_at_home(notes, home),
        credentials=notes.worked or old.credentials,
        acknowledged=notes.acknowledged or old.acknowledged,
        rotation_requested_at=notes.rotation_requested_at or old.rotation_requested_at,
        talkdesk=(
            TalkdeskState(
                state=reading.state[:64],
                updated_at=reading.updated_at[:64] if reading.updated_at is not None else None,
            )
            if reading is not None
            else old.talkdesk
        ),
        deadlines=deadlines(notes, now=now, trial=_trial_ends(notes), retention=_retained_until(notes)),
        answers=answers.for_status(notes.given),
        observed_resync=reading.resync_token if reading is not None and listed else old.observed_resync,
    )


def _at_home(notes: Notes, home: Home | None) -> dict[str, Any]:
    """Where it lives and what it was made as last, completely; until it ever was, what it is to be."""
    old = notes.installation.status
    if home is None:
        if notes.role in (Role.SUPERSEDED, Role.AWAITED):
            return {}
        return {"tenant": old.tenant, "host": old.host, "revision": old.revision, **_made_as(old)}
    known = _made_as(old)
    # The gateway sends users to what is named here: to what the tenant has, while it is to become another.
    if home.made is not None and (home.whole or old.revision is None):
        known = {
            "plan": home.made.plan_name,
            "app_version": home.made.facts.app_version,
            "sign_in": sign_in(home.made),
            "service": home.made.blueprint.service,
        }
    revision = home.revision or old.revision
    return {"tenant": home.tenant.name, "host": home.host, "revision": revision, **known}


def _made_as(old: TalkdeskInstallationStatus) -> dict[str, Any]:
    return {
        "plan": old.plan,
        "app_version": old.app_version,
        "sign_in": old.sign_in,
        "service": old.service,
    }


def _unasked(notes: Notes) -> dict[str, Verdict]:
    """What is said of one that a newer one has just superseded, where this pass could not ask Talkdesk why.

    It is asked on; what stood there is about its installation, and a restart must not take it for an answer.
    """
    installation = notes.installation
    confirmed = find(installation.status.conditions, types.CONFIRMED)
    ready = find(installation.status.conditions, READY)
    if (
        notes.role is not Role.SUPERSEDED
        or notes.fresh is not None
        or installation.spec.talkdesk.is_uninstalled
        or is_over(installation)
        or (ready is not None and ready.reason == Reason.SUPERSEDED)
        or confirmed is None
        or confirmed.status != "True"
    ):
        return {}
    message = "a newer installation took the tenant over, and Talkdesk could not be asked why"
    return {types.CONFIRMED: unknown(Reason.NOT_CHECKED, message)}


def _overruled(notes: Notes) -> Verdict | None:
    if notes.role is Role.AWAITED:
        return None
    if notes.suspension is None:
        return notes.held
    return false(notes.suspension.reason, notes.suspension.message)


def _approved(notes: Notes) -> bool:
    """Our approval of exactly the present state was accepted, whatever Talkdesk's API still shows.

    Or of what was before it: the customer may have asked for an update before access could be stored.
    """
    reading = notes.reading
    if reading is None or notes.leaving:
        return False
    if any(one.answer == "approve" and one.covers(reading.moment) for one in notes.given):
        return True
    last = notes.given[-1] if notes.given else None
    taken = last is not None and last.answer == "approve" and last.result_state is not None
    return reading.state == "updating" and taken


def _trial_ends(notes: Notes) -> datetime | None:
    """When a running trial ends; None for who pays, or is no customer any more."""
    if notes.role is not Role.INCUMBENT or notes.subscription_type == trial.PAID:
        return None
    running = trial.current(notes.installation.spec.talkdesk, notes.trial)
    return None if running is None or running.is_over else running.ends


def _retained_until(notes: Notes) -> datetime | None:
    """As judged in this pass; as it was where the pass ended before."""
    stored = notes.installation.status.deadlines.retention
    return notes.retained_until if notes.kept else moment(stored)


def patch_of(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """A merge patch from ``old`` to ``new``, objects within them included; lists are replaced whole. Pure."""
    changed: dict[str, Any] = dict.fromkeys(name for name in old if name not in new)
    for name, value in new.items():
        before = old.get(name)
        if before == value:
            continue
        if isinstance(before, dict) and isinstance(value, dict):
            changed[name] = patch_of(before, value)
        else:
            changed[name] = value
    return changed


class Publisher:
    """Writes status and Events."""

    def __init__(
        self, kube: Kube, observer: Observer, recorder: EventRecorder, clock: Callable[[], datetime]
    ) -> None:
        self._kube = kube
        self._observer = observer
        self._recorder = recorder
        self._clock = clock
        self._writing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def publish(self, notes: Notes, home: Home | None) -> bool:
        """Store the status if it changed; True where it did. Raises KubeError."""
        installation = notes.installation
        status = status_of(notes, home, self._clock())
        patch = patch_of(installation.status.to_json(), status.to_json())
        if not patch or not await self._write(installation, status, patch):
            return False
        self._tell(installation, status.conditions)
        return True

    async def refuse(self, notes: Notes) -> None:
        """Store that ``notes.suspension`` ended access, and nothing else of the status. Raises KubeError."""
        installation, suspension = notes.installation, notes.suspension
        old = installation.status
        if suspension is None or old.access is None or old.access.state != "Allowed":
            return
        refused = access(suspension=suspension, state=None, approved=False, previous=old.access)
        status = old.model_copy(update={"access": refused})
        await self._write(installation, status, {"access": refused.to_json()})
        notes.installation = installation.model_copy(update={"status": status})

    async def _write(
        self, installation: TalkdeskInstallation, status: TalkdeskInstallationStatus, patch: dict[str, Any]
    ) -> bool:
        """One write of status at a time for each object; a change of access is one line, whoever wrote it.

        False where the object was deleted meanwhile: nobody is left to read it.
        """
        metadata = installation.metadata
        async with self._writing.setdefault(metadata.name, asyncio.Lock()):
            # What this pass began with may be older than what the one beside it has written, and the object
            # may be another by now, which the API server does not tell of a write to its status.
            newest = self._observer.newest(installation)
            if newest is None:
                return False
            try:
                stored = await self._kube.merge_patch(
                    resources.INSTALLATIONS,
                    metadata.name,
                    {"status": patch},
                    namespace=metadata.namespace,
                    subresource="status",
                )
            except NotFound:
                return False
            changed = audit.access_changed(installation, status, stored=stored, now=self._clock())
            if changed is not None and status.access != newest.status.access:
                audit.say("access changed", changed)
            self._observer.stored(stored)
        return True

    def tell(
        self,
        notes: Notes,
        kind: Literal["Normal", "Warning"],
        reason: str,
        note: str,
        *,
        action: str,
    ) -> None:
        """An Event about the installation."""
        self._recorder.event(reference(notes.installation), kind, reason, note, action)

    def _tell(self, installation: TalkdeskInstallation, now: list[Condition]) -> None:
        regarding = reference(installation)
        for told in news(installation.status.conditions, now):
            self._recorder.event(regarding, told.kind, told.reason, told.note, told.action)


def reference(installation: TalkdeskInstallation) -> dict[str, Any]:
    """What an Event about ``installation`` regards."""
    return {
        "apiVersion": installation.api_version,
        "kind": installation.kind,
        "metadata": {
            "name": installation.metadata.name,
            "namespace": installation.metadata.namespace,
            "uid": installation.metadata.uid,
        },
    }
