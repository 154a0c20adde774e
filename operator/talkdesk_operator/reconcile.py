"""One pass over one tenant: observe, plan, apply, gate, confirm; one status at the end, whatever failed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from talkdesk_crds import conditions as types
from talkdesk_crds.conditions import Reason
from talkdesk_kube import KubeError, Unreadable
from talkdesk_operator.conditions import Verdict as Finding
from talkdesk_operator.conditions import false, true, unknown
from talkdesk_operator.confirm import NOT_FOUND_STATE, Readiness
from talkdesk_operator.gate import Verdict
from talkdesk_operator.incumbent import Role, holding
from talkdesk_operator.keys import UNPLACED, AppKey
from talkdesk_operator.notes import Agenda
from talkdesk_operator.over import answered
from talkdesk_operator.paused import is_paused
from talkdesk_operator.plan_known import plan_known
from talkdesk_operator.provision import Wanted
from talkdesk_operator.publish import Home
from talkdesk_operator.region import Unplaced, place
from talkdesk_operator.same_object import is_another
from talkdesk_operator.standing import Case, Suspension, judge
from talkdesk_operator.user_rules import changed, roles_unknown, rules

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from talkdesk_crds.app import TalkdeskApp
    from talkdesk_operator.answer import Answerer
    from talkdesk_operator.directory import Directory
    from talkdesk_operator.endings import Endings
    from talkdesk_operator.incumbent import Holding
    from talkdesk_operator.keeper import Keeper
    from talkdesk_operator.keys import Key, TenantKey
    from talkdesk_operator.mail.desk import MailDesk
    from talkdesk_operator.notes import Notes
    from talkdesk_operator.observe import Observer
    from talkdesk_operator.provision import Provisioned, Provisioner
    from talkdesk_operator.publish import Publisher
    from talkdesk_operator.queue import Outcome
    from talkdesk_operator.revision_store import RevisionStore
    from talkdesk_operator.rotator import Rotator
    from talkdesk_operator.slices import SliceStore
    from talkdesk_operator.tenant import Facts, Release
    from talkdesk_operator.user_sync import UserSync

_log = structlog.get_logger(__name__)

#: What a person's switch or Talkdesk's event ends by itself.
_TOLD = frozenset({Reason.SUSPENDED, Reason.TRIAL_ENDED})
#: Talkdesk's API says so, but the event is missing.
LEFT = Suspension(
    Reason.UNINSTALLED, "Talkdesk says uninstalled, and no event has; the tenant is kept", read=True
)


@dataclass(frozen=True)
class Steps:
    """Everything a pass is made of."""

    release: Release
    directory: Directory
    observer: Observer
    keeper: Keeper
    provisioner: Provisioner
    revisions: RevisionStore
    users: UserSync
    slices: SliceStore
    answerer: Answerer
    rotator: Rotator
    publisher: Publisher
    endings: Endings
    mails: MailDesk
    #: Has the queue look at a key.
    wake: Callable[[Key], None]
    clock: Callable[[], datetime]


class TenantReconciler:
    """Reconciles tenants; one pass at a time for each (the queue sees to that)."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    async def reconcile(self, key: TenantKey) -> Outcome:
        """Bring the tenant of ``key``, and all that hangs on it, to what it should be."""
        steps, agenda = self._steps, Agenda()
        app = steps.directory.app(key.app_id)
        homes: dict[str, Home] = {}
        # Known from the start: whatever step fails, the status that is written must not take access away.
        everyone = self._known(key, app)
        try:
            for notes in everyone:
                await steps.observer.revoke(notes, agenda)
            if app is None or key.region == UNPLACED:
                self._unplaced(everyone, app)
            else:
                await self._placed(key, app, everyone, homes, agenda)
        except (KubeError, Unreadable) as error:
            self._broken(error, agenda)
        for notes in everyone:
            try:
                notes.verdicts[types.NOTIFIED] = steps.mails.verdict(notes.installation, app)
                changed = await steps.publisher.publish(notes, homes.get(notes.name))
            except (KubeError, Unreadable) as error:
                self._broken(error, agenda)
                if notes.fresh is not None or notes.listed:
                    notes.memory.read_again()
                continue
            except Exception:  # noqa: BLE001 - a defect in one status must not keep the others'; it is logged
                _log.exception("a status could not be published", installation=notes.name)
                agenda.fail()
                continue
            if changed and app is not None and (notes.impending or notes.installation.status.impending):
                steps.wake(AppKey(app.metadata.name))  # whose condition says whether the brake holds
        return agenda.outcome()

    async def end(self, key: TenantKey) -> None:
        """Refuse access where an event or a person has ended it, by what is known. Raises KubeError.

        A pass does so too, once Talkdesk has answered or failed to: that may take long.
        """
        for notes in self._known(key, self._steps.directory.app(key.app_id)):
            if notes.suspension is None or notes.suspension.read or notes.ask:
                continue
            if notes.suspension.reason in _TOLD:
                await self._steps.publisher.refuse(notes)

    def _known(self, key: TenantKey, app: TalkdeskApp | None) -> list[Notes]:
        """Notes of all installations of a tenant, judged by what is known before Talkdesk is asked."""
        steps = self._steps
        everyone = [steps.observer.notes(one) for one in steps.directory.installations(key)]
        stored = steps.provisioner.facts(steps.release.tenant(key)) if key.region != UNPLACED else None
        for notes in everyone:
            if stored is not None and stored.installation_id == notes.installation.spec.installation_id:
                notes.stored = stored
        self._stand(everyone, app, Agenda())
        return everyone

    def _broken(self, error: Exception, agenda: Agenda) -> None:
        """A step ended early. Conflicts and absences are everyday business between concurrent writers."""
        wait = error.retry_after if isinstance(error, KubeError) else None
        ordinary = isinstance(error, KubeError) and (error.status.code in (404, 409) or is_another(error))
        (_log.debug if ordinary else _log.warning)("a step of a pass failed", error=str(error))
        agenda.fail(wait)

    def _unplaced(self, everyone: list[Notes], app: TalkdeskApp | None) -> None:
        """Nothing can be done for these but to say why."""
        for notes in everyone:
            if app is None:
                message = f"no TalkdeskApp has appId {notes.installation.spec.app_id}"
                notes.verdicts[types.APP_KNOWN] = false(Reason.APP_UNKNOWN, message)
                continue
            notes.verdicts[types.APP_KNOWN] = true(Reason.APP_FOUND, app.metadata.name)
            placed = place(app, notes.installation)
            if isinstance(placed, Unplaced):
                notes.verdicts[types.CREDENTIALS_VALID] = false(placed.reason, placed.message)

    async def _placed(
        self,
        key: TenantKey,
        app: TalkdeskApp,
        everyone: list[Notes],
        homes: dict[str, Home],
        agenda: Agenda,
    ) -> None:
        steps = self._steps
        tenant = steps.release.tenant(key)
        for notes in everyone:
            notes.verdicts[types.APP_KNOWN] = true(Reason.APP_FOUND, app.metadata.name)
            notes.grace = timedelta(seconds=app.spec.credentials.grace_seconds)
            await steps.observer.place(notes, key.region)
            notes.rules = rules(app, notes.installation)
        stored_facts = steps.provisioner.facts(tenant)
        await self._read(app, everyone, stored_facts, agenda)
        for notes in everyone:
            await steps.rotator.rotate(notes, app, agenda)
        held = self._stand(everyone, app, agenda)
        holder = next((one for one in everyone if one.installation is held.holder), None)
        suspended = _suspended(holder)
        wanted = Wanted(
            app=app,
            tenant=tenant,
            facts=_facts(key, holder, stored_facts),
            suspended=suspended,
            choice=steps.revisions.choice(app, tenant, at_rest=suspended is not None),
            paused=holder is not None and is_paused(holder.installation),
            kept=steps.revisions.kept(app, tenant),
        )
        if holder is not None:
            host = tenant.host(app.spec.base_domain)
            homes[holder.name] = Home(tenant=tenant, host=host)
        kept = await steps.keeper.keep(tenant, app, everyone, agenda)
        for gone in kept.gone:
            note = "deleted with its credentials: its retention is over"
            steps.publisher.tell(gone, "Normal", "RetentionOver", note, action="Delete")
        everyone[:] = [one for one in everyone if one not in kept.gone]
        verdict: Verdict = Verdict(Readiness.NOT_YET, Reason.UNINSTALLED, "there is no tenant any more")
        if kept.tenant:
            verdict, done = await self._work(wanted, holder, agenda)
            if holder is not None:
                made = done.made or done.wanted
                known = replace(homes[holder.name], made=made, whole=done.whole, revision=done.revision)
                homes[holder.name] = known
                if done.wanted is not None:
                    holder.verdicts[types.PLAN_KNOWN] = plan_known(done.wanted)
        for notes in everyone:
            await self._conclude(notes, notes is holder, wanted, verdict, agenda)
            said = notes.verdicts.get(types.CONFIRMED)
            if (
                notes.leaving
                and said is not None
                and said.status == "True"
                and not answered(notes.installation)
            ):
                agenda.look_in(0.0)  # nothing is owed any more: its retention may end sooner

    def _stand(self, everyone: list[Notes], app: TalkdeskApp | None, agenda: Agenda) -> Holding:
        """Who holds the tenant, and whether each is served: by its objects, by the newest reading and now."""
        steps, gone = self._steps, set()
        told = holding([one.installation for one in everyone]).roles
        for notes in everyone:
            notes.impending = notes.held = None
            # Whoever a newer one has superseded lost its access by an event: there is nothing to hold back.
            superseded = told[notes.name] is Role.SUPERSEDED
            if notes.left and (superseded or self._comes(notes, app, LEFT, agenda)):
                gone.add(notes.name)
        live = {one.name: one.live_since for one in everyone if one.live_since is not None}
        held = holding([one.installation for one in everyone], gone=frozenset(gone), live=live)
        for notes in everyone:
            notes.role, notes.holder = held.roles[notes.name], held.holder
            case = Case(
                installation=notes.installation,
                role=notes.role,
                app=app,
                reading=notes.reading,
                state=notes.state,
                now=steps.clock(),
                trial=notes.trial,
                subscription_type=notes.subscription_type,
                credentials=notes.verdicts.get(types.CREDENTIALS_VALID),
            )
            judgement = judge(case)
            notes.suspension, notes.ask = judgement.suspension, judgement.ask
            if judgement.look_at is not None:
                agenda.decide_in((judgement.look_at - case.now).total_seconds())
            read = notes.suspension is not None and notes.suspension.read
            if read and not self._comes(notes, app, notes.suspension, agenda):
                notes.suspension = None
        return held

    def _comes(
        self, notes: Notes, app: TalkdeskApp | None, suspension: Suspension | None, agenda: Agenda
    ) -> bool:
        """Whether what only Talkdesk's API tells of comes now."""
        if suspension is None:
            return False
        wait = self._steps.endings.comes(notes, app, suspension)
        if wait is not None:
            agenda.decide_in(wait)
        return wait is None

    async def _read(
        self, app: TalkdeskApp, everyone: list[Notes], stored: Facts | None, agenda: Agenda
    ) -> None:
        """Everyone's news from Talkdesk, side by side."""
        held = holding([one.installation for one in everyone])
        await _together(
            *(
                self._steps.observer.look(
                    notes,
                    app,
                    agenda,
                    role=held.roles[notes.name],
                    facts_known=stored is not None
                    and stored.installation_id == notes.installation.spec.installation_id,
                )
                for notes in everyone
            )
        )

    async def _work(
        self, wanted: Wanted, holder: Notes | None, agenda: Agenda
    ) -> tuple[Verdict, Provisioned]:
        """Tenant and users, side by side."""
        again = holder is not None and holder.memory.secrets_due
        results: list[Provisioned] = []

        async def provision() -> None:
            done = await self._steps.provisioner.provision(wanted, agenda, again=again)
            results.append(done)
            applied = done.applied
            if holder is not None and applied is not None and not applied.failures:
                holder.memory.secrets_due = False
            if holder is not None and applied is not None and applied.created_namespace:
                note = f"tenant {wanted.tenant.name} created"
                self._steps.publisher.tell(holder, "Normal", "TenantCreated", note, action="Provision")
            if holder is not None and applied is not None and applied.remade:
                note = "generated Secrets were gone and have new values: " + ", ".join(applied.remade)
                self._steps.publisher.tell(holder, "Warning", "SecretRemade", note, action="Provision")
            if holder is not None and applied is not None and applied.pruned:
                note = "no longer in the template: " + ", ".join(applied.pruned)
                self._steps.publisher.tell(holder, "Normal", "Pruned", note, action="Prune")

        await _together(provision(), self._list(wanted.app, holder, agenda))
        if holder is None:
            return results[0].verdict, results[0]
        return await self._steps.provisioner.probe(wanted, results[0], holder, agenda), results[0]

    async def _list(self, app: TalkdeskApp, holder: Notes | None, agenda: Agenda) -> None:
        """The users: at each whole reading, for each new moment, while removals wait, and for lost slices.

        And once in a reading where rules have changed, or roles could not be read.
        """
        if holder is None or holder.role is not Role.INCUMBENT:
            return
        self._steps.endings.recall(holder)
        if holder.reading is None:
            return
        if holder.reading.state == NOT_FOUND_STATE:
            return
        fresh = holder.fresh
        wanted = fresh is not None and (fresh.whole or bool(fresh.seen) or _outdated(holder))
        wanted = wanted or not self._steps.slices.current(holder.installation).complete
        if not wanted and holder.memory.listed_for == holder.reading.moment:
            return
        ref = await self._steps.observer.ref(holder, app)
        if ref is not None:
            await self._steps.users.sync(holder, app, ref, holder.reading, agenda)

    async def _conclude(
        self, notes: Notes, holds: bool, wanted: Wanted, verdict: Verdict, agenda: Agenda
    ) -> None:
        notes.verdicts[types.TENANT_READY] = _tenant_ready(notes, holds, verdict)
        await self._steps.answerer.answer(notes, wanted.app, verdict, agenda)
        await self._steps.mails.settle(notes, wanted.app)
        if notes.users is not None and notes.users == notes.installation.status.users:
            await self._steps.slices.prune(notes.installation)


