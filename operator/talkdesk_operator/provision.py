"""The tenant's part of a pass: what should exist is applied, then judged: is it usable?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import structlog

from talkdesk_crds import conditions as types
from talkdesk_crds.conditions import Reason
from talkdesk_operator.confirm import Readiness, is_pending
from talkdesk_operator.gate import Verdict
from talkdesk_operator.render import RenderError
from talkdesk_operator.tenant import desired, making
from talkdesk_operator.tenant.fit import misfits
from talkdesk_operator.tenant.review import problems_of

if TYPE_CHECKING:
    from talkdesk_crds.app import TalkdeskApp
    from talkdesk_crds.blueprint import Blueprint
    from talkdesk_operator.apply import Applier
    from talkdesk_operator.cache import Caches
    from talkdesk_operator.memory import Memory
    from talkdesk_operator.metrics import Metrics
    from talkdesk_operator.notes import Agenda, Notes
    from talkdesk_operator.probe import Prober
    from talkdesk_operator.revision import Choice, Revision
    from talkdesk_operator.round import Applied
    from talkdesk_operator.tenant import Desired, Facts, Making, Tenant
    from talkdesk_operator.tenant.fit import Misfit

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Wanted:
    """What a tenant should be: for whom, from which facts and revision, whether it is suspended (and why)."""

    app: TalkdeskApp
    tenant: Tenant
    facts: Facts | None
    suspended: Reason | None
    choice: Choice
    #: A person asked that nothing be written to it.
    paused: bool = False
    #: The revision the tenant was last made from.
    kept: Revision | None = None


@dataclass(frozen=True)
class Provisioned:
    """What came of it.

    ``asked`` is what the tenant should be, where that could not be made, and ``made`` what it is made as:
    that, or as it was before; None where nothing was made. ``whole``: it is all of ``made`` by now.
    ``revision`` is the one it was made from completely in this pass.
    """

    verdict: Verdict
    made: Making | None = None
    asked: Making | None = None
    applied: Applied | None = None
    whole: bool = False
    revision: str | None = None

    @property
    def wanted(self) -> Making | None:
        """What the tenant should be."""
        return self.asked or self.made


class Provisioner:
    """Applies and judges one tenant."""

    def __init__(
        self, *, applier: Applier, caches: Caches, prober: Prober, memory: Memory, metrics: Metrics
    ) -> None:
        self._applier = applier
        self._caches = caches
        self._prober = prober
        self._memory = memory
        self._metrics = metrics

    def facts(self, tenant: Tenant) -> Facts | None:
        """What the inventory says the tenant was last made from."""
        return self._applier.inventory_of(tenant).facts

    async def provision(self, wanted: Wanted, agenda: Agenda, *, again: bool) -> Provisioned:
        """Apply what should exist; how that went, or what the watch shows of it.

        What cannot be as a whole is not begun: the tenant is then kept as it was last made.

        :param again: also what no watch shows (Secrets): at a resync.
        """
        if wanted.facts is None:
            message = "account and plan have not been read from Talkdesk yet"
            reason = wanted.suspended or Reason.AWAITING_ACCOUNT
            return Provisioned(Verdict(Readiness.NOT_YET, reason, message))
        chosen = wanted.choice.revision
        if chosen is None or chosen.blueprint is None:
            return Provisioned(self._without(wanted))
        asked = self._making(wanted, wanted.facts, chosen.blueprint)
        done = await self._make(asked, wanted, chosen.name, agenda, again=again)
        if done.made is not None:
            return done
        stored, kept = self.facts(wanted.tenant), wanted.kept
        if (
            stored is None
            or stored.installation_id != wanted.facts.installation_id
            or kept is None
            or kept.blueprint is None
            or (stored, kept.name) == (wanted.facts, chosen.name)
        ):
            return replace(done, asked=asked)
        before = self._making(wanted, stored, kept.blueprint)
        still = await self._make(before, wanted, kept.name, agenda, again=again)
        return replace(still, verdict=done.verdict, asked=asked)

    def _making(self, wanted: Wanted, facts: Facts, blueprint: Blueprint) -> Making:
        return making(
            wanted.tenant,
            wanted.app,
            blueprint,
            facts,
            suspended=wanted.suspended is not None,
            abandoned=wanted.suspended is Reason.UNINSTALLED,
        )

    async def _make(
        self, made: Making, wanted: Wanted, revision: str, agenda: Agenda, *, again: bool
    ) -> Provisioned:
        """Apply ``made``, unless something is against it as a whole (``Provisioned.made`` is then None)."""
        try:
            objects = desired(made)
        except RenderError as error:
            return Provisioned(Verdict(Readiness.FAILED, Reason.TEMPLATE_INVALID, str(error)))
        if wanted.paused:
            differing = self._applier.differing(made.tenant, objects)
            return Provisioned(self._paused(wanted, objects, differing), made=made, whole=not differing)
        if found := self._misfits(made, objects):
            message = f"{made.plan_label} does not fit: {'; '.join(map(str, found))}"
            return Provisioned(Verdict(Readiness.FAILED, Reason.PLAN_DOES_NOT_FIT, message))
        applied = await self._applier.apply(
            made.tenant,
            objects,
            made.facts,
            revision=revision,
            again=again,
            prune=bool(made.blueprint.template),
        )
        if applied.written or applied.pruned:
            _log.info(
                "tenant changed", tenant=made.tenant.name, written=applied.written, pruned=applied.pruned
            )
            self._metrics.wrote(applied=len(applied.written), pruned=len(applied.pruned))
        if applied.rerouted:
            self._prober.rerouted(self._memory.probe(made.tenant.name))
        failure = applied.failure
        if failure is not None:
            _log.warning("tenant not complete", tenant=made.tenant.name, error=failure.message)
            agenda.fail(failure.retry_after)
            readiness = Readiness.FAILED if failure.permanent else Readiness.NOT_YET
            verdict = Verdict(readiness, failure.reason, failure.message)
            begun = failure.reason is not Reason.CHANGE_REFUSED
            return Provisioned(verdict, made=made if begun else None, applied=applied)
        if wanted.suspended is not None:
            verdict = Verdict(Readiness.NOT_YET, wanted.suspended)
        else:
            verdict = applied.waiting or self._gate(wanted, objects)
        whole = applied.waiting is None
        return Provisioned(
            verdict, made=made, applied=applied, whole=whole, revision=revision if whole else None
        )

    def _misfits(self, made: Making, objects: Desired) -> tuple[Misfit, ...]:
        inventory = self._applier.inventory_of(made.tenant)
        counted = list(objects.everything())
        if objects.sample is not None and not inventory.seeded and not objects.suspended:
            counted.append(objects.sample.obj)
        jobs = [item["metadata"]["name"] for item in counted if item["kind"] == "Job"]
        live = {name: self._caches.children["Job"].get(made.tenant.name, name) for name in jobs}
        finished = frozenset(
            name
            for name, job in live.items()
            if job is not None and job["workload"]["readiness"] == Readiness.USABLE.value
        )
        return misfits(counted, made.plan, finished=finished)

    def _gate(self, wanted: Wanted, objects: Desired) -> Verdict:
        if wanted.app.spec.approval.gate == "NamespaceReady":
            return Verdict(Readiness.USABLE, Reason.NAMESPACE_READY)
        return self._applier.judge(wanted.tenant, objects.children)

    async def probe(self, wanted: Wanted, done: Provisioned, notes: Notes, agenda: Agenda) -> Verdict:
        """The verdict, with the probe's say where one is asked for and something hangs on it."""
        verdict, made, app = done.verdict, done.made, wanted.app
        if app.spec.approval.probe is None or verdict.reason is not Reason.WORKLOAD_READY or made is None:
            self._memory.probe(wanted.tenant.name).passed = False
            return verdict
        reading = notes.reading
        owed = reading is not None and is_pending(reading.state)
        if not owed and _stands(notes):
            return verdict
        memory = self._memory.probe(wanted.tenant.name)
        about = (notes.installation.metadata.uid, reading.moment if reading is not None and owed else None)
        if memory.about != about:
            memory.about, memory.passed, memory.failing_since = about, False, None
        service = made.blueprint.service
        wait = await self._prober.ask(wanted.tenant, app.spec.approval.probe, service, memory)
        if wait is None:
            return verdict
        agenda.look_in(wait)
        return Verdict(Readiness.NOT_YET, Reason.PROBE_FAILING, memory.message)

    def _without(self, wanted: Wanted) -> Verdict:
        """There is no revision to make the tenant from: it is left as it is, and judged as it is."""
        missing = wanted.choice.missing
        if missing is None:
            problems = "; ".join(str(problem) for problem in problems_of(wanted.app))
            if problems:
                return Verdict(Readiness.FAILED, Reason.TEMPLATE_INVALID, problems)
            return Verdict(Readiness.NOT_YET, Reason.AWAITING_REVISION, "the app has no revision yet")
        message = (
            f"ControllerRevision {missing} is gone: the tenant stays as it is until another is rolled out"
        )
        if wanted.app.spec.approval.gate == "NamespaceReady":
            return Verdict(Readiness.USABLE, Reason.REVISION_MISSING, message)
        objects: list[dict[str, Any]] = [
            {"kind": kind, "metadata": {"name": name}}
            for _, kind, name in self._applier.inventory_of(wanted.tenant).records
        ]
        found = self._applier.judge(wanted.tenant, objects)
        said = f"{message}; {found.message}" if found.message else message
        return Verdict(found.readiness, Reason.REVISION_MISSING, said)

    def _paused(self, wanted: Wanted, objects: Desired, differing: list[str]) -> Verdict:
        """What would be written: ``differing``; as usable as it is where that is nothing."""
        if differing:
            message = "paused by annotation; not written: " + ", ".join(differing)
            return Verdict(Readiness.NOT_YET, wanted.suspended or Reason.PAUSED, message)
        if wanted.suspended is not None:
            return Verdict(Readiness.NOT_YET, wanted.suspended, "paused by annotation")
        found = self._gate(wanted, objects)
        return replace(found, message=f"paused by annotation; {found.message}".rstrip("; "))


def _stands(notes: Notes) -> bool:
    """The stored status says already that the tenant is usable."""
    return any(
        condition.type == types.TENANT_READY and condition.status == "True"
        for condition in notes.installation.status.conditions
    )
