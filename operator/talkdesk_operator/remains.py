"""Installations, and what is left of those whose object is no more: credentials, revocations, slices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from talkdesk_crds import names
from talkdesk_kube import Conflict, NotFound, resources
from talkdesk_operator.credentials_search import newest_first, selector
from talkdesk_operator.region import host_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from talkdesk_crds.app import TalkdeskApp
    from talkdesk_crds.installation import TalkdeskInstallation
    from talkdesk_crds.revocation import TalkdeskRevocation
    from talkdesk_kube import Kube, Obj, Resource
    from talkdesk_kube.view import View
    from talkdesk_operator.cache import Caches
    from talkdesk_operator.credentials_search import Found
    from talkdesk_operator.tenant import Tenant

_log = structlog.get_logger(__name__)


class Remains:
    """Deletes them, but no credentials that another than ``release`` stored. Everything raises KubeError.

    Releases may share the credentials' namespace, and one customer's installation may be known to several.
    """

    def __init__(self, kube: Kube, caches: Caches, *, release: str, credentials_namespace: str) -> None:
        self._kube = kube
        self._caches = caches
        self._release = release
        self._credentials = credentials_namespace

    async def installation(self, judged: TalkdeskInstallation) -> None:
        """The object itself, in the version that was judged. Raises NotFound, and Conflict for another."""
        metadata = judged.metadata
        await self._kube.delete(
            resources.INSTALLATIONS,
            metadata.name,
            namespace=metadata.namespace,
            uid=metadata.uid,
            resource_version=metadata.resource_version,
        )
        self._caches.installations.view.forget(judged.to_json())

    async def of(self, gone: Iterable[TalkdeskInstallation]) -> None:
        """What belongs to these installations, whose objects were just deleted."""
        for installation in gone:
            spec = installation.spec
            labels = selector(
                app_id=spec.app_id, account_id=spec.account_id, installation_id=spec.installation_id
            )
            await self._secrets(await self._listed(labels))
            await self._ours(labels, revocations_of=frozenset({spec.installation_id}))

    async def unclaimed(self, tenant: Tenant, app: TalkdeskApp) -> None:
        """What belongs to any installation of the tenant's app and account that has no object."""
        key = tenant.key
        labels = selector(app_id=key.app_id, account_id=key.account_id)
        listed = await self._listed(labels)
        # Only now: a set of credentials is stored before its installation, and what was claimed meanwhile is.
        existing = {names.label_value(one.spec.installation_id) for one in self._caches.installations.all()}
        await self._secrets(
            one
            for one in listed
            if one.labels.get(names.INSTALLATION_LABEL) not in existing
            and _region(one, app) in (None, key.region)
        )
        existing_ids = {one.spec.installation_id for one in self._caches.installations.all()}
        revoked = {
            one.spec.installation_id
            for one in self._caches.revocations.all()
            if (one.spec.app_id, one.spec.account_id) == (key.app_id, key.account_id)
        }
        await self._ours(labels, revocations_of=revoked - existing_ids)

    async def revocation(self, one: TalkdeskRevocation) -> None:
        """This one."""
        await self._drop(resources.REVOCATIONS, one.to_json(), self._caches.revocations.view)

    async def _listed(self, labels: str) -> list[Found]:
        listing = await self._kube.list(resources.SECRETS, namespace=self._credentials, labels=labels)
        return newest_first(listing.items)

    async def _secrets(self, found: Iterable[Found]) -> None:
        for one in found:
            if one.labels.get(names.RELEASE_LABEL, self._release) != self._release:
                continue
            try:
                await self._kube.delete(resources.SECRETS, one.name, namespace=self._credentials, uid=one.uid)
            except (NotFound, Conflict):
                continue
            _log.info("credentials deleted with what they were for", secret=one.name)

    async def _ours(self, labels: str, *, revocations_of: AbstractSet[str]) -> None:
        """Revocations of these ids, and slices with ``labels`` that have no owner any more.

        A slice goes with its owner, unless somebody deleted that and told Kubernetes to orphan what it owns.
        """
        for one in self._caches.revocations.all():
            if one.spec.installation_id in revocations_of:
                await self.revocation(one)
        wanted = dict(label.split("=", 1) for label in labels.split(","))
        for each in self._caches.slices.all():
            namespace = each.identity["metadata"]["namespace"]
            owner = self._caches.installations.get(namespace, each.installation)
            if owner is None and wanted.items() <= each.labels.items():
                await self._drop(resources.USER_SLICES, each.identity, self._caches.slices.view)

    async def _drop(self, resource: Resource, obj: Obj, view: View) -> None:
        metadata = obj["metadata"]
        try:
            await self._kube.delete(
                resource, metadata["name"], namespace=metadata["namespace"], uid=metadata["uid"]
            )
        except (NotFound, Conflict):
            return
        view.forget(obj)


def _region(found: Found, app: TalkdeskApp) -> str | None:
    """The region that a Secret's links belong to; None where they do not tell."""
    host = host_of(found.links.get("root", ""))
    return next((name for name, region in sorted(app.spec.regions.items()) if region.api == host), None)
