"""Bring a tenant's objects to what they should be: server-side apply, then prune.

Nothing is sent for an object that is as it should be. Inside a tenant's first seconds its RoleBinding may lag
behind on some API server; such refusals are repeated here at once, the rest is the queue's business.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import structlog

from talkdesk_crds.conditions import Reason
from talkdesk_crds.meta import parse_time
from talkdesk_kube import (
    Conflict,
    Forbidden,
    Invalid,
    KubeError,
    NotFound,
    Obj,
    resource_for,
    resource_of,
)
from talkdesk_kube.resources import Resource
from talkdesk_operator import failures, inventory, replicas
from talkdesk_operator.compact import compact
from talkdesk_operator.confirm import Readiness
from talkdesk_operator.failures import Failure, Kind
from talkdesk_operator.gate import WORKLOADS, Verdict, judge
from talkdesk_operator.inventory import Inventory, ObjectId, Record, object_id
from talkdesk_operator.owned import FIELD_MANAGER, digest_of
from talkdesk_operator.rehearsal import changed, rehearse
from talkdesk_operator.round import Applied, Round, wanted_ids
from talkdesk_operator.sources import SourceMissing, Sources
from talkdesk_operator.specials import Specials
from talkdesk_operator.tenant.order import wave_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from datetime import datetime

    from talkdesk_kube import Kube
    from talkdesk_kube.view import View
    from talkdesk_operator.cache import Caches
    from talkdesk_operator.tenant import Desired, Facts, Tenant

_log = structlog.get_logger(__name__)

#: Waits between tries while the RoleBinding spreads; seconds.
_LAG_WAITS = (0.02, 0.05, 0.1, 0.2, 0.4)
#: How long a new RoleBinding may take to act before we try all the same, and how often we ask; seconds.
_BINDING_PATIENCE = 1.0
_BINDING_LOOK = 0.01
_ACCESS_REVIEWS = Resource(
    "authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False
)


class Applier:
    """Writes tenants' objects and their inventories."""

    def __init__(self, kube: Kube, caches: Caches, sources: Sources, clock: Callable[[], datetime]) -> None:
        self._kube = kube
        self._caches = caches
        self._specials = Specials(kube, caches, sources, self)
        self._clock = clock

    def inventory_of(self, tenant: Tenant) -> Inventory:
        """The stored inventory; empty where there is none."""
        return inventory.stored_in(self._caches.inventory(tenant))

    async def apply(
        self, tenant: Tenant, desired: Desired, facts: Facts, *, revision: str, again: bool, prune: bool
    ) -> Applied:
        """Apply all of ``desired``, then prune what the inventory has beyond it.

        :param revision: what it was made from, for the inventory.
        :param again: also apply what is not watched (Secrets), although nothing seems to have changed.
        :param prune: False where what is desired may be less than what the app declares.
        Failures are returned, never raised.
        """
        applied = Applied()
        before = known = self.inventory_of(tenant)
        wanted = wanted_ids(desired, before)
        try:
            if (news := changed(known, desired.children)) and known.complete and self._stands(tenant):
                known = await self._rehearse(tenant, desired, news, known, applied, again=again)
                if applied.failures:
                    await self._store(tenant, before, known)
                    return applied
            known = known.superset(wanted, facts, revision)
            found = replicas.to_remember(
                desired.children, known.records, self._cached, suspended=desired.suspended
            )
            current = await self._store(tenant, before, known.remembering(found))
            after = await self._apply_all(tenant, desired, before, current, applied, again=again)
            if not applied.failures and applied.waiting is None:
                after = replace(after, complete=True)
        except KubeError as error:
            applied.failures.append(failures.of_kube(error, tenant_age=self._age(tenant)))
            return applied
        try:
            if prune and not applied.failures and applied.waiting is None:
                after = await self._prune(tenant, after, list(wanted), applied)
            await self._store(tenant, current, after)
            if after.seeded and not current.seeded and desired.sample is not None:
                await self._specials.let_go(desired.sample)
        except KubeError as error:
            applied.failures.append(failures.of_kube(error))
        return applied

    def judge(self, tenant: Tenant, objects: Iterable[Obj]) -> Verdict:
        """How ready the workloads among ``objects`` are, as the watch shows them."""
        workloads = []
        for obj in objects:
            kind, name = obj["kind"], obj["metadata"]["name"]
            if kind in WORKLOADS:
                workloads.append((kind, name, self._caches.children[kind].get(tenant.name, name)))
        return judge(workloads)

    def differing(self, tenant: Tenant, desired: Desired) -> list[str]:
        """Kind and name of what :meth:`apply` would write: by the watch, or by what was applied last."""
        current = self.inventory_of(tenant)
        plain = (desired.namespace, desired.binding, *desired.children)
        found = [object_id(item) for item in plain if not self._same(current, item)]
        found += [name for name in map(object_id, desired.everything()) if name not in current.records]
        if desired.sample is not None and not current.seeded:
            found.append(object_id(desired.sample.obj))
        return [f"{kind} {name}" for _, kind, name in dict.fromkeys(found)]

    def _same(self, current: Inventory, item: Obj) -> bool:
        record, view = current.records.get(object_id(item)), self._caches.live(resource_of(item))
        if view is None:
            return record is not None and record.wanted == digest_of(item)
        return inventory.unchanged(record, item, self._live(view, item))

    async def _store(self, tenant: Tenant, before: Inventory, after: Inventory) -> Inventory:
        if before != after:
            stored = await self._kube.apply(inventory.config_map(after, tenant), field_manager=FIELD_MANAGER)
            self._caches.children["ConfigMap"].remember(compact(stored))
        return after

    async def _rehearse(
        self,
        tenant: Tenant,
        desired: Desired,
        news: list[Obj],
        known: Inventory,
        applied: Applied,
        *,
        again: bool,
    ) -> Inventory:
        """What is against ``news`` goes into ``applied.failures``.

        Namespace and binding come first and for good: the rest hangs on them, and they on no plan.
        """
        own = {}
        for item in (desired.namespace, desired.binding):
            own[object_id(item)] = await self._one(tenant, item, known, applied, again=again)
        if applied.written:
            await self._let_in(tenant, desired.children[0])
        applied.failures += await rehearse(self._kube, news)
        return replace(known, records={**known.records, **own})

    def _stands(self, tenant: Tenant) -> bool:
        """Its namespace is there, and not on its way out."""
        live = self._caches.namespaces.get("", tenant.name)
        return live is not None and not live["metadata"].get("deletionTimestamp")

    async def _apply_all(
        self,
        tenant: Tenant,
        desired: Desired,
        before: Inventory,
        current: Inventory,
        applied: Applied,
        *,
        again: bool,
    ) -> Inventory:
        """The inventory after applying. Raises KubeError where nothing further makes sense."""
        live = self._caches.namespaces.get("", tenant.name)
        if live is not None and live["metadata"].get("deletionTimestamp"):
            message = f"namespace {tenant.name} is being deleted; it is made again afterwards"
            applied.failures.append(Failure(Kind.TRANSIENT, Reason.APPLY_RETRYING, message))
            return current
        applied.created_namespace = live is None
        records: dict[ObjectId, Record] = {}
        namespace = object_id(desired.namespace)
        records[namespace] = await self._one(tenant, desired.namespace, current, applied, again=again)
        recorded = before.records.get(namespace)
        fresh = recorded.uid != records[namespace].uid if recorded is not None else live is None
        if fresh:
            current = current.emptied()
        if current.seeded is None:
            running = desired.sample is not None and self._specials.job(desired.sample.obj) is not None
            current = replace(current, seeded=desired.sample is None or not (fresh or running))
        round_ = Round(tenant, current, before, applied, again, records)
        records[object_id(desired.binding)] = await self._one(
            tenant, desired.binding, current, applied, again=again
        )
        await self._in_waves(round_, desired)
        seeded = current.seeded
        if not seeded and desired.sample is not None and not desired.suspended and round_.unhindered:
            seeded = await self._specials.seed(round_, desired.sample)
        return replace(current, records={**current.records, **records}, seeded=seeded)

    async def _in_waves(self, round_: Round, desired: Desired) -> None:
        """All children. A wave whose predecessors are not ready is only kept as it was.

        So is a tier after one that failed: no pod starts without its NetworkPolicy. A suspension starts none.
        """
        first = desired.children[0]
        if round_.applied.written:
            await self._let_in(round_.tenant, first)
        # The first alone: while the binding does not act yet, one request is refused, not all of them.
        await self.plain(round_, first)
        await self._side_by_side(
            round_,
            *(self._specials.generate(round_, one) for one in desired.generated),
            *(self._specials.copy(round_, one) for one in desired.copied),
            *(self.plain(round_, item) for item in desired.waves()[0][0] if item is not first),
        )
        waves = desired.waves()
        done: list[Obj] = []
        for number, wave in enumerate(waves):
            for tier in wave if number else wave[1:]:
                if round_.applied.failures and not desired.suspended:
                    await self._keep(round_, tier)
                else:
                    await self._tier(round_, tier)
            done += [item for tier in wave for item in tier]
            later = [item for after in waves[number + 1 :] for tier in after for item in tier]
            seed = desired.sample is not None and not round_.known.seeded and not desired.suspended
            if not later and not seed:
                return
            verdict = self.judge(round_.tenant, done)
            if round_.applied.failures or verdict.readiness is not Readiness.USABLE:
                what = f"wave {wave_of(later[0])}" if later else "the sample data"
                message = f"{what} waits: {verdict.message}"
                round_.applied.waiting = Verdict(verdict.readiness, verdict.reason, message)
                await self._keep(round_, later)
                return

    async def _tier(self, round_: Round, items: Iterable[Obj]) -> None:
        await self._side_by_side(round_, *(self.plain(round_, item) for item in items))

    async def _keep(self, round_: Round, items: Iterable[Obj]) -> None:
        """Repair what was applied before, just as it is wanted now; nothing new, nothing changed."""
        await self._tier(round_, [item for item in items if round_.as_recorded(item)])

    async def _side_by_side(self, round_: Round, *steps: Awaitable[None]) -> None:
        """All of them; what fails is noted."""
        for result in await asyncio.gather(*steps, return_exceptions=True):
            if isinstance(result, KubeError):
                age = self._age(round_.tenant)
                round_.applied.failures.append(failures.of_kube(result, tenant_age=age))
            elif isinstance(result, SourceMissing):
                missing = Failure(Kind.PERMANENT, Reason.SOURCE_MISSING, str(result))
                round_.applied.failures.append(missing)
            elif isinstance(result, BaseException):
                raise result

    async def plain(self, round_: Round, item: Obj) -> None:
        """Apply ``item`` if it is not as it should be, and note its record. Raises KubeError."""
        round_.records[object_id(item)] = await self._one(
            round_.tenant, item, round_.known, round_.applied, again=round_.again
        )

    async def _let_in(self, tenant: Tenant, item: Obj) -> None:
        """Wait until a new RoleBinding acts: the API server's authorizer learns of it some milliseconds late.

        It is asked, for what it refuses stands in audit logs and looks like an attack.
        """
        resource = resource_of(item)
        asked = {
            "namespace": tenant.name,
            "verb": "patch",
            "group": resource.group,
            "resource": resource.plural,
        }
        review = {
            "apiVersion": _ACCESS_REVIEWS.api_version,
            "kind": _ACCESS_REVIEWS.kind,
            "spec": {"resourceAttributes": asked},
        }
        deadline = time.monotonic() + _BINDING_PATIENCE
        while time.monotonic() < deadline:
            try:
                answer = await self._kube.create(_ACCESS_REVIEWS, review)
            except Forbidden:
                return  # nobody may ask in this cluster
            if answer["status"]["allowed"]:
                return
            await asyncio.sleep(_BINDING_LOOK)

    async def _one(
        self, tenant: Tenant, item: Obj, current: Inventory, applied: Applied, *, again: bool
    ) -> Record:
        """The record of ``item`` after making sure that it is as it should be. Raises KubeError."""
        name = object_id(item)
        record = current.records.get(name)
        view = self._caches.live(resource_of(item))
        if view is None:
            wanted = digest_of(item)
            if not again and record is not None and record.wanted == wanted:
                return record
        elif inventory.unchanged(record, item, self._live(view, item)):
            return record or Record()
        stored = await self._scaled(tenant, item, record)
        applied.written.append(f"{name[1]} {name[2]}")
        applied.rerouted |= name[1] == "Service" and record is not None and record.uid is not None
        uid, wanted = stored["metadata"].get("uid"), digest_of(item)
        if view is None:
            return Record(uid=uid, wanted=wanted)  # nothing of its content is kept, not even a digest of it
        kept = compact(stored)
        view.remember(kept)
        left = record.replicas if record is not None and replicas.is_stopped(item) else None
        return Record(uid=uid, wanted=wanted, owned=kept["owned"], replicas=left)

    async def _scaled(self, tenant: Tenant, item: Obj, record: Record | None) -> Obj:
        """Apply ``item``, and give back the replicas that are somebody else's. Raises KubeError."""
        live = self._cached(item) if item["kind"] in replicas.SCALABLE else None
        owed = replicas.owed(item, record, live)
        if owed is not None and live is not None:
            # Before the field is given up: the API server's default must not show in between.
            await self._kube.apply(owed, field_manager=replicas.FIELD_MANAGER)
        stored = await self.send(tenant, item)
        if owed is not None and live is None:
            stored = await self._kube.apply(owed, field_manager=replicas.FIELD_MANAGER)
        return stored

    def _cached(self, item: Mapping[str, Any]) -> Obj | None:
        return self._caches.children[item["kind"]].get(
            item["metadata"]["namespace"], item["metadata"]["name"]
        )

    async def send(self, tenant: Tenant, item: Obj) -> Obj:
        """Apply ``item``. Raises KubeError."""
        return await self.patiently(tenant, lambda: self._kube.apply(item, field_manager=FIELD_MANAGER))

    async def patiently(self, tenant: Tenant, send: Callable[[], Awaitable[Obj]]) -> Obj:
        """``send()``, repeated while a young tenant's RoleBinding may not act yet. Raises KubeError."""
        for wait in (*_LAG_WAITS, None):
            try:
                return await send()
            except (Forbidden, Invalid) as error:
                lagging = not (isinstance(error, Forbidden) and error.namespace_terminating)
                if wait is None or not lagging or not self._young(tenant):
                    raise
                await asyncio.sleep(wait)
        raise AssertionError("the last wait is None")

    async def _prune(
        self, tenant: Tenant, current: Inventory, wanted: list[ObjectId], applied: Applied
    ) -> Inventory:
        gone = set()
        for name, record in sorted(current.prunable(wanted).items()):
            live = self._caches.children["Job"].get(tenant.name, name[2])
            sample = record.use == inventory.SAMPLE
            if sample and live is not None and _runs(name, live):
                continue
            # A Job that has been cleaned up since its end leaves nothing to delete.
            if not (sample and live is None) and await self._delete(tenant, name, record):
                applied.pruned.append(f"{name[1]} {name[2]}")
            gone.add(name)
        left = {name: record for name, record in current.records.items() if name not in gone}
        return replace(current, records=left)

    async def _delete(self, tenant: Tenant, name: ObjectId, record: Record) -> bool:
        """Delete what we can prove to be ours; False where there was nothing of ours."""
        resource = resource_for(name[0], name[1])
        view = self._caches.live(resource)
        live = view.get(tenant.name, name[2]) if view is not None else None
        uid = record.uid or (live["metadata"]["uid"] if live is not None and live["ours"] else None)
        if uid is None:
            return False
        try:
            await self._kube.delete(resource, name[2], namespace=tenant.name, uid=uid)
        except (NotFound, Conflict):
            return False  # gone, or by now somebody else's object of the same name
        if view is not None and live is not None:
            view.forget(live)
        return True

    def _live(self, view: View, item: Obj) -> Obj | None:
        metadata = item["metadata"]
        return view.get(metadata.get("namespace", ""), metadata["name"])

    def _age(self, tenant: Tenant) -> float | None:
        live = self._caches.namespaces.get("", tenant.name)
        if live is None:
            return None
        created = parse_time(live["metadata"]["creationTimestamp"])
        return (self._clock() - created).total_seconds()

    def _young(self, tenant: Tenant) -> bool:
        age = self._age(tenant)
        return age is None or age < failures.YOUNG_SECONDS


def _runs(job: ObjectId, live: Obj) -> bool:
    return judge([(job[1], job[2], live)]).readiness is Readiness.NOT_YET
