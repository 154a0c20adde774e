"""Keeps what nobody claims for the app's retention, and then deletes it: a tenant and all that was its own.

Everything is deleted in such an order that what was cut short is found again and ended: first the
installation's object (only in the version that was judged), then what belongs to installations that are no
more, then the inventory, last the namespace, which carries the clean-up record.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from talkdesk_crds import names
from talkdesk_crds.installation import TalkdeskInstallation
from talkdesk_crds.meta import parse_time, time
from talkdesk_kube import Conflict, NotFound, Unreadable, parse, resources
from talkdesk_operator import audit, retention
from talkdesk_operator.compact import compact
from talkdesk_operator.credentials_search import selector
from talkdesk_operator.inventory import stored_in
from talkdesk_operator.paused import is_paused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from talkdesk_crds.app import TalkdeskApp
    from talkdesk_kube import Kube, Obj
    from talkdesk_kube.view import View
    from talkdesk_operator.cache import Caches
    from talkdesk_operator.directory import Directory
    from talkdesk_operator.mail.desk import MailDesk
    from talkdesk_operator.notes import Agenda, Notes
    from talkdesk_operator.remains import Remains
    from talkdesk_operator.tenant import Tenant

_log = structlog.get_logger(__name__)

#: Of the clean-up record alone, so that applying the namespace neither writes nor removes it.
FIELD_MANAGER = "talkdesk-operator-retention"
#: Seconds until what could not be decided is looked at again.
_AGAIN = 1.0
_MAIL_AGAIN = 5.0


@dataclass
class Kept:
    """What came of it: whose objects are gone, and whether the tenant is there to be worked on."""

    gone: list[Notes] = field(default_factory=list)
    tenant: bool = True


class Keeper:
    """Looks after the retention of one tenant at a time."""

    def __init__(
        self,
        *,
        kube: Kube,
        caches: Caches,
        directory: Directory,
        mails: MailDesk,
        remains: Remains,
        clock: Callable[[], datetime],
    ) -> None:
        self._kube = kube
        self._caches = caches
        self._directory = directory
        self._mails = mails
        self._remains = remains
        self._clock = clock

    async def keep(self, tenant: Tenant, app: TalkdeskApp, everyone: Sequence[Notes], agenda: Agenda) -> Kept:
        """Record, wait or delete. Raises KubeError."""
        namespace, inventory = self._namespace(tenant), self._caches.inventory(tenant)
        record = namespace if _marked(namespace) is not None else inventory
        found = retention.keeping(
            retention.Situation(
                parties=tuple(
                    retention.Party(one.installation, one.role, leaving=one.leaving) for one in everyone
                ),
                policy=app.spec.retention,
                marked=_marked(record),
                exists=namespace is not None or inventory is not None,
                written=_written(record),
            ),
            now=retention.latest(self._clock(), self._kube.server_time),
        )
        # Whoever of them is paused, nothing is deleted; a void record stays for the holder's pause alone.
        paused = any(is_paused(one.installation) for one in everyone)
        if found.claimed and not found.record_stays:
            await self._unmark(tenant, namespace, inventory)
        elif found.mark and not paused:
            await self._mark(tenant, namespace or inventory, since=found.since)
            self._tell(tenant, everyone)
        for notes in everyone:
            notes.retained_until, notes.kept = found.due.get(notes.name), True
        kept = Kept(tenant=found.claimed or (namespace is not None and not _terminating(namespace)))
        now = retention.earliest(self._clock(), self._kube.server_time)
        wait = retention.until_next(found, now=now or self._clock())
        if wait is not None:
            agenda.decide_in(max(wait, _AGAIN))
        if paused or now is None or not retention.anything_due(found, now=now):
            return kept
        if self._untold(everyone):
            agenda.look_in(_MAIL_AGAIN)
            return kept
        if not self._directory.readable(app.spec.app_id) or not await self._sure(tenant, everyone):
            agenda.look_in(_AGAIN)
            return kept
        doomed = [one for one in everyone if one.name in found.due and found.due[one.name] <= now]
        kept.gone = [one for one in doomed if await self._forget(one)]
        await self._remains.of(one.installation for one in kept.gone)
        if len(kept.gone) < len(doomed):
            agenda.look_in(_AGAIN)
        elif len(kept.gone) == len(everyone):
            await self._delete(tenant, app, found, now, kept)
        return kept

    def _untold(self, everyone: Sequence[Notes]) -> bool:
        """A mail is owed: it goes first, for what is deleted knows no address. It is given up in time."""
        return any(self._mails.owes(one.installation) for one in everyone)

    async def _delete(
        self, tenant: Tenant, app: TalkdeskApp, found: retention.Keeping, now: datetime, kept: Kept
    ) -> None:
        """The tenant that nobody has anything to do with any more, as far as it is due."""
        if found.rest_due is not None and found.rest_due <= now:
            await self._remains.unclaimed(tenant, app)
            await self._drop(self._caches.inventory(tenant), self._caches.children["ConfigMap"])
        if found.tenant_due is not None and found.tenant_due <= now:
            kept.tenant = False
            await self._end(tenant)

    async def _sure(self, tenant: Tenant, everyone: Sequence[Notes]) -> bool:
        """The API server itself, not a watch, says that nobody else has to do with the tenant by now."""
        key, namespace = tenant.key, tenant.release.namespace
        labels = selector(app_id=key.app_id, account_id=key.account_id)
        listing = await self._kube.list(resources.INSTALLATIONS, namespace=namespace, labels=labels)
        known = {one.installation.metadata.uid: one.installation.metadata.generation for one in everyone}
        for item in listing.items:
            metadata = item["metadata"]
            if known.get(metadata["uid"]) == metadata["generation"]:
                continue
            try:
                other = self._directory.key_of(parse(TalkdeskInstallation, item))
            except Unreadable:
                return False
            if other.region in ("", key.region):
                return False
        return True

    async def _forget(self, notes: Notes) -> bool:
        """Delete the installation's object, unless anything was said about it since it was judged."""
        try:
            await self._remains.installation(notes.installation)
        except NotFound:
            return True
        except Conflict:
            return False
        _log.info("installation deleted after its retention", installation=notes.name)
        return True

    async def _end(self, tenant: Tenant) -> None:
        namespace = self._namespace(tenant)
        if namespace is None or _terminating(namespace):
            return
        inventory = self._caches.inventory(tenant)
        if inventory is not None and _marked(inventory) is None:
            # It outlives the namespace: credentials are still kept, and their time has to be known.
            await self._mark(tenant, inventory, since=_marked(namespace))
        await self._drop(namespace, self._caches.namespaces, keep_in_view=True)
        _log.info("tenant deleted", tenant=tenant.name)

    async def _drop(self, obj: Obj | None, view: View, *, keep_in_view: bool = False) -> None:
        """Delete exactly this object. A namespace stays in view, for it takes a while to go."""
        if obj is None:
            return
        metadata = obj["metadata"]
        resource = resources.NAMESPACES if obj["kind"] == "Namespace" else resources.CONFIG_MAPS
        try:
            await self._kube.delete(
                resource, metadata["name"], namespace=metadata.get("namespace"), uid=metadata["uid"]
            )
        except (NotFound, Conflict):
            return
        if not keep_in_view:
            view.forget(obj)

    async def _mark(self, tenant: Tenant, obj: Obj | None, *, since: datetime | None = None) -> None:
        if obj is None:
            return
        since = since or retention.latest(self._clock(), self._kube.server_time)
        await self._annotate(obj, time(since))
        _log.info("nobody claims a tenant", tenant=tenant.name, since=time(since))

    def _tell(self, tenant: Tenant, everyone: Sequence[Notes]) -> None:
        """Of who left on their own their status tells; of whose object was deleted nothing else would."""
        marked = _marked(self._namespace(tenant)) or _marked(self._caches.inventory(tenant))
        if marked is None or any(one.installation.status.tenant == tenant.name for one in everyone):
            return
        facts = stored_in(self._caches.inventory(tenant)).facts
        lost = audit.tenant_lost(
            tenant.key.app_id,
            tenant.key.account_id,
            installation_id=facts.installation_id if facts is not None else None,
            tenant=tenant.name,
            now=marked,
        )
        audit.say("access changed", lost)

    async def _unmark(self, tenant: Tenant, *objs: Obj | None) -> None:
        for obj in objs:
            if obj is not None and names.UNCLAIMED_ANNOTATION in obj["annotations"]:
                await self._annotate(obj, None)
                _log.info("a tenant is claimed again", tenant=tenant.name)

    async def _annotate(self, obj: Obj, value: str | None) -> None:
        metadata = obj["metadata"]
        is_namespace = obj["kind"] == "Namespace"
        annotations = {names.UNCLAIMED_ANNOTATION: value}
        try:
            stored = await self._kube.merge_patch(
                resources.NAMESPACES if is_namespace else resources.CONFIG_MAPS,
                metadata["name"],
                {"metadata": {"uid": metadata["uid"], "annotations": annotations}},
                namespace=metadata.get("namespace"),
                field_manager=FIELD_MANAGER,
            )
        except (NotFound, Conflict):
            return  # gone, or made anew: the watch shows it
        view = self._caches.namespaces if is_namespace else self._caches.children["ConfigMap"]
        view.remember(compact(stored))

    def _namespace(self, tenant: Tenant) -> Obj | None:
        return self._caches.namespaces.get("", tenant.name)


def _marked(obj: Obj | None) -> datetime | None:
    """Since when nobody claims it, as its annotation says; None where there is none that can be read."""
    text = obj["annotations"].get(names.UNCLAIMED_ANNOTATION) if obj is not None else None
    try:
        since = parse_time(text or "")
    except ValueError:
        return None
    return since if since.tzinfo is not None else None


def _written(obj: Obj | None) -> datetime | None:
    """When the record was written, by the API server; None where nothing tells."""
    text = obj.get("unclaimedWritten") if obj is not None else None
    return parse_time(text) if text else None


def _terminating(namespace: Obj) -> bool:
    return bool(namespace["metadata"].get("deletionTimestamp"))
