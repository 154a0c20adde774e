"""What Kubernetes holds, as the console shows it: pure functions from objects to rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Obj = dict[str, Any]
Tone = Literal["good", "bad", "waiting", "plain"]
_SHOWN_EVENTS = 60
#: What is over is not broken.
_OVER = frozenset({"Uninstalled", "Superseded"})
_DEADLINES = {
    "answer": "Talkdesk stops waiting for an answer",
    "patience": "what is not ready is rejected",
    "trial": "the trial ends",
    "rotation": "the old credentials end",
    "credentials": "access ends, unless the credentials are accepted again",
    "retention": "the tenant is deleted",
}


@dataclass(frozen=True, kw_only=True)
class ConditionRow:
    """A condition of an object."""

    type: str
    status: str
    reason: str
    message: str


@dataclass(frozen=True, kw_only=True)
class TenantRow:
    """A tenant's namespace, and its workloads as ``name ready/wanted``."""

    name: str
    phase: str
    workloads: list[str]


@dataclass(frozen=True, kw_only=True)
class InstallationRow:
    """A TalkdeskInstallation; ``ready`` is the status of its condition Ready."""

    name: str
    installation_id: str
    account: str
    region: str
    plan: str
    users: int | None
    ready: str
    reason: str
    message: str
    access: str
    access_reason: str
    created_at: str
    tenant: TenantRow | None
    deadlines: list[tuple[str, str]]
    conditions: list[ConditionRow]

    @property
    def tone(self) -> Tone:
        """How it is doing."""
        if self.ready == "True":
            return "good"
        if self.access_reason in _OVER:
            return "plain"
        return "bad" if self.access == "Refused" else "waiting"


@dataclass(frozen=True, kw_only=True)
class EventRow:
    """A Kubernetes Event."""

    name: str
    at: str
    type: str
    reason: str
    note: str
    about: str
    namespace: str


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Newest first. ``synced``: everything has been listed once."""

    synced: bool
    namespace: str
    installations: list[InstallationRow] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)


def snapshot(
    *,
    synced: bool,
    namespace: str,
    installations: Iterable[Obj],
    tenants: Mapping[str, Obj],
    deployments: Iterable[Obj],
    events: Iterable[Obj],
) -> Snapshot:
    """The objects as rows. ``tenants`` are the namespaces of tenants, by their names."""
    workloads: dict[str, list[str]] = {}
    for one in deployments:
        metadata, wanted = one["metadata"], one["spec"].get("replicas", 1)
        ready = (one.get("status") or {}).get("readyReplicas", 0)
        workloads.setdefault(metadata["namespace"], []).append(f"{metadata['name']} {ready}/{wanted}")
    rows = [_installation(one, tenants=tenants, workloads=workloads) for one in installations]
    ours = [one for one in events if one["metadata"]["namespace"] in {namespace, *tenants}]
    return Snapshot(
        synced=synced,
        namespace=namespace,
        installations=sorted(rows, key=lambda row: (row.created_at, row.name), reverse=True),
        events=sorted(map(event_row, ours), key=lambda row: (row.at, row.name), reverse=True)[:_SHOWN_EVENTS],
    )


def _installation(
    one: Obj, *, tenants: Mapping[str, Obj], workloads: Mapping[str, list[str]]
) -> InstallationRow:
    spec, status = one["spec"], one.get("status") or {}
    said = spec.get("talkdesk") or {}
    conditions = [
        ConditionRow(
            type=each["type"],
            status=each["status"],
            reason=each.get("reason", ""),
            message=each.get("message", ""),
        )
        for each in status.get("conditions") or []
    ]
    ready = next((each for each in conditions if each.type == "Ready"), None)
    access = status.get("access") or {}
    return InstallationRow(
        name=one["metadata"]["name"],
        installation_id=spec["installationId"],
        account=(said.get("accountName") or {}).get("name") or spec["accountId"],
        region=spec.get("region", ""),
        plan=status.get("plan") or (said.get("subscription") or {}).get("name", ""),
        users=(status.get("users") or {}).get("count"),
        ready=ready.status if ready else "Unknown",
        reason=ready.reason if ready else "",
        message=ready.message if ready else "",
        access=access.get("state", "not decided"),
        access_reason=access.get("reason", ""),
        created_at=one["metadata"]["creationTimestamp"],
        tenant=_tenant(status.get("tenant"), tenants=tenants, workloads=workloads),
        deadlines=sorted(
            ((at, _DEADLINES.get(name, name)) for name, at in (status.get("deadlines") or {}).items() if at)
        ),
        conditions=conditions,
    )


def _tenant(
    name: str | None, *, tenants: Mapping[str, Obj], workloads: Mapping[str, list[str]]
) -> TenantRow | None:
    if name is None or name not in tenants:
        return None
    phase = (tenants[name].get("status") or {}).get("phase", "Active")
    return TenantRow(name=name, phase=phase, workloads=sorted(workloads.get(name, [])))


def event_row(one: Obj) -> EventRow:
    """An Event of ``events.k8s.io``, however old the recorder that wrote it."""
    about = one.get("regarding") or {}
    series = one.get("series") or {}
    at = (
        series.get("lastObservedTime")
        or one.get("eventTime")
        or one.get("deprecatedLastTimestamp")
        or one["metadata"]["creationTimestamp"]
    )
    return EventRow(
        name=one["metadata"]["name"],
        at=at,
        type=one.get("type", "Normal"),
        reason=one.get("reason", ""),
        note=one.get("note", ""),
        about=f"{about.get('kind', '')} {about.get('name', '')}".strip(),
        namespace=one["metadata"]["namespace"],
    )