def _facts(key: TenantKey, holder: Notes | None, stored: Facts | None) -> Facts | None:
    """The newest facts; an installation that has just taken over is not served from its predecessor's."""
    if holder is None or holder.role is not Role.INCUMBENT:
        return stored
    reading, installation = holder.reading, holder.installation
    same = stored is not None and stored.installation_id == installation.spec.installation_id
    known = stored if same else None
    if reading is None or (known is not None and reading.outdated):
        return known
    return reading.facts(key, installation, holder.given, known=known)


def _outdated(holder: Notes) -> bool:
    """The users were listed under other rules, or without their roles."""
    return changed(holder.installation, holder.rules) or roles_unknown(holder.installation)


def _suspended(holder: Notes | None) -> Reason | None:
    """Why the tenant stands still; one that nobody holds does."""
    if holder is None:
        return Reason.UNINSTALLED
    return holder.suspension.reason if holder.suspension is not None else None


def _tenant_ready(notes: Notes, holds: bool, verdict: Verdict) -> Finding:
    if notes.role is Role.AWAITED:
        return unknown(Reason.NOT_CHECKED, "not installed yet")
    if not holds:
        return false(Reason.SUPERSEDED, "a newer installation holds this account's tenant")
    if verdict.readiness is Readiness.USABLE:
        return true(verdict.reason, verdict.message)
    return false(verdict.reason, verdict.message)


async def _together(*steps: Awaitable[None]) -> None:
    """Side by side; all end before the first error among them is raised."""
    for result in await asyncio.gather(*steps, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
