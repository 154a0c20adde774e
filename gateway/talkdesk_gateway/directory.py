"""Who lives where, at this moment: tenancies by host and by installation, from what the watches show.

A tenancy is made when it is first asked for and kept until a watch shows a change of anything that it was
made from; it is a view of the caches, never older than they are. Nothing decided is kept.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from talkdesk_crds import names
from talkdesk_crds.blueprint import for_version
from talkdesk_gateway.caches import by_app, by_base_domain, by_host, by_launch_host, by_tenant
from talkdesk_gateway.generations import Counting, Generation, generation
from talkdesk_gateway.tenancy import Tenancy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from talkdesk_crds.app import TalkdeskApp
    from talkdesk_crds.blueprint import ServiceRef
    from talkdesk_crds.installation import TalkdeskInstallation
    from talkdesk_gateway.caches import Caches
    from talkdesk_kube import Key, Obj

_log = structlog.get_logger(__name__)

_NOBODY = Generation(1, {})
#: Of a name in the DNS (RFC 1035, section 2.3.4); what is longer is no host.
_LONGEST_HOST: Final = 253


class WatchedDirectory:
    """The tenancies of one release.

    :param fault: why what the watches show should not be relied on, None where it may be.
    """

    def __init__(self, caches: Caches, *, namespace: str, fault: Callable[[], str | None]) -> None:
        self._caches = caches
        self._namespace = namespace
        self._fault = fault
        self._counting = Counting(lambda: caches.slices.reflector.resource_version)
        self._made: dict[str, Tenancy] = {}
        self._at: dict[str, Tenancy] = {}
        self._subscribers: dict[str, set[Callable[[], None]]] = {}
        self._changed: set[str] = set()
        self._telling: asyncio.Handle | None = None
        caches.installations.view.reflector.subscribe(self._installation)
        caches.apps.view.reflector.subscribe(self._app)
        caches.slices.reflector.subscribe(self._slice)
        caches.services.reflector.subscribe(self._service)

    @property
    def fresh(self) -> bool:
        """What is known may be acted on."""
        return self._fault() is None

    def by_host(self, host: str) -> Tenancy | None:
        """The tenancy that is served at ``host`` (lower case, without port)."""
        found = self._at.get(host)
        if found is None or found.installation.metadata.name in self._settled():
            found = self._choose(by_host(host))
            if found is not None:
                self._at[host] = found
        return found

    def by_installation(self, installation_id: str) -> Tenancy | None:
        """The tenancy of Talkdesk's installation id; its host is "" while it has none."""
        found = self.by_name(names.installation_name(installation_id))
        return found if found and found.installation.spec.installation_id == installation_id else None

    def by_name(self, name: str) -> Tenancy | None:
        """The tenancy of the TalkdeskInstallation of this name."""
        self._settled()
        if name not in self._made:
            made = self._make(name)
            if made is None:
                return None
            self._made[name] = made
        return self._made[name]

    def app_at(self, launch_host: str) -> TalkdeskApp | None:
        """The app whose launch host this is; of several the oldest."""
        return _oldest(self._caches.apps.by(by_launch_host(launch_host)))

    def app_of(self, host: str) -> TalkdeskApp | None:
        """The app that ``host`` belongs to, also where nobody lives there; the longest base domain counts."""
        tenancy = self.by_host(host)
        if tenancy is not None:
            return tenancy.app
        launched = self.app_at(host)
        if launched is not None or len(host) > _LONGEST_HOST:
            return launched
        domain = host
        while domain:
            if apps := self._caches.apps.by(by_base_domain(domain)):
                return _oldest(apps)
            domain = domain.partition(".")[2]
        return None

    def settled(self, name: str) -> bool:
        """The slices that the installation's newest status speaks of are those that count."""
        return self._counting.is_current((self._namespace, name))

    def installations(self) -> int:
        """How many there are."""
        return len(self._caches.installations.view.reflector.store)

    def subscribe(self, name: str, changed: Callable[[], None]) -> Callable[[], None]:
        """Call ``changed`` soon after anything of that installation's tenancy changed; the result ends it.

        The tenancy is the new one by then. Several changes at once are told once.
        """
        told = self._subscribers.setdefault(name, set())
        told.add(changed)

        def end() -> None:
            told.discard(changed)
            if not told and self._subscribers.get(name) is told:
                del self._subscribers[name]

        return end

    # What the watches tell. Only marks are set here: in the middle of a list, caches agree on nothing yet.

    def _installation(self, key: Key, old: Obj | None, new: Obj | None) -> None:
        name = key[1]
        installation = self._caches.installations.get(*key) if new is not None else None
        if installation is None:
            self._counting.gone(key)
        else:
            self._counting.told(key, installation.metadata.uid or "", installation.status.users)
        for one in (old, new):
            if one is not None and (host := one["status"].get("host")):
                self._at.pop(host, None)
        self._mark([name])

    def _app(self, _: Key, old: Obj | None, new: Obj | None) -> None:
        for one in (old, new):
            if one is not None:
                self._mark(self._named(by_app(str((one.get("spec") or {}).get("appId")))))

    def _slice(self, _: Key, old: Obj | None, new: Obj | None) -> None:
        self._mark({str(one["spec"]["installation"]) for one in (old, new) if one is not None})

    def _service(self, key: Key, _: Obj | None, __: Obj | None) -> None:
        self._mark(self._named(by_tenant(key[0])))

    def _named(self, index: str) -> list[str]:
        return [one["metadata"]["name"] for one in self._caches.installations.view.by(index)]

    def _mark(self, changed: Iterable[str]) -> None:
        for name in changed:
            self._made.pop(name, None)
            known = self._caches.installations.view.get(self._namespace, name)
            if known is not None:
                self._at.pop(known["status"].get("host") or "", None)
            self._changed.add(name)
        # A generation that waits for the slice watch may wait for this very event: looked at afterwards.
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_soon(self._tell)

    def _settled(self) -> set[str]:
        """Use what the slice watch has reached by now; the names of those that changed by it."""
        if not (waiting := self._counting.waiting):
            return set()
        changed = {key[1] for key in waiting if self._counting.settle(key)}
        if changed:
            self._mark(changed)
        return changed

    def _tell(self) -> None:
        self._settled()
        self._telling = None
        changed, self._changed = self._changed, set()
        for name in changed:
            for tell in tuple(self._subscribers.get(name, ())):
                try:
                    tell()
                except Exception:  # noqa: BLE001 -- one bad subscriber must not keep a refusal from the others
                    _log.exception("a subscriber failed", installation=name)

    # How a tenancy is made.

    def _choose(self, index: str) -> Tenancy | None:
        """Of several (one follows another in the account) the one that the operator lets hold the tenant."""
        found = (self.by_name(name) for name in self._named(index))
        return max((one for one in found if one is not None), key=_holds, default=None)

    def _make(self, name: str) -> Tenancy | None:
        key = (self._namespace, name)
        installation = self._caches.installations.get(*key)
        if installation is None or installation.metadata.deletion_timestamp is not None:
            return None
        app = _oldest(self._caches.apps.by(by_app(installation.spec.app_id)))
        if app is None:
            return None
        buckets = self._counting.buckets(key)
        counts = generation(self._caches.slices.by(name), buckets) if buckets is not None else _NOBODY
        return Tenancy(
            installation=installation,
            app=app,
            host=installation.status.host or "",
            upstream=self._upstream(installation, app),
            user=counts.user,
            users_known=counts.complete,
        )

    def _upstream(self, installation: TalkdeskInstallation, app: TalkdeskApp) -> str | None:
        """Where the tenant's own Service is at this moment, by the name and port that its app declares.

        A tenant that a roll-out has not reached yet has the Service of its own revision, which status names.
        """
        status = installation.status
        if status.tenant is None:
            return None
        declared = for_version(app.spec, status.app_version).service
        found = (self._address(status.tenant, one) for one in (status.service, declared) if one)
        return next((address for address in found if address is not None), None)

    def _address(self, tenant: str, wanted: ServiceRef) -> str | None:
        service = self._caches.services.get(tenant, wanted.name)
        if service is None or "deletionTimestamp" in service["metadata"]:
            return None
        if not service["address"] or wanted.port not in service["ports"]:
            return None
        return f"{service['address']}:{wanted.port}"


def _oldest(apps: Iterable[TalkdeskApp]) -> TalkdeskApp | None:
    # As the operator: of two apps with one id the older is used.
    return min(apps, key=lambda app: (app.metadata.creation_timestamp or "", app.metadata.name), default=None)


def _holds(tenancy: Tenancy) -> tuple[bool, str, str]:
    # As the operator chooses a tenant's holder: the newest that is installed.
    spec = tenancy.installation.spec
    at = spec.talkdesk.installed.at if spec.talkdesk.installed is not None else None
    return (not spec.talkdesk.is_uninstalled, at or "", spec.installation_id)
