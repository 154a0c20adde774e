"""The tenant's part of a pass: what should exist is applied, then judged: is it usable?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import structlog

from talkdesk_crds import conditions as types
from talkdesk_crds.blueprint import for_version
from talkdesk_crds.conditions import Reason
from talkdesk_operator.confirm import Readiness, is_pending
from talkdesk_operator.gate import Verdict
from talkdesk_operator.render import RenderError
from talkdesk_operator.tenant import desired, making
from talkdesk_operator.tenant.review import problems_of

if TYPE_CHECKING:
    from talkdesk_crds.app import TalkdeskApp
    from talkdesk_crds.blueprint import ServiceRef
    from talkdesk_operator.apply import Applier
    from talkdesk_operator.cache import Caches
    from talkdesk_operator.memory import Memory
    from talkdesk_operator.metrics import Metrics
    from talkdesk_operator.notes import Agenda, Notes
    from talkdesk_operator.probe import Prober
    from talkdesk_operator.revision import Choice
    from talkdesk_operator.round import Applied
    from talkdesk_operator.tenant import Desired, Facts, Tenant

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

    async def provision(
        self, wanted: Wanted, agenda: Agenda, *, again: bool
    ) -> tuple[Verdict, Applied | None]:
        """Apply what should exist; how that went, or what the watch shows of it.

        :param again: also what no watch shows (Secrets): at a resync.
        """
        suspended = wanted.suspended
        if wanted.facts is None:
            message = "account and plan have not been read from Talkdesk yet"
            return Verdict(Readiness.NOT_YET, suspended or Reason.AWAITING_ACCOUNT, message), None
        chosen = wanted.choice.revision
        if chosen is None or chosen.blueprint is None:
            return self._without(wanted), None
        made = making(
            wanted.tenant,
            wanted.app,
            chosen.blueprint,
            wanted.facts,
            suspended=suspended is not None,
            abandoned=suspended is Reason.UNINSTALLED,
        )
        try:
            objects = desired(made)
        except RenderError as error:
            return Verdict(Readiness.FAILED, Reason.TEMPLATE_INVALID, str(error)), None
        if wanted.paused:
            return self._paused(wanted, objects), None
        applied = await self._applier.apply(
            wanted.tenant,
            objects,
            wanted.facts,
            revision=chosen.name,
            again=again,
            prune=bool(made.blueprint.template),
        )
        return self._judged(wanted, objects, applied, agenda), applied

    def _judged(self, wanted: Wanted, objects: Desired, applied: Applied, agenda: Agenda) -> Verdict:
        if applied.written or applied.pruned:
            _log.info(
                "tenant changed", tenant=wanted.tenant.name, written=applied.written, pruned=applied.pruned
            )
            self._metrics.wrote(applied=len(applied.written), pruned=len(applied.pruned))
        failure = applied.failure
        if failure is not None:
            _log.warning("tenant not complete", tenant=wanted.tenant.name, error=failure.message)
            agenda.fail(failure.retry_after)
            readiness = Readiness.FAILED if failure.permanent else Readiness.NOT_YET
            return Verdict(readiness, failure.reason, failure.message)
        if wanted.suspended is not None:
            return Verdict(Readiness.NOT_YET, wanted.suspended)
        return applied.waiting or self._gate(wanted, objects)

    def _gate(self, wanted: Wanted, objects: Desired) -> Verdict:
        if wanted.app.spec.approval.gate == "NamespaceReady":
            return Verdict(Readiness.USABLE, Reason.NAMESPACE_READY)
        return self._applier.judge(wanted.tenant, objects.children)

    async def probe(self, wanted: Wanted, notes: Notes, verdict: Verdict, agenda: Agenda) -> Verdict:
        """``verdict``, with the probe's say where one is asked for and something hangs on it."""
        app = wanted.app
        if app.spec.approval.probe is None or verdict.reason is not Reason.WORKLOAD_READY:
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
        service = self._service(wanted)
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

    def _service(self, wanted: Wanted) -> ServiceRef:
        """The Service that users reach, as the tenant's own revision has it."""
        chosen = wanted.choice.revision
        if chosen is None or chosen.blueprint is None or wanted.facts is None:
            return wanted.app.spec.service
        return for_version(chosen.blueprint, wanted.facts.app_version).service

    def _paused(self, wanted: Wanted, objects: Desired) -> Verdict:
        """What would be written; as usable as it is where that is nothing."""
        differing = self._applier.differing(wanted.tenant, objects)
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
