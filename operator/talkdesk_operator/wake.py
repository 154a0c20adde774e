"""Which keys a change wakes. A change that is nothing but the echo of our own write wakes none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_crds import names
from talkdesk_crds.conditions import TENANT_READY
from talkdesk_kube.resources import key_of
from talkdesk_operator import inventory
from talkdesk_operator.cache import app_index
from talkdesk_operator.keys import AppKey, KeysKey, MailKey, RevokeKey, SweepKey, TenantKey
from talkdesk_operator.mail import record
from talkdesk_operator.revision import app_id_of, owner_of
from talkdesk_operator.urgent import may_have_ended

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from talkdesk_crds.installation import TalkdeskInstallation
    from talkdesk_kube import Obj
    from talkdesk_kube.view import View
    from talkdesk_operator.cache import Caches
    from talkdesk_operator.directory import Directory
    from talkdesk_operator.keys import Key
    from talkdesk_operator.memory import Memory
    from talkdesk_operator.queue import WorkQueue

Name = tuple[str, str]

_PEOPLES_ANNOTATIONS = (names.RESYNC_ANNOTATION, names.PAUSED_ANNOTATION, names.RELEASE_BRAKE_ANNOTATION)


class Waker:
    """Turns changes of anything watched into keys of the queue. Lives in the queue's loop."""

    def __init__(
        self,
        queue: WorkQueue[Key],
        urgent: WorkQueue[RevokeKey],
        *,
        mails: WorkQueue[MailKey],
        caches: Caches,
        directory: Directory,
        memory: Memory,
        namespace: str,
    ) -> None:
        self._queue = queue
        self._urgent = urgent
        self._mails = mails
        self._caches = caches
        self._directory = directory
        self._memory = memory
        self._namespace = namespace

    def subscribe(self) -> None:
        """Listen to every cache. After this, and once the caches are synced, call :meth:`everything`."""
        caches = self._caches
        self._on(caches.installations.view, self._installation, asked=_asked)
        self._on(caches.apps.view, self._app, asked=_asked)
        self._on(caches.slices.view, self._slice)
        self._on(caches.revocations.view, self._revocation)
        self._on(caches.namespaces, self._tenant_namespace)
        self._on(caches.sources, self._source)
        for view in caches.keys.values():
            self._on(view, lambda _: (KeysKey(),))
        # Our own writes count here: they are how a roll-out comes forward.
        self._on(caches.installations.view, self._app_of_installation, _progress, whoever=True)
        self._on(caches.children["ConfigMap"], self._app_of_inventory, _inventoried, whoever=True)
        self._on(caches.namespaces, self._app_of_namespace, _ordered)
        caches.revisions.reflector.subscribe(self._revision)
        caches.installations.view.reflector.subscribe(self._mail)
        for view in caches.children.values():
            self._on(view, self._child)

    def everything(self) -> None:
        """Wake every key there is: the first look after the start."""
        self._queue.add(SweepKey())
        self._queue.add(KeysKey())
        for app in self._caches.apps.view.all():
            self._queue.add(AppKey(app["metadata"]["name"]))
        for installation in self._caches.installations.all():
            self._ended(installation)
            if record.is_owed(record.of(installation)):
                self._mails.add(MailKey(installation.metadata.name))
            self._queue.add(self._directory.key_of(installation))
        for namespace in self._caches.namespaces.all():
            self._add(self._tenant_namespace(namespace))
        for config_map in self._caches.children["ConfigMap"].all():
            if (
                config_map["metadata"]["namespace"] == self._namespace
            ):  # a tenant may make what looks like one
                self._add(self._inventory(config_map))
        for revision in self._caches.revisions.all():
            self._queue.add(AppKey(owner_of(revision)))  # that app may be gone

    def tenant(self, namespace: str) -> None:
        """Wake the tenant with this namespace."""
        key = self._directory.tenant_key(namespace)
        if key is not None:
            self._queue.add(key)

    def outside(self, kind: str, name: str, version: str) -> None:
        """An object of one of the kinds people write changed, as somebody else's watch saw it."""
        seen = {"metadata": {"namespace": self._namespace, "name": name, "resourceVersion": version}}
        if kind == "TalkdeskApp":
            if not _is_echo(self._caches.apps.view, seen):
                self._queue.add(AppKey(name))
            return
        installation = self._caches.installations.get(self._namespace, name)
        if installation is not None and not _is_echo(self._caches.installations.view, seen):
            self._ended(installation)
            self._queue.add(self._directory.key_of(installation))

    def _on(
        self,
        view: View,
        wake: Callable[[Obj], Iterable[Key]],
        facts: Callable[[Obj], object] | None = None,
        *,
        whoever: bool = False,
        asked: Callable[[Obj], object] = lambda _: None,
    ) -> None:
        """Wake at changes of others, or of ``whoever``; with ``facts``, at changes of these alone.

        :param asked: where this is new too, what we wrote came on top of a change that no watch has shown.
        """

        def changed(_key: Name, old: Obj | None, new: Obj | None) -> None:
            ours = new is not None and not whoever and view.wrote(new)
            if ours and (old is None or new is None or asked(old) == asked(new)):
                return
            if facts is not None and old is not None and new is not None and facts(old) == facts(new):
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
            self._ended(stored)
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

    def _ended(self, installation: TalkdeskInstallation) -> None:
        """Access that was ended is refused at once: the tenant's pass may wait for Talkdesk."""
        if may_have_ended(installation):
            self._urgent.add(RevokeKey(installation.metadata.name))

    def _app(self, obj: Obj) -> set[Key]:
        app_id = str((obj.get("spec") or {}).get("appId"))
        rivals = self._directory.launched_at((obj.get("spec") or {}).get("launchHost"))
        others = {AppKey(app.metadata.name) for app in rivals}
        return {AppKey(obj["metadata"]["name"]), *others, *self._directory.keys_of_app(app_id)}

    def _slice(self, obj: Obj) -> set[Key]:
        return self._named(str((obj.get("spec") or {}).get("installation")))

    def _revocation(self, obj: Obj) -> set[Key]:
        name = names.installation_name(str((obj.get("spec") or {}).get("installationId")))
        self._urgent.add(RevokeKey(name))
        return self._named(name)

    def _named(self, name: str) -> set[Key]:
        installation = self._caches.installations.get(self._namespace, name)
        return {self._directory.key_of(installation)} if installation is not None else set()

    def _tenant_namespace(self, obj: Obj) -> set[Key]:
        key = self._directory.tenant_key(obj["metadata"]["name"]) or self._directory.tenant_of(obj)
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

    def _app_of(self, app_id: str) -> set[Key]:
        app = self._directory.app(app_id)
        return {AppKey(app.metadata.name)} if app is not None else set()

    def _app_of_installation(self, obj: Obj) -> set[Key]:
        return self._app_of(str((obj.get("spec") or {}).get("appId")))

    def _app_of_inventory(self, config_map: Obj) -> set[Key]:
        if config_map["metadata"].get("namespace") != self._namespace:
            return set()
        facts = inventory.parse(config_map.get("data")).facts
        return self._app_of(facts.app_id) if facts is not None else set()

    def _app_of_namespace(self, namespace: Obj) -> set[Key]:
        key = self._directory.tenant_key(namespace["metadata"]["name"])
        return self._app_of(key.app_id) if key is not None else set()

    def _mail(self, _key: Name, old: Obj | None, new: Obj | None) -> None:
        """A mail is owed, whoever recorded it: the answer to our own write may have been lost."""
        text = _mails(new)
        if new is not None and text != _mails(old) and record.is_owed(record.parse(text)):
            self._mails.add(MailKey(new["metadata"]["name"]))

    def _revision(self, _key: Name, old: Obj | None, new: Obj | None) -> None:
        """One came or went: the app makes it again if it needs it, and tenants that wait for it go on."""
        seen = new if new is not None else old
        if seen is None or (old is not None and new is not None):
            return
        if not (new is not None and self._caches.revisions.wrote(new)):
            self._queue.add(AppKey(owner_of(seen)))
        for installation in self._caches.installations.by(app_index(app_id_of(seen))):
            if installation.status.revision in (None, seen["metadata"]["name"]):
                self._queue.add(self._directory.key_of(installation))


