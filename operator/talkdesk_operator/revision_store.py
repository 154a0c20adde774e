"""The stored revisions of apps: which one a tenant is made from, and their making and pruning."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import structlog

from talkdesk_crds import names
from talkdesk_kube import AlreadyExists, Conflict, NotFound, resources
from talkdesk_operator import revision
from talkdesk_operator.inventory import revision_of
from talkdesk_operator.revision import Choice, Revision, choose, newest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from talkdesk_crds.app import TalkdeskApp
    from talkdesk_kube import Kube, Obj
    from talkdesk_operator.cache import Caches
    from talkdesk_operator.tenant import Release, Tenant

_log = structlog.get_logger(__name__)


class RevisionStore:
    """ControllerRevisions of the release's namespace, read from the cache."""

    def __init__(self, kube: Kube, caches: Caches, release: Release) -> None:
        self._kube = kube
        self._caches = caches
        self._release = release
        self._parsed: dict[str, tuple[str, Revision]] = {}

    def find(self, app_id: str, name: str) -> Revision | None:
        """The revision of that name, if it is one of this app."""
        stored = self._caches.revisions.get(self._release.namespace, name)
        if stored is None:
            self._parsed.pop(name, None)
            return None
        found = self._parse(stored)
        return found if found.app == names.label_value(app_id) else None

    def of(self, app_id: str) -> list[Revision]:
        """All revisions of an app, by name."""
        return [self._parse(stored) for stored in self._caches.revisions.by(names.label_value(app_id))]

    def named(self, tenant: str) -> tuple[str | None, str | None]:
        """The revisions that a tenant (by its namespace) names: the roll-out's order, its inventory's."""
        namespace = self._caches.namespaces.get("", tenant) or {}
        kept = self._caches.children["ConfigMap"].get(self._release.namespace, f"inventory-{tenant}") or {}
        return namespace.get("revision"), revision_of(kept.get("data"))

    def choice(self, app: TalkdeskApp, tenant: Tenant, *, at_rest: bool) -> Choice:
        """What ``tenant`` is made from. ``at_rest``: nothing of it runs, so that it cannot break."""
        app_id = app.spec.app_id
        last = newest(self.of(app_id))
        return choose(
            self.named(tenant.name),
            (app.status.revision, revision.revision_name(app), last.name if last is not None else None),
            find=lambda name: self.find(app_id, name),
            at_rest=at_rest,
        )

    def kept(self, app: TalkdeskApp, tenant: Tenant) -> Revision | None:
        """What ``tenant`` was last made from, if it is still there."""
        _, name = self.named(tenant.name)
        return self.find(app.spec.app_id, name) if name is not None else None

    async def ensure(self, app: TalkdeskApp) -> str:
        """Make sure that the revision ``app`` asks for is stored, usable; its name. Raises KubeError."""
        release, name = self._release, revision.revision_name(app)
        stored = self._caches.revisions.get(release.namespace, name)
        if stored is not None:
            found = self._parse(stored)
            if found.blueprint is not None and found.app == names.label_value(app.spec.app_id):
                return name
            _log.warning("a revision is made anew", problem=found.problem or f"{name} is labelled wrongly")
            await self._delete(stored)
        last = max((one.number for one in self.of(app.spec.app_id)), default=0)
        wanted = revision.controller_revision(
            app,
            number=last + 1,
            namespace=release.namespace,
            labels={names.MANAGED_LABEL: release.id},
        )
        try:
            made = await self._create(wanted)
        except AlreadyExists:
            if not await self._displaced(name):
                return name  # another replica was quicker, and the watch has not shown it yet
            made = await self._create(wanted)
        made["metadata"].pop("managedFields", None)
        self._caches.revisions.remember(made)
        _log.info("revision stored", app=app.metadata.name, revision=name)
        return name

    async def _create(self, wanted: Obj) -> Obj:
        return await self._kube.create(
            resources.CONTROLLER_REVISIONS, wanted, namespace=self._release.namespace
        )

    async def _displaced(self, name: str) -> bool:
        """Where the revision is of another release, which no watch of ours shows, it is deleted: then True.

        Names are made of app and content, and one release has the namespace: what is there was left behind.
        """
        found = await self._kube.list(
            resources.CONTROLLER_REVISIONS, namespace=self._release.namespace, fields=f"metadata.name={name}"
        )
        foreign = [
            one
            for one in found.items
            if (one["metadata"].get("labels") or {}).get(names.MANAGED_LABEL) != self._release.id
        ]
        for one in foreign:
            _log.warning("a revision of another release is made anew", revision=name)
            await self._delete(one)
        return bool(foreign)

    async def prune(self, app_id: str, *, kept: Iterable[str | None], tenants: Iterable[str]) -> list[str]:
        """Delete the revisions that neither ``kept`` nor any of ``tenants`` names. Raises KubeError."""
        kept, stored_ones = set(kept), self.of(app_id)
        if all(one.name in kept for one in stored_ones):
            return []
        named = [name for tenant in tenants for name in self.named(tenant)]
        gone = revision.prunable(stored_ones, kept=kept, named=named)
        for name in gone:
            stored = self._caches.revisions.get(self._release.namespace, name)
            if stored is not None:
                await self._delete(stored)
                _log.info("revision deleted, no tenant names it", revision=name)
        return gone

    async def _delete(self, stored: Obj) -> None:
        metadata = stored["metadata"]
        # Gone already, or by now another object of the same name: as good.
        with contextlib.suppress(NotFound, Conflict):
            await self._kube.delete(
                resources.CONTROLLER_REVISIONS,
                metadata["name"],
                namespace=metadata["namespace"],
                uid=metadata["uid"],
            )
        self._caches.revisions.forget(stored)

    def _parse(self, stored: Obj) -> Revision:
        name, version = stored["metadata"]["name"], str(stored["metadata"]["resourceVersion"])
        known = self._parsed.get(name)
        if known is None or known[0] != version:
            known = self._parsed[name] = (version, revision.parse(stored))
        return known[1]
