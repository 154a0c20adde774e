"""Everything the operator reads from the cluster: reflectors, and what this process itself wrote since.

A watch shows a write of ours a moment after the API server answered it. A pass that began in between would
see the old object and write again; so each answer is kept until the watch has caught up with it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

import structlog

from talkdesk_crds import names
from talkdesk_crds.app import TalkdeskApp
from talkdesk_crds.installation import TalkdeskInstallation
from talkdesk_crds.meta import Model
from talkdesk_crds.revocation import TalkdeskRevocation
from talkdesk_crds.user_slice import TalkdeskUserSlice
from talkdesk_kube import Obj, Unreadable, key_of, parse, resources
from talkdesk_kube.reflector import Reflector
from talkdesk_operator.compact import compact, content_of

if TYPE_CHECKING:
    from talkdesk_kube import Kube, Resource
    from talkdesk_operator.tenant.identity import Release

_log = structlog.get_logger(__name__)

Name = tuple[str, str]
#: The values that an object is found by.
Index = Callable[[Obj], Iterable[str]]
M = TypeVar("M", bound=Model)

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
_REMEMBERED = 8192


class View:
    """One resource, as the watch shows it or as our own writes left it, whichever is newer."""

    def __init__(self, reflector: Reflector, *, index: Index | None = None) -> None:
        self.reflector = reflector
        self._index = index
        self._indexed: dict[str, set[Name]] = {}
        self._ours: dict[Name, Obj] = {}
        self._deleted: dict[Name, str] = {}
        self._written: OrderedDict[tuple[Name, str], None] = OrderedDict()
        reflector.subscribe(self._reindex)

    def get(self, namespace: str, name: str) -> Obj | None:
        """The object, or None. Do not change it."""
        key = (namespace, name)
        stored = self.reflector.store.get(key)
        if stored is not None and stored["metadata"].get("uid") == self._deleted.get(key):
            return None
        ours = self._ours.get(key)
        if ours is None:
            return stored
        if _version(ours) <= int(self.reflector.resource_version or 0):
            del self._ours[key]
            return stored
        return stored if stored is not None and _version(stored) > _version(ours) else ours

    def by(self, value: str) -> list[Obj]:
        """All objects that the index gives ``value``, by name."""
        found = (self.get(*key) for key in sorted(self._indexed.get(value, ())))
        return [item for item in found if item is not None]

    def all(self) -> Iterator[Obj]:
        """Every object, by name."""
        for key in sorted(self.reflector.store):
            if (item := self.get(*key)) is not None:
                yield item

    def remember(self, written: Obj) -> None:
        """``written`` is the API server's answer to a write of ours, transformed as the reflector would."""
        key = key_of(written)
        self._ours[key] = written
        self._deleted.pop(key, None)
        self._add(key, written)
        self._written[key, str(written["metadata"]["resourceVersion"])] = None
        while len(self._written) > _REMEMBERED:
            self._written.popitem(last=False)

    def forget(self, deleted: Obj) -> None:
        """We deleted it."""
        key = key_of(deleted)
        self._ours.pop(key, None)
        self._deleted[key] = deleted["metadata"].get("uid", "")

    def wrote(self, obj: Obj) -> bool:
        """True where ``obj`` is in exactly the version that a write of ours made."""
        return (key_of(obj), str(obj["metadata"].get("resourceVersion"))) in self._written

    def _reindex(self, key: Name, old: Obj | None, new: Obj | None) -> None:
        if new is None:
            self._deleted.pop(key, None)
        if self._index is None:
            return
        if old is not None:
            for value in set(self._index(old)) - set(self._index(new) if new is not None else ()):
                members = self._indexed.get(value, set())
                members.discard(key)
                if not members:
                    self._indexed.pop(value, None)
        if new is not None:
            self._add(key, new)

    def _add(self, key: Name, obj: Obj) -> None:
        for value in self._index(obj) if self._index is not None else ():
            self._indexed.setdefault(value, set()).add(key)


class Typed(Generic[M]):
    """A view of one of our kinds, as its model. What no model accepts is logged once and left out."""

    def __init__(self, view: View, model: type[M]) -> None:
        self.view = view
        self._model = model
        self._parsed: dict[Name, tuple[str, M | None]] = {}

    def get(self, namespace: str, name: str) -> M | None:
        """The object, or None."""
        obj = self.view.get(namespace, name)
        if obj is None:
            self._parsed.pop((namespace, name), None)
        return None if obj is None else self._parse(obj)

    def by(self, value: str) -> list[M]:
        """All objects that the index gives ``value``."""
        return [one for item in self.view.by(value) if (one := self._parse(item)) is not None]

    def all(self) -> list[M]:
        """Every object."""
        return [one for item in self.view.all() if (one := self._parse(item)) is not None]

    def _parse(self, obj: Obj) -> M | None:
        key, version = key_of(obj), str(obj["metadata"]["resourceVersion"])
        known = self._parsed.get(key)
        if known is not None and known[0] == version:
            return known[1]
        try:
            parsed = parse(self._model, obj)
        except Unreadable as problem:
            _log.warning("an object is left out, its model does not accept it", problem=str(problem))
            parsed = None
        self._parsed[key] = (version, parsed)
        return parsed


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
        self.slices = Typed(
            View(Reflector(kube, resources.USER_SLICES, namespace=own), index=_slice_owner), TalkdeskUserSlice
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
        return (*ours, self.namespaces, self.sources, self.revisions, *self.children.values())

    def live(self, resource: Resource) -> View | None:
        """The view of a tenant's kind; None where it is not watched."""
        return self.namespaces if resource == resources.NAMESPACES else self.children.get(resource.kind)

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


def _version(obj: Obj) -> int:
    return int(obj["metadata"].get("resourceVersion") or 0)
