"""Now and then: lists the credentials' Secrets (without their content) and deletes what nobody needs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from talkdesk_crds import names
from talkdesk_kube import Conflict, KubeError, NotFound, resources
from talkdesk_operator import inventory
from talkdesk_operator.publish import reference
from talkdesk_operator.queue import Outcome
from talkdesk_operator.sweep import Ages, Kept, Superfluous, superfluous

if TYPE_CHECKING:
    from collections.abc import Callable

    from talkdesk_kube import Kube, Obj
    from talkdesk_kube.events import EventRecorder
    from talkdesk_operator.cache import Caches

_log = structlog.get_logger(__name__)

_LABELS = (names.APP_LABEL, names.ACCOUNT_LABEL, names.INSTALLATION_LABEL)


class Sweeper:
    """Deletes superseded and long unclaimed credentials in one namespace, ``every`` so many seconds."""

    def __init__(
        self,
        *,
        kube: Kube,
        caches: Caches,
        recorder: EventRecorder,
        namespace: str,
        credentials_namespace: str,
        ages: Ages,
        every: float,
        clock: Callable[[], datetime],
    ) -> None:
        self._kube = kube
        self._caches = caches
        self._recorder = recorder
        self._own = namespace
        self._namespace = credentials_namespace
        self._ages = ages
        self._every = every
        self._clock = clock

    async def sweep(self) -> Outcome:
        """One look at all of them; when to look again."""
        try:
            # Before the caches are looked at: what is claimed meanwhile counts as claimed.
            listing = await self._kube.list(
                resources.SECRETS, namespace=self._namespace, labels=",".join(_LABELS), metadata_only=True
            )
            for one in superfluous(
                [_kept(item) for item in listing.items],
                self._caches.installations.all(),
                apps={names.label_value(app.spec.app_id) for app in self._caches.apps.all()},
                tenants=self._tenants(),
                ages=self._ages,
                now=self._clock(),
            ):
                await self._delete(one)
        except KubeError as error:
            _log.warning("credentials could not be swept", error=str(error))
            return Outcome(after=error.retry_after, failed=True)
        return Outcome(after=self._every)

    def _tenants(self) -> set[tuple[str, str]]:
        found = set()
        for config_map in self._caches.children["ConfigMap"].all():
            if config_map["metadata"].get("namespace") != self._own:
                continue
            facts = inventory.parse(config_map.get("data")).facts
            if facts is not None:
                found.add((names.label_value(facts.app_id), names.label_value(facts.account_id)))
        return found

    async def _delete(self, one: Superfluous) -> None:
        secret = one.secret
        try:
            await self._kube.delete(resources.SECRETS, secret.name, namespace=self._namespace, uid=secret.uid)
        except (NotFound, Conflict):
            return
        _log.info("credentials deleted", secret=secret.name, why=one.why, installation=secret.owner[2])
        regarding = reference(one.installation) if one.installation is not None else self._app(secret)
        note = f"Secret {secret.name} in namespace {self._namespace} was {one.why}"
        self._recorder.event(regarding, "Normal", "CredentialsDeleted", note, "Sweep")

    def _app(self, secret: Kept) -> Obj:
        """The TalkdeskApp: Events stand beside what they regard, and we write none beside the Secrets."""
        everyone = self._caches.apps.all()
        app = next(one for one in everyone if names.label_value(one.spec.app_id) == secret.owner[0])
        metadata = {name: getattr(app.metadata, name) for name in ("name", "namespace", "uid")}
        return {"apiVersion": app.api_version, "kind": app.kind, "metadata": metadata}


def _kept(item: Obj) -> Kept:
    metadata = item["metadata"]
    app, account, installation = (str(metadata["labels"][label]) for label in _LABELS)
    created = datetime.fromisoformat(metadata["creationTimestamp"]).astimezone(UTC)
    return Kept(metadata["name"], metadata["uid"], (app, account, installation), created)
