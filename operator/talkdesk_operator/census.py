"""The tenants of an app as a roll-out sees them, from nothing but what the watches show.

Cheap on purpose, for each change of a tenant's readiness asks for it: of an inventory only the one line about
the revision is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_crds import names
from talkdesk_crds.conditions import TENANT_READY, Reason
from talkdesk_operator.cache import app_index
from talkdesk_operator.conditions import find
from talkdesk_operator.inventory import PREFIX
from talkdesk_operator.paused import is_paused
from talkdesk_operator.rollout import Member

if TYPE_CHECKING:
    from talkdesk_crds.installation import TalkdeskInstallation
    from talkdesk_operator.cache import Caches
    from talkdesk_operator.revision_store import RevisionStore


class Census:
    """Counts tenants."""

    def __init__(self, caches: Caches, revisions: RevisionStore) -> None:
        self._caches = caches
        self._revisions = revisions

    def tenants(self, app_id: str) -> list[str]:
        """Every tenant that was ever made for the app and has not been cleared away, by name."""
        found = self._caches.children["ConfigMap"].by(names.label_value(app_id))
        return [one["metadata"]["name"].removeprefix(PREFIX) for one in found]

    def members(self, app_id: str) -> list[Member]:
        """The tenants that exist; those that nobody holds serve nobody."""
        holders = self._holders(app_id)
        found = []
        for tenant in self.tenants(app_id):
            namespace = self._caches.namespaces.get("", tenant)
            if namespace is None or namespace["metadata"].get("deletionTimestamp"):
                continue
            found.append(self._member(app_id, tenant, holders.get(tenant)))
        return found

    def _member(self, app_id: str, tenant: str, holder: TalkdeskInstallation | None) -> Member:
        named = self._revisions.named(tenant)
        told = next((name for name in named if name is not None and self._usable(app_id, name)), None)
        if holder is None:
            return Member(tenant, tenant, told, applied=named[1], ready=False, serving=False)
        ready = find(holder.status.conditions, TENANT_READY)
        return Member(
            tenant,
            holder.metadata.name,
            told,
            applied=holder.status.revision,
            ready=ready is not None and ready.status == "True",
            why=ready.reason if ready is not None else "",
            serving=_serves(holder),
            paused=is_paused(holder),
        )

    def _usable(self, app_id: str, name: str) -> bool:
        found = self._revisions.find(app_id, name)
        return found is not None and found.blueprint is not None

    def _holders(self, app_id: str) -> dict[str, TalkdeskInstallation]:
        """Who holds which tenant, by what each one's status says; where two do, the one that serves."""
        found: dict[str, TalkdeskInstallation] = {}
        for one in self._caches.installations.by(app_index(app_id)):
            tenant = one.status.tenant
            if tenant is None or one.metadata.deletion_timestamp is not None:
                continue
            if tenant not in found or _serves(one):
                found[tenant] = one
        return found


def _serves(holder: TalkdeskInstallation) -> bool:
    """Users are in it, or will be as soon as it is ready."""
    access = holder.status.access
    return access is None or access.state == "Allowed" or access.reason == Reason.INSTALLING
