"""Which keys a change wakes. A change that is nothing but the echo of our own write wakes none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_crds import names
from talkdesk_operator import inventory
from talkdesk_operator.keys import AppKey, TenantKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from talkdesk_kube import Obj
    from talkdesk_operator.cache import Caches, View
    from talkdesk_operator.directory import Directory
    from talkdesk_operator.keys import Key
    from talkdesk_operator.memory import Memory
    from talkdesk_operator.queue import WorkQueue

Name = tuple[str, str]


class Waker:
    """Turns changes of anything watched into keys of the queue. Lives in the queue's loop."""

    def __init__(
        self, queue: WorkQueue[Key], caches: Caches, directory: Directory, memory: Memory, *, namespace: str
    ) -> None:
        self._queue = queue
        self._caches = caches
        self._directory = directory
        self._memory = memory
        self._namespace = namespace

    def subscribe(self) -> None:
        """Listen to every cache. After this, and once the caches are synced, call :meth:`everything`."""
        caches = self._caches
        self._on(caches.installations.view, self._installation)
        self._on(caches.apps.view, self._app)
        self._on(caches.slices.view, self._slice)
        self._on(caches.revocations.view, self._revocation)
        self._on(caches.namespaces, self._tenant_namespace)
        self._on(caches.sources, self._source)
        for view in caches.children.values():
            self._on(view, self._child)

    def everything(self) -> None:
        """Wake every key there is: the first look after the start."""
        for app in self._caches.apps.view.all():
            self._queue.add(AppKey(app["metadata"]["name"]))
        for installation in self._caches.installations.all():
            self._queue.add(self._directory.key_of(installation))
        for config_map in self._caches.children["ConfigMap"].all():
            self._add(self._inventory(config_map))

    def outside(self, kind: str, name: str, version: str) -> None:
        """An object of one of the kinds people write changed, as somebody else's watch saw it."""
        seen = {"metadata": {"namespace": self._namespace, "name": name, "resourceVersion": version}}
        if kind == "TalkdeskApp":
            if not self._caches.apps.view.wrote(seen):
                self._queue.add(AppKey(name))
            return
        installation = self._caches.installations.get(self._namespace, name)
        if installation is not None and not self._caches.installations.view.wrote(seen):
            self._queue.add(self._directory.key_of(installation))

    def _on(self, view: View, wake: Callable[[Obj], Iterable[Key]]) -> None:
        def changed(_key: Name, old: Obj | None, new: Obj | None) -> None:
            if new is not None and view.wrote(new):
                return
            for seen in (old, new):
                if seen is not None:
                    self._add(wake(seen))

        view.reflector.subscribe(changed)

    def _add(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self._queue.add(key)

    def _installation(self, obj: Obj) -> set[Key]:
        metadata = obj["metadata"]
        stored = self._caches.installations.get(metadata["namespace"], metadata["name"])
        if stored is not None:
            return {self._directory.key_of(stored)}
        # Deleted: its tenant is nobody's now, or another installation's.
        self._memory.forget(metadata.get("uid", ""))
        spec = obj.get("spec") or {}
        if not spec.get("region"):
            return set()
        return {
            self._directory.learn(
                TenantKey(app_id=spec["appId"], region=spec["region"], account_id=spec["accountId"])
            )
        }

    def _app(self, obj: Obj) -> set[Key]:
        app_id = str((obj.get("spec") or {}).get("appId"))
        return {AppKey(obj["metadata"]["name"]), *self._directory.keys_of_app(app_id)}

    def _slice(self, obj: Obj) -> set[Key]:
        return self._named(str((obj.get("spec") or {}).get("installation")))

    def _revocation(self, obj: Obj) -> set[Key]:
        return self._named(names.installation_name(str((obj.get("spec") or {}).get("installationId"))))

    def _named(self, name: str) -> set[Key]:
        installation = self._caches.installations.get(self._namespace, name)
        return {self._directory.key_of(installation)} if installation is not None else set()

    def _tenant_namespace(self, obj: Obj) -> set[Key]:
        key = self._directory.tenant_key(obj["metadata"]["name"])
        return {key} if key is not None else set()

    def _child(self, obj: Obj) -> set[Key]:
        if obj["metadata"].get("namespace") == self._namespace:
            return self._inventory(obj)
        key = self._directory.tenant_key(obj["metadata"].get("namespace", ""))
        return {key} if key is not None else set()

    def _source(self, config_map: Obj) -> set[Key]:
        tenants = self._memory.copied.get(config_map["metadata"]["name"], ())
        return {key for name in tenants if (key := self._directory.tenant_key(name)) is not None}

    def _inventory(self, config_map: Obj) -> set[Key]:
        """A tenant that may have no installation any more is known by its inventory."""
        facts = inventory.parse(config_map.get("data")).facts
        if facts is None:
            return set()
        key = TenantKey(app_id=facts.app_id, region=facts.region, account_id=facts.account_id)
        return {self._directory.learn(key)}
