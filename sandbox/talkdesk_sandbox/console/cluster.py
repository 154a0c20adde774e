"""The cluster by watch: what is there for the Kubernetes page, and every change for the timeline."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from talkdesk_crds.names import GROUP, TENANT_LABEL, release_id
from talkdesk_kube import resources as kinds
from talkdesk_kube.client import Kube
from talkdesk_kube.connection import KubeSettings
from talkdesk_kube.reflector import Reflector, ReflectorTimings
from talkdesk_sandbox.console.differences import differences
from talkdesk_sandbox.console.hiding import hidden
from talkdesk_sandbox.console.snapshot import Snapshot, event_row, snapshot
from talkdesk_sandbox.release import RELEASE
from talkdesk_sandbox.talkdesk.ledger import shown_body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from talkdesk_kube.reflector import Key
    from talkdesk_kube.resources import Obj, Resource
    from talkdesk_sandbox.talkdesk.ledger import Ledger

#: The kinds are there only once the chart is installed, which happens while this watches already.
_TIMINGS = ReflectorTimings(longest_backoff=1.0)


class ClusterWatch:
    """Reflectors of what the console shows. Made by :func:`watching`."""

    def __init__(self, kube: Kube, *, namespace: str, ledger: Ledger) -> None:
        self._namespace = namespace
        self._ledger = ledger
        self._installations = self._reflect(kube, kinds.INSTALLATIONS, namespace=namespace)
        tenants = f"{TENANT_LABEL}={release_id(namespace, RELEASE)}"
        self._tenants = self._reflect(kube, kinds.NAMESPACES, labels=tenants)
        self._deployments = self._reflect(kube, kinds.DEPLOYMENTS)
        self._events = self._reflect(kube, kinds.EVENTS)
        self._all = [
            self._reflect(kube, kinds.APPS, namespace=namespace),
            self._tenants,
            self._installations,
            self._reflect(kube, kinds.USER_SLICES, namespace=namespace),
            self._reflect(kube, kinds.REVOCATIONS, namespace=namespace),
            self._deployments,
            self._events,
        ]

    def _reflect(
        self, kube: Kube, resource: Resource, *, namespace: str | None = None, labels: str = ""
    ) -> Reflector:
        made = Reflector(kube, resource, namespace=namespace, labels=labels, timings=_TIMINGS)
        made.subscribe(self._noting(resource))
        return made

    def _noting(self, resource: Resource) -> Callable[[Key, Obj | None, Obj | None], None]:
        def note(key: Key, old: Obj | None, new: Obj | None) -> None:
            if self._of_interest(resource, key) and (change := _change(resource, old, new)) is not None:
                installation_id, account_id = self._about(resource, new or old or {})
                self._ledger.add(
                    "cluster",
                    method="DELETED" if new is None else "ADDED" if old is None else "CHANGED",
                    detail=change,
                    installation_id=installation_id,
                    account_id=account_id,
                )

        return note

    def _of_interest(self, resource: Resource, key: Key) -> bool:
        """Workloads and Events only of tenants, and Events of our own."""
        namespace, _ = key
        if resource in {kinds.DEPLOYMENTS, kinds.EVENTS}:
            ours = resource == kinds.EVENTS and namespace == self._namespace
            return ours or ("", namespace) in self._tenants.store
        return True

    def _about(self, resource: Resource, one: Obj) -> tuple[str | None, str | None]:
        """The installation and the account that an object belongs to, where it says so."""
        if resource == kinds.EVENTS:
            regarding = one.get("regarding") or {}
            key = (self._namespace, regarding.get("name", ""))
            if regarding.get("kind") == kinds.INSTALLATIONS.kind and key in self._installations.store:
                one = self._installations.store[key]
        metadata, spec = one["metadata"], one.get("spec") or {}
        if resource == kinds.NAMESPACES:
            tenant: Obj | None = one
        else:
            tenant = self._tenants.store.get(("", metadata.get("namespace", "")))
        annotations = tenant["metadata"].get("annotations", {}) if tenant else {}
        return spec.get("installationId"), spec.get("accountId") or annotations.get(f"{GROUP}/account-id")

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            for one in self._all:
                group.create_task(one.run())

    def snapshot(self) -> Snapshot:
        """What is there now."""
        return snapshot(
            synced=all(one.synced.is_set() for one in self._all),
            namespace=self._namespace,
            installations=self._installations.store.values(),
            tenants={name: one for (_, name), one in self._tenants.store.items()},
            deployments=self._deployments.store.values(),
            events=self._events.store.values(),
        )


def _change(resource: Resource, old: Obj | None, new: Obj | None) -> dict[str, Any] | None:
    """For the ledger; None where nothing changed that says anything."""
    one = new or old
    if one is None:
        return None
    told: dict[str, Any] = {
        "kind": resource.kind,
        "name": one["metadata"]["name"],
        "namespace": one["metadata"].get("namespace"),
    }
    if resource == kinds.EVENTS:
        if new is None:
            return None
        row = event_row(new)
        return told | {"type": row.type, "reason": row.reason, "note": row.note, "about": row.about}
    if old is not None and new is not None:
        changes = differences(old, new)
        return told | {"changes": changes} if changes else None
    shown = {name: one[name] for name in ("spec", "status") if name in one}
    return told | {"object": shown_body(hidden(shown))}


@contextlib.asynccontextmanager
async def watching(kubeconfig: Path, *, namespace: str, ledger: Ledger) -> AsyncIterator[ClusterWatch]:
    """A watch on the cluster of ``kubeconfig`` while the block runs; ``namespace`` is the release's."""
    settings = KubeSettings(kubeconfig=kubeconfig)
    async with await Kube.connect(settings, user_agent="talkdesk-sandbox-console") as kube:
        watch = ClusterWatch(kube, namespace=namespace, ledger=ledger)
        running = asyncio.create_task(watch.run())
        try:
            yield watch
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
