"""What an event says, into the API server: Secret, revocations, then the fold under an optimistic lock.

Everything is idempotent, so whatever was cut short is simply done again: by this request within its time, by
Talkdesk's next delivery otherwise.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal
from weakref import WeakValueDictionary

import structlog

from talkdesk_crds.installation import TalkdeskInstallation
from talkdesk_crds.names import API_VERSION, installation_name, release_id
from talkdesk_kube import (
    AlreadyExists,
    Conflict,
    Forbidden,
    KubeError,
    NotFound,
)
from talkdesk_kube.resources import INSTALLATIONS, REVOCATIONS, SECRETS
from talkdesk_kube.typed import Unreadable, parse
from talkdesk_webhook.fold import fold
from talkdesk_webhook.merge import merge_diff
from talkdesk_webhook.revocations import revocations
from talkdesk_webhook.secret import credentials_secret, installation_labels

if TYPE_CHECKING:
    from talkdesk_crds.installation import TalkdeskInstallationSpec
    from talkdesk_kube import Kube
    from talkdesk_kube.resources import Obj, Resource
    from talkdesk_webhook.event import Event
    from talkdesk_webhook.metrics import Metrics

FIELD_MANAGER: Final = "talkdesk-webhook"
#: Bounds of the jittered wait between two attempts, in seconds.
FIRST_WAIT: Final = 0.02
LONGEST_WAIT: Final = 1.0

_log = structlog.get_logger("talkdesk_webhook.store")

Outcome = Literal["stored", "already-stored"]


class NotStoredError(Exception):
    """The API server does not hold the event; Talkdesk must deliver it again. ``reason`` is a constant."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class _LostRaceError(Exception):
    """Somebody else wrote in between, or the object is on its way out: read again, fold again.

    In words of its own: the API server's 409 is how replicas get along, and no news in a log.
    """


@dataclass
class _Progress:
    """What this request has stored already; ``trouble`` is the last thing that went wrong."""

    stored: set[str]
    news: bool = False
    trouble: str = ""


class Store:
    """The only writer of ``spec.talkdesk``; any number of replicas may run at once."""

    def __init__(
        self, *, kube: Kube, namespace: str, release: str, credentials_namespace: str, metrics: Metrics
    ) -> None:
        self._kube = kube
        self._namespace = namespace
        self._release = release_id(namespace, release)
        self._credentials_namespace = credentials_namespace
        self._metrics = metrics
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def put(self, event: Event, *, deadline: float) -> Outcome:
        """Store ``event``, trying until ``deadline`` (the loop's clock). Returns only once it is stored.

        Raises NotStoredError, and ForeignEventError where the installation is another app's or account's
        (then nothing is stored).
        """
        progress = _Progress(stored=set())
        try:
            async with asyncio.timeout_at(deadline):
                return await self._until_stored(event, progress, deadline)
        except TimeoutError:
            raise NotStoredError("out-of-time", progress.trouble) from None

    async def _until_stored(self, event: Event, progress: _Progress, deadline: float) -> Outcome:
        # Events of one installation take turns in this process, so that only other replicas cause conflicts.
        name = installation_name(event.installation_id)
        lock = self._locks.setdefault(name, asyncio.Lock())
        async with lock:
            wait = FIRST_WAIT
            while True:
                asked = 0.0
                try:
                    await self._attempt(name, event, progress)
                except _LostRaceError as lost:
                    progress.trouble = str(lost)
                    self._metrics.conflicts.inc()
                    _log.debug("folding again", event_id=event.id, installation_id=event.installation_id)
                except Unreadable as error:
                    raise NotStoredError("unreadable-object", str(error)) from None
                except KubeError as error:
                    # Rights and kinds may be a moment younger than this process; nothing else heals.
                    if not error.transient and not isinstance(error, Forbidden | NotFound):
                        raise NotStoredError("refused-by-api-server", str(error)) from None
                    progress.trouble = str(error)
                    asked = error.retry_after or 0.0
                else:
                    return "stored" if progress.news else "already-stored"
                # The end comes as a cancellation, once, which an attempt may have taken for its own time-out.
                if asyncio.get_running_loop().time() >= deadline:
                    raise TimeoutError
                await asyncio.sleep(max(asked, random.uniform(wait / 2, wait)))  # noqa: S311 - jitter
                wait = min(wait * 2, LONGEST_WAIT)

    async def _attempt(self, name: str, event: Event, progress: _Progress) -> None:
        held = await self._read(name)
        spec = None if held is None else parse(TalkdeskInstallation, held).spec
        folded = fold(spec, event)
        if event.credentials is not None:
            secret = credentials_secret(
                event, event.credentials, namespace=self._credentials_namespace, release=self._release
            )
            await self._create_once(SECRETS, secret, progress)
        for revocation in revocations(event, namespace=self._namespace):
            body = revocation.to_json()
            body.pop("status", None)
            await self._create_once(REVOCATIONS, body, progress)
        if folded is None or folded == spec:
            return
        if held is None or spec is None:
            await self._create(name, event, folded)
        else:
            await self._update(name, held, spec, folded)
        progress.news = True

    async def _read(self, name: str) -> Obj | None:
        try:
            held = await self._kube.get(INSTALLATIONS, name, namespace=self._namespace)
        except NotFound:
            return None
        if held["metadata"].get("deletionTimestamp"):
            # A patch to it would succeed and be lost with it.
            raise _LostRaceError("the installation's object is being deleted")
        return held

    async def _create_once(self, resource: Resource, obj: dict[str, Any], progress: _Progress) -> None:
        name = str(obj["metadata"]["name"])
        if name in progress.stored:
            return
        try:
            await self._kube.create(resource, obj, field_manager=FIELD_MANAGER)
            progress.news = True
        except AlreadyExists:
            pass  # named by a digest of its content: it is this one
        progress.stored.add(name)

    async def _create(self, name: str, event: Event, spec: TalkdeskInstallationSpec) -> None:
        obj = {
            "apiVersion": API_VERSION,
            "kind": "TalkdeskInstallation",
            "metadata": {"name": name, "namespace": self._namespace, "labels": installation_labels(event)},
            "spec": spec.to_json(),
        }
        try:
            await self._kube.create(INSTALLATIONS, obj, field_manager=FIELD_MANAGER)
        except AlreadyExists:
            raise _LostRaceError("somebody else made the installation's object first") from None

    async def _update(
        self, name: str, held: Obj, before: TalkdeskInstallationSpec, after: TalkdeskInstallationSpec
    ) -> None:
        patch = {
            "metadata": {"resourceVersion": held["metadata"]["resourceVersion"]},
            "spec": {"talkdesk": merge_diff(before.talkdesk.to_json(), after.talkdesk.to_json())},
        }
        try:
            await self._kube.merge_patch(
                INSTALLATIONS, name, patch, namespace=self._namespace, field_manager=FIELD_MANAGER
            )
        except Conflict:
            raise _LostRaceError("somebody else changed the installation's object first") from None
        except NotFound:
            raise _LostRaceError("the installation's object is gone since it was read") from None
