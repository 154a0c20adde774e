"""Everything the operator reads from the cluster."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from talkdesk_crds import names
from talkdesk_crds.app import TalkdeskApp
from talkdesk_crds.installation import TalkdeskInstallation
from talkdesk_crds.revocation import TalkdeskRevocation
from talkdesk_kube import Obj, resources
from talkdesk_kube.reflector import Reflector
from talkdesk_kube.view import Typed, View
from talkdesk_operator.compact import compact, content_of, identity_of
from talkdesk_operator.slice_cache import SliceCache, packed

if TYPE_CHECKING:
    from talkdesk_kube import Kube, Resource
    from talkdesk_operator.tenant.identity import Release, Tenant

#: Kinds that tenants are made of and that a watch may show. Secrets are left out: nobody lists them.
CHILDREN = (
    resources.ROLE_BINDINGS,
    resources.SERVICE_ACCOUNTS,
    resources.RESOURCE_QUOTAS,
    resources.LIMIT_RANGES,
    resources.NETWORK_POLICIES,
    resources.CONFIG_MAPS,
    resources.SERVICES,
    resources.PERSISTENT_VOLUME_CLAIMS,
    resources.DEPLOYMENTS,
    resources.STATEFUL_SETS,
    resources.JOBS,
    resources.CRON_JOBS,
    resources.HORIZONTAL_POD_AUTOSCALERS,
    resources.POD_DISRUPTION_BUDGETS,
)


class Caches:
    """All reflectors of the operator."""

    def __init__(self, kube: Kube, release: Release) -> None:
        own = release.namespace
        children = f"{names.MANAGED_LABEL}={release.id}"
        self.installations = Typed(
            View(Reflector(kube, resources.INSTALLATIONS, namespace=own), index=_account),
            TalkdeskInstallation,
        )
        self.apps = Typed(View(Reflector(kube, resources.APPS, namespace=own), index=_app), TalkdeskApp)
        self.slices = SliceCache(
            View(Reflector(kube, resources.USER_SLICES, namespace=own, transform=packed), index=_slice_owner)
        )
        self.revocations = Typed(
            View(Reflector(kube, resources.REVOCATIONS, namespace=own), index=_revoked), TalkdeskRevocation
        )
        self.namespaces = View(
            Reflector(
                kube,
                resources.NAMESPACES,
                labels=f"{names.TENANT_LABEL}={release.id}",
                transform=compact,
            )
        )
        self.children = {
            resource.kind: View(
                Reflector(kube, resource, labels=children, transform=compact),
                index=_inventory if resource is resources.CONFIG_MAPS else None,
            )
            for resource in CHILDREN
        }
        self.revisions = View(
            Reflector(kube, resources.CONTROLLER_REVISIONS, namespace=own, labels=children), index=_revision
        )

        #: The gateway's keys, each watched by its name, which is all that RBAC grants; without their content.
        self.keys = {
            name: View(
                Reflector(
                    kube,
                    resources.SECRETS,
                    namespace=own,
                    fields=f"metadata.name={name}",
                    transform=identity_of,
                )
            )
            for name in (names.session_keys_name(release.name), names.identity_keys_name(release.name))
        }

        #: ConfigMaps that tenants may have copies of. Asked of the whole cluster, where watching is granted
        #: anyway; inventories are left out.
        self.sources = View(
            Reflector(
                kube,
                resources.CONFIG_MAPS,
                labels=f"!{names.MANAGED_LABEL}",
                fields=f"metadata.namespace={own}",
                transform=content_of,
            )
        )

    def views(self) -> tuple[View, ...]:
        """Every view."""
        ours = (self.installations.view, self.apps.view, self.slices.view, self.revocations.view)
        others = (self.namespaces, self.sources, self.revisions)
        return (*ours, *others, *self.keys.values(), *self.children.values())

    def live(self, resource: Resource) -> View | None:
        """The view of a tenant's kind; None where it is not watched."""
        return self.namespaces if resource == resources.NAMESPACES else self.children.get(resource.kind)

    def inventory(self, tenant: Tenant) -> Obj | None:
        """The ConfigMap with the inventory of ``tenant``."""
        return self.children["ConfigMap"].get(tenant.release.namespace, tenant.inventory)

    async def run(self) -> None:
        """Keep all of them current until cancelled."""
        async with asyncio.TaskGroup() as group:
            for view in self.views():
                group.create_task(view.reflector.run())

    async def synced(self) -> None:
        """Return once every one has been read completely."""
        for view in self.views():
            await view.reflector.synced.wait()

    @property
    def ready(self) -> bool:
        """Every one has been read completely."""
        return all(view.reflector.synced.is_set() for view in self.views())

    def fresh_within(self, seconds: float) -> bool:
        """Every watch was heard of within so many seconds."""
        return all(view.reflector.fresh_within(seconds) for view in self.views())


def account_index(app_id: str, account_id: str) -> str:
    """The index of installations of one app in one account."""
    return f"{len(app_id)}:{app_id}{account_id}"


def app_index(app_id: str) -> str:
    """The index of all installations of one app."""
    return f"app:{app_id}"


def _account(obj: Obj) -> tuple[str, str]:
    app_id, account_id = _spec(obj, "appId"), _spec(obj, "accountId")
    return account_index(app_id, account_id), app_index(app_id)


def _app(obj: Obj) -> tuple[str]:
    return (_spec(obj, "appId"),)


def _slice_owner(obj: Obj) -> tuple[str]:
    return (_spec(obj, "installation"),)


def _revoked(obj: Obj) -> tuple[str]:
    return (_spec(obj, "installationId"),)


def _spec(obj: Obj, field: str) -> str:
    return str((obj.get("spec") or {}).get(field))


def _inventory(obj: Obj) -> tuple[str, ...]:
    return (obj["app"],) if "app" in obj else ()


def _revision(obj: Obj) -> tuple[str]:
    return ((obj["metadata"].get("labels") or {}).get(names.APP_LABEL, ""),)
