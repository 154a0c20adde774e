"""What the API server holds, watched as administrator: now, and (where an invariant asks) since when."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from talkdesk_crds import names
from talkdesk_kube import Kube, Obj, Reflector, resources

if TYPE_CHECKING:
    from collections.abc import Callable

    from talkdesk_sandbox.release import Release

#: The environment variable of the workload that holds its plan.
PLAN_VARIABLE = "PLAN"


def is_usable(deployment: Obj) -> bool:
    """All replicas of the Deployment as it is declared now are available, and there is one at least."""
    wanted = deployment["spec"].get("replicas", 1)
    status = deployment.get("status") or {}
    current = (status.get("observedGeneration") or 0) >= deployment["metadata"]["generation"]
    ready = min(status.get("updatedReplicas") or 0, status.get("availableReplicas") or 0)
    return bool(current and wanted >= 1 and ready >= wanted)


def plan_of(deployment: Obj) -> str | None:
    """The plan that the Deployment tells its workload."""
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return next((one["value"] for one in container.get("env", []) if one["name"] == PLAN_VARIABLE), None)


@dataclass
class History:
    """What was so, and from when on (monotonic)."""

    states: list[tuple[float, Any]] = field(default_factory=list)

    def add(self, state: Any) -> None:
        """From now on it is so."""
        if not self.states or self.states[-1][1] != state:
            self.states.append((time.monotonic(), state))

    def since(self, moment: float) -> list[Any]:
        """Everything that was so at ``moment`` or after it."""
        before = [state for at, state in self.states if at <= moment][-1:]
        return before + [state for at, state in self.states if at > moment]


class Eyes:
    """Reflectors over everything that invariants are about."""

    def __init__(self, kube: Kube, release: Release) -> None:
        namespace = release.namespace
        self._release = release
        self.installations = Reflector(kube, resources.INSTALLATIONS, namespace=namespace)
        self.slices = Reflector(kube, resources.USER_SLICES, namespace=namespace)
        tenant = f"{names.TENANT_LABEL}={names.release_id(namespace, release.name)}"
        self.namespaces = Reflector(kube, resources.NAMESPACES, labels=tenant)
        managed = f"{names.MANAGED_LABEL}={names.release_id(namespace, release.name)}"
        self.deployments = Reflector(kube, resources.DEPLOYMENTS, labels=managed)
        self.records = Reflector(kube, resources.CONFIG_MAPS, labels=managed)
        #: By tenant namespace: the plan while its Deployment was usable, else None.
        self.usable: dict[str, History] = {}
        #: By installation object: ``status.access.state``.
        self.access: dict[str, History] = {}
        #: Told whenever an installation's users, as the gateway would see them, may have changed.
        self.on_users: Callable[[str], None] | None = None
        self.deployments.subscribe(self._deployment)
        self.installations.subscribe(self._installation)
        self.slices.subscribe(self._slice)

    async def run(self) -> None:
        """Watch for ever; ends by being cancelled."""
        await asyncio.gather(*(one.run() for one in self._all()))

    async def synced(self) -> None:
        """Wait for the first lists."""
        await asyncio.gather(*(one.synced.wait() for one in self._all()))

    def _all(self) -> tuple[Reflector, ...]:
        return self.installations, self.slices, self.namespaces, self.deployments, self.records

    def installation(self, name: str) -> Obj | None:
        """A TalkdeskInstallation."""
        return self.installations.store.get((self._release.namespace, name))

    def licensed(self, name: str) -> dict[str, Obj] | None:
        """Who may enter, by the rule that the gateway follows; None where status names no users."""
        stored = self.installation(name)
        users = ((stored or {}).get("status") or {}).get("users")
        if users is None:
            return None
        mine = [
            one["spec"]
            for one in self.slices.store.values()
            if one["spec"]["installation"] == name and one["spec"]["buckets"] == users["buckets"]
        ]
        return {user: entry for one in mine for user, entry in (one.get("users") or {}).items()}

    def tenants(self, app_id: str, account_id: str) -> list[str]:
        """Namespaces of an account's tenants of an app, by label or by what their workload is told."""
        labels = {
            names.APP_LABEL: names.label_value(app_id),
            names.ACCOUNT_LABEL: names.label_value(account_id),
        }
        found = {
            name
            for (_, name), one in self.namespaces.store.items()
            if labels.items() <= one["metadata"].get("labels", {}).items()
        }
        there = {name for _, name in self.namespaces.store}
        for (namespace, name), record in self.records.store.items():
            data = record.get("data") or {}
            told = (data.get("app.id"), data.get("account.id"))
            if name == "talkdesk-account" and namespace in there and told == (app_id, account_id):
                found.add(namespace)
        return sorted(found)

    def _deployment(self, key: tuple[str, str], _old: Obj | None, new: Obj | None) -> None:
        history = self.usable.setdefault(key[0], History())
        history.add(plan_of(new) if new is not None and is_usable(new) else None)

    def _installation(self, key: tuple[str, str], _old: Obj | None, new: Obj | None) -> None:
        access = ((new or {}).get("status") or {}).get("access") or {}
        self.access.setdefault(key[1], History()).add(access.get("state"))
        if self.on_users is not None:
            self.on_users(key[1])

    def _slice(self, _key: tuple[str, str], old: Obj | None, new: Obj | None) -> None:
        if self.on_users is not None:
            self.on_users(str((new or old or {})["spec"]["installation"]))
