"""Which app and which installations a key stands for, by the caches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_crds import names
from talkdesk_operator import revision
from talkdesk_operator.cache import account_index
from talkdesk_operator.keys import UNPLACED, AppKey, Key, TenantKey
from talkdesk_operator.region import Placed, place

if TYPE_CHECKING:
    from talkdesk_crds.app import TalkdeskApp
    from talkdesk_crds.installation import TalkdeskInstallation
    from talkdesk_kube import Obj
    from talkdesk_operator.cache import Caches
    from talkdesk_operator.tenant import Release


class Directory:
    """Looks keys up, both ways."""

    def __init__(self, caches: Caches, release: Release) -> None:
        self._caches = caches
        self._release = release
        self._tenants: dict[str, TenantKey] = {}

    def apps(self, app_id: str) -> list[TalkdeskApp]:
        """All TalkdeskApps with this app id, oldest first: the first is used."""
        return sorted(self._caches.apps.by(app_id), key=_age)

    def app(self, app_id: str) -> TalkdeskApp | None:
        """The TalkdeskApp that counts for this app id."""
        return next(iter(self.apps(app_id)), None)

    def launched_at(self, host: str | None) -> list[TalkdeskApp]:
        """All TalkdeskApps in use with this launch host, oldest first: users come to the first."""
        if host is None:
            return []
        found = [app for app in self._caches.apps.all() if app.spec.launch_host == host]
        return sorted((app for app in found if self._used(app)), key=_age)

    def _used(self, app: TalkdeskApp) -> bool:
        first = self.app(app.spec.app_id)
        return first is not None and first.metadata.name == app.metadata.name

    def app_ids_of(self, name: str) -> set[str]:
        """The app ids that TalkdeskApps of this name ever had a revision of."""
        return {
            revision.app_id_of(one) for one in self._caches.revisions.all() if revision.owner_of(one) == name
        }

    def readable(self, app_id: str) -> bool:
        """Every TalkdeskApp of this app id could be read: the one that counts is known for certain."""
        return len(self._caches.apps.by(app_id)) == len(self._caches.apps.view.by(app_id))

    def tenant_of(self, namespace: Obj) -> TenantKey | None:
        """Whose tenant ``namespace`` (as cached) is, by its own account; None unless its name agrees."""
        annotations, region = namespace["annotations"], namespace["region"]
        try:
            key = TenantKey(
                app_id=annotations[f"{names.GROUP}/app-id"],
                region=region or UNPLACED,
                account_id=annotations[f"{names.GROUP}/account-id"],
            )
        except KeyError:
            return None
        if region is None or self._release.tenant(key).name != namespace["metadata"]["name"]:
            return None
        return self.learn(key)

    def key_of(self, installation: TalkdeskInstallation) -> TenantKey:
        """The key that ``installation`` belongs to at present."""
        spec = installation.spec
        placed = place(self.app(spec.app_id), installation)
        region = placed.region if isinstance(placed, Placed) else UNPLACED
        return self.learn(TenantKey(app_id=spec.app_id, region=region, account_id=spec.account_id))

    def installations(self, key: TenantKey) -> list[TalkdeskInstallation]:
        """The installations of ``key``, by name; those on their way out are left out."""
        found = self._caches.installations.by(account_index(key.app_id, key.account_id))
        return [one for one in found if self.key_of(one) == key and one.metadata.deletion_timestamp is None]

    def learn(self, key: TenantKey) -> TenantKey:
        """Remember ``key`` under its tenant's name, for what happens in that namespace."""
        if key.region != UNPLACED:
            self._tenants[self._release.tenant(key).name] = key
        return key

    def tenant_key(self, namespace: str) -> TenantKey | None:
        """The key of the tenant with this namespace, if it was ever seen."""
        return self._tenants.get(namespace)

    def keys_of_app(self, app_id: str) -> set[Key]:
        """Every key that a TalkdeskApp of this app id bears on."""
        keys: set[Key] = {AppKey(app.metadata.name) for app in self.apps(app_id)}
        keys |= {self.key_of(one) for one in self._caches.installations.all() if one.spec.app_id == app_id}
        keys |= {key for key in self._tenants.values() if key.app_id == app_id}
        return keys


def _age(app: TalkdeskApp) -> tuple[str, str]:
    """Sort key: the oldest first."""
    return (app.metadata.creation_timestamp or "", app.metadata.name)
