"""Bring a tenant's objects to what they should be: server-side apply, then prune.

Nothing is sent for an object that is as it should be. Inside a tenant's first seconds its RoleBinding may lag
behind on some API server; such refusals are repeated here at once, the rest is the queue's business.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import structlog

from talkdesk_crds.conditions import Reason
from talkdesk_crds.meta import parse_time
from talkdesk_kube import Conflict, Forbidden, Invalid, KubeError, NotFound, Obj, resource_for, resource_of
from talkdesk_kube.resources import Resource
from talkdesk_operator import failures, inventory
from talkdesk_operator.compact import compact
from talkdesk_operator.failures import Failure, Kind
from talkdesk_operator.inventory import Inventory, ObjectId, Record, object_id
from talkdesk_operator.owned import FIELD_MANAGER, digest_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from talkdesk_kube import Kube
    from talkdesk_operator.cache import Caches, View
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


@dataclass
class Applied:
    """What came of it."""

    failures: list[Failure] = field(default_factory=list)
    #: (kind, name) of what was written or deleted; empty where everything was as it should be.
    written: list[str] = field(default_factory=list)
    pruned: list[str] = field(default_factory=list)
    created_namespace: bool = False

    @property
    def failure(self) -> Failure | None:
        """The one to show: a permanent one first, for it needs somebody."""
        return min(self.failures, key=lambda one: one.kind is not Kind.PERMANENT, default=None)


class Applier:
    """Writes tenants' objects and their inventories."""

    def __init__(self, kube: Kube, caches: Caches, clock: Callable[[], datetime]) -> None:
        self._kube = kube
        self._caches = caches
        self._clock = clock

    def inventory_of(self, tenant: Tenant) -> Inventory:
        """The stored inventory; empty where there is none."""
        stored = self._caches.children["ConfigMap"].get(tenant.release.namespace, tenant.inventory)
        return inventory.parse(stored.get("data") if stored is not None else None)

    async def apply(
        self, tenant: Tenant, desired: Desired, facts: Facts, *, again: bool, prune: bool
    ) -> Applied:
        """Apply all of ``desired``, then prune what the inventory has beyond it.

        :param again: also apply what is not watched (Secrets), although nothing seems to have changed.
        :param prune: False where what is desired may be less than what the app declares.
        Failures are returned, never raised.
        """
        applied = Applied()
        before = self.inventory_of(tenant)
        wanted = [object_id(item) for item in desired.everything()]
        try:
            current = await self._store(tenant, before, before.superset(wanted, facts))
            records = await self._apply_all(tenant, desired, current, applied, again=again)
        except KubeError as error:
            applied.failures.append(failures.of_kube(error, tenant_age=self._age(tenant)))
            return applied
        after = replace(current, records={**current.records, **records})
        try:
            if prune and not applied.failures:
                after = await self._prune(tenant, after, wanted, applied)
            await self._store(tenant, current, after)
        except KubeError as error:
            applied.failures.append(failures.of_kube(error))
        return applied

    async def _store(self, tenant: Tenant, before: Inventory, after: Inventory) -> Inventory:
        if before != after:
            stored = await self._kube.apply(inventory.config_map(after, tenant), field_manager=FIELD_MANAGER)
            self._caches.children["ConfigMap"].remember(compact(stored))
        return after

    async def _apply_all(
        self, tenant: Tenant, desired: Desired, current: Inventory, applied: Applied, *, again: bool
    ) -> dict[ObjectId, Record]:
        records: dict[ObjectId, Record] = {}
        live = self._caches.namespaces.get("", tenant.name)
        if live is not None and live["metadata"].get("deletionTimestamp"):
            message = f"namespace {tenant.name} is being deleted; it is made again afterwards"
            applied.failures.append(Failure(Kind.TRANSIENT, Reason.APPLY_RETRYING, message))
            return records
        applied.created_namespace = live is None
        for item in (desired.namespace, desired.binding):
            records[object_id(item)] = await self._one(tenant, item, current, applied, again=again)
        first, *others = desired.children
        if applied.written:
            await self._let_in(tenant, first)
        # The first alone: while the binding does not act yet, one request is refused, not all of them.
        records[object_id(first)] = await self._one(tenant, first, current, applied, again=again)
        results = await asyncio.gather(
            *(self._one(tenant, item, current, applied, again=again) for item in others),
            return_exceptions=True,
        )
        for item, result in zip(others, results, strict=True):
            if isinstance(result, KubeError):
                applied.failures.append(failures.of_kube(result, tenant_age=self._age(tenant)))
            elif isinstance(result, BaseException):
                raise result
            else:
                records[object_id(item)] = result
        return records

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
        stored = await self._send(tenant, item)
        kept = compact(stored)
        if view is not None:
            view.remember(kept)
        applied.written.append(f"{name[1]} {name[2]}")
        return Record(uid=stored["metadata"].get("uid"), wanted=digest_of(item), owned=kept["owned"])

    async def _send(self, tenant: Tenant, item: Obj) -> Obj:
        for wait in (*_LAG_WAITS, None):
            try:
                return await self._kube.apply(item, field_manager=FIELD_MANAGER)
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
            if await self._delete(tenant, name, record):
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