def _asked(obj: Obj) -> object:
    """What events and people ask of an installation or of an app: what changes where we write none of it."""
    metadata, region = obj["metadata"], (obj.get("spec") or {}).get("region")
    annotations = metadata.get("annotations") or {}
    # The region is ours, written once: it counts as one generation.
    generation = metadata.get("generation", 0) - (region is not None)
    return (generation, *(annotations.get(name) for name in _PEOPLES_ANNOTATIONS))


def _is_echo(view: View, seen: Obj) -> bool:
    """``seen`` is a write of ours, and our own watch has shown what it was made on top of."""
    if not view.wrote(seen):
        return False
    shown, newest = view.reflector.store.get(key_of(seen)), view.get(*key_of(seen))
    return shown is None or newest is None or _asked(shown) == _asked(newest)


def _progress(obj: Obj) -> object:
    """What a roll-out asks of an installation."""
    status = obj.get("status") or {}
    ready: Obj = next((one for one in status.get("conditions") or [] if one.get("type") == TENANT_READY), {})
    return (
        status.get("tenant"),
        status.get("revision"),
        status.get("access"),
        ready.get("status"),
        ready.get("reason"),
        (obj["metadata"].get("annotations") or {}).get(names.PAUSED_ANNOTATION),
    )


def _mails(obj: Obj | None) -> str | None:
    found: str | None = ((obj or {}).get("metadata", {}).get("annotations") or {}).get(names.MAILS_ANNOTATION)
    return found


def _inventoried(config_map: Obj) -> object:
    return inventory.revision_of(config_map.get("data"))


def _ordered(namespace: Obj) -> object:
    return (namespace.get("revision"), bool(namespace["metadata"].get("deletionTimestamp")))
