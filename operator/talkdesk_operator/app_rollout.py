"""The edge of a roll-out: the revision is stored, tenants are told, what nobody needs is deleted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from talkdesk_crds import names
from talkdesk_crds.conditions import ROLLED_OUT
from talkdesk_kube import Conflict, NotFound
from talkdesk_operator import rollout
from talkdesk_operator.compact import compact
from talkdesk_operator.conditions import find
from talkdesk_operator.rollout import Past, Plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from talkdesk_crds.app import TalkdeskApp
    from talkdesk_kube import Kube
    from talkdesk_operator.cache import Caches
    from talkdesk_operator.census import Census
    from talkdesk_operator.revision_store import RevisionStore

_log = structlog.get_logger(__name__)

#: Owns the order on a tenant's namespace and nothing else: what makes tenants never takes it back.
FIELD_MANAGER = "talkdesk-operator-rollout"
#: Orders written at once; many are due only where tenants are at rest.
_AT_ONCE = 8


class RolloutDesk:
    """Does what :func:`talkdesk_operator.rollout.rollout` says."""

    def __init__(
        self,
        *,
        kube: Kube,
        caches: Caches,
        revisions: RevisionStore,
        census: Census,
        told: Callable[[str], None],
        clock: Callable[[], datetime],
    ) -> None:
        """``told`` hears of each tenant, by its namespace, that was given another revision."""
        self._kube = kube
        self._caches = caches
        self._revisions = revisions
        self._census = census
        self._told = told
        self._clock = clock

    async def step(self, app: TalkdeskApp) -> Plan:
        """One step of the roll-out of what ``app`` asks for. Raises KubeError."""
        target = await self._revisions.ensure(app)
        status = app.status
        known = find(status.conditions, ROLLED_OUT)
        plan = rollout.rollout(
            self._census.members(app.spec.app_id),
            target=target,
            policy=app.spec.rollout,
            past=Past(
                progress=status.rollout,
                complete=known is not None and known.status == "True",
                settled=status.revision,
            ),
            now=self._clock(),
        )
        if plan.orders:
            _log.info("tenants are given a revision", revision=target, tenants=list(plan.orders))
            at_once = asyncio.Semaphore(_AT_ONCE)
            results = await asyncio.gather(
                *(self._tell(tenant, target, at_once) for tenant in plan.orders), return_exceptions=True
            )
            for result in results:
                if isinstance(result, BaseException):
                    raise result
        await self._revisions.prune(
            app.spec.app_id, kept=(target, plan.settled), tenants=self._census.tenants(app.spec.app_id)
        )
        return plan

    async def leave(self, app_id: str) -> None:
        """The app is gone: its revisions stay for the tenants that name one. Raises KubeError."""
        await self._revisions.prune(app_id, kept=(), tenants=self._census.tenants(app_id))

    async def _tell(self, tenant: str, revision: str, at_once: asyncio.Semaphore) -> None:
        live = self._caches.namespaces.get("", tenant)
        if live is None:
            return
        order = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": tenant,
                # A namespace that has gone meanwhile must not be made by this.
                "uid": live["metadata"]["uid"],
                "annotations": {names.REVISION_ANNOTATION: revision},
            },
        }
        async with at_once:
            try:
                stored = await self._kube.apply(order, field_manager=FIELD_MANAGER)
            except (NotFound, Conflict):
                return  # gone, or made again: the watch will show it
        self._caches.namespaces.remember(compact(stored))
        self._told(tenant)
