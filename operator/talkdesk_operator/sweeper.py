"""Now and then: looks for credentials, revocations and installations that nobody needs, and deletes them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from talkdesk_crds import names
from talkdesk_kube import Conflict, KubeError, NotFound, resources
from talkdesk_operator import inventory
from talkdesk_operator.publish import reference
from talkdesk_operator.queue import Outcome
from talkdesk_operator.sweep import Ages, Kept, Superfluous, superfluous, unclaimed_revocations
from talkdesk_operator.undeclared import surplus

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet

    from talkdesk_crds.installation import TalkdeskInstallation
    from talkdesk_kube import Kube, Obj
    from talkdesk_kube.events import EventRecorder
    from talkdesk_operator.cache import Caches
    from talkdesk_operator.directory import Directory
    from talkdesk_operator.remains import Remains
    from talkdesk_operator.tenant import Release

_log = structlog.get_logger(__name__)

_LABELS = (names.APP_LABEL, names.ACCOUNT_LABEL, names.INSTALLATION_LABEL)


@dataclass(frozen=True)
class Bounds:
    """What is kept, and for how long.

    :ivar ages: of credentials.
    :ivar revocation: how old a revocation must be whose installation is not there.
    :ivar undeclared: number of installations of apps that nobody declared.
    """

    ages: Ages
    revocation: timedelta
    undeclared: int


class Sweeper:
    """Deletes what is beyond ``bounds``, ``every`` so many seconds.

    That is: superseded and unclaimed credentials in one namespace, revocations whose installation is not
    there, and the oldest installations of apps that nobody declared.
    """

    def __init__(
        self,
        *,
        kube: Kube,
        caches: Caches,
        directory: Directory,
        remains: Remains,
        recorder: EventRecorder,
        release: Release,
        credentials_namespace: str,
        bounds: Bounds,
        every: float,
        clock: Callable[[], datetime],
    ) -> None:
        self._kube = kube
        self._caches = caches
        self._directory = directory
        self._remains = remains
        self._recorder = recorder
        self._own = release.namespace
        self._release = release.id
        self._namespace = credentials_namespace
        self._bounds = bounds
        self._every = every
        self._clock = clock

    async def sweep(self) -> Outcome:
        """One look at all of them; when to look again."""
        try:
            await self._prune()
            await self._drop_revocations()
            # Before the caches are looked at: what is claimed meanwhile counts as claimed.
            listing = await self._kube.list(
                resources.SECRETS, namespace=self._namespace, labels=",".join(_LABELS), metadata_only=True
            )
            for one in superfluous(
                [self._kept(item) for item in listing.items],
                self._caches.installations.all(),
                release=self._release,
                apps={names.label_value(app.spec.app_id) for app in self._caches.apps.all()},
                tenants=self._tenants(),
                ages=self._bounds.ages,
                now=self._clock(),
            ):
                await self._delete(one)
        except KubeError as error:
            _log.warning("the sweep is not done", error=str(error))
            return Outcome(after=error.retry_after, failed=True)
        return Outcome(after=self._every)

    async def _prune(self) -> None:
        """Installations of undeclared apps beyond the bound, with all that belongs to them."""
        if not self._surplus({_app_id(app) for app in self._caches.apps.view.all()}):
            return
        # An app may have been declared a moment ago: the API server knows before any watch does.
        declared = await self._kube.list(resources.APPS, namespace=self._own)
        for one in self._surplus({_app_id(app) for app in declared.items}):
            try:
                await self._remains.installation(one)
            except (NotFound, Conflict):
                continue  # gone, or something new was said about it: the next sweep judges anew
            _log.warning(
                "installation of an undeclared app deleted",
                installation=one.metadata.name,
                app=one.spec.app_id,
            )
            note = (
                f"no TalkdeskApp declares app {one.spec.app_id}, and more than {self._bounds.undeclared} "
                "installations of such apps were here: the oldest are deleted"
            )
            self._recorder.event(reference(one), "Warning", "UndeclaredDeleted", note, "Sweep")
            await self._remains.of([one])

    def _surplus(self, declared: AbstractSet[str]) -> list[TalkdeskInstallation]:
        return surplus(
            self._caches.installations.all(),
            declared=declared,
            tenants=self._tenants(),
            kept=self._bounds.undeclared,
        )

    async def _drop_revocations(self) -> None:
        for one in unclaimed_revocations(
            self._caches.revocations.all(),
            self._caches.installations.all(),
            tenants=self._tenants(),
            age=self._bounds.revocation,
            now=self._clock(),
        ):
            await self._remains.revocation(one)

    def _tenants(self) -> set[tuple[str, str]]:
        found = set()
        for config_map in self._caches.children["ConfigMap"].all():
            if config_map["metadata"].get("namespace") != self._own:
                continue
            facts = inventory.parse(config_map.get("data")).facts
            if facts is not None:
                found.add((names.label_value(facts.app_id), names.label_value(facts.account_id)))
        # Where an inventory was lost, its tenant is still there.
        keys = (self._directory.tenant_of(namespace) for namespace in self._caches.namespaces.all())
        return found | {
            (names.label_value(key.app_id), names.label_value(key.account_id))
            for key in keys
            if key is not None
        }

    async def _delete(self, one: Superfluous) -> None:
        secret = one.secret
        try:
            await self._kube.delete(resources.SECRETS, secret.name, namespace=self._namespace, uid=secret.uid)
        except (NotFound, Conflict):
            return
        _log.info("credentials deleted", secret=secret.name, why=one.why, installation=secret.owner[2])
        regarding = reference(one.installation) if one.installation is not None else self._app(secret)
        if regarding is None:
            return
        note = f"Secret {secret.name} in namespace {self._namespace} was {one.why}"
        self._recorder.event(regarding, "Normal", "CredentialsDeleted", note, "Sweep")

    def _app(self, secret: Kept) -> Obj | None:
        """The TalkdeskApp, if any: Events stand beside what they regard; we write none beside the Secrets."""
        everyone = self._caches.apps.all()
        app = next((one for one in everyone if names.label_value(one.spec.app_id) == secret.owner[0]), None)
        if app is None:
            return None
        metadata = {name: getattr(app.metadata, name) for name in ("name", "namespace", "uid")}
        return {"apiVersion": app.api_version, "kind": app.kind, "metadata": metadata}

    def _kept(self, item: Obj) -> Kept:
        metadata = item["metadata"]
        app, account, installation = (str(metadata["labels"][label]) for label in _LABELS)
        return Kept(
            metadata["name"],
            metadata["uid"],
            (app, account, installation),
            created=datetime.fromisoformat(metadata["creationTimestamp"]).astimezone(UTC),
            release=metadata["labels"].get(names.RELEASE_LABEL),
        )


def _app_id(app: Obj) -> str:
    return str((app.get("spec") or {}).get("appId"))
