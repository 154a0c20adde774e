"""Whether a tenant is usable: its workload, as the watch shows it, and the probe's last result. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from talkdesk_crds.conditions import Reason
from talkdesk_operator.confirm import Readiness

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

WORKLOADS = frozenset({"Deployment", "StatefulSet", "Job"})


@dataclass(frozen=True)
class Verdict:
    """How ready, with reason and message for the condition."""

    readiness: Readiness
    reason: Reason
    message: str = ""


def workload_state(obj: Mapping[str, Any]) -> dict[str, str]:
    """``{"readiness", "message"}`` of a Deployment, StatefulSet or Job as stored; kept by the watch cache."""
    kind = obj.get("kind")
    if kind == "Job":
        readiness, message = _job(obj)
    elif kind == "StatefulSet":
        readiness, message = _stateful_set(obj)
    else:
        readiness, message = _deployment(obj)
    return {"readiness": readiness.value, "message": message}


def judge(workloads: Iterable[tuple[str, str, Mapping[str, Any] | None]]) -> Verdict:
    """All of a tenant's workloads, as (kind, name, cached object or None where it is missing)."""
    waiting: list[str] = []
    for kind, name, cached in workloads:
        state = (cached or {}).get("workload") or {
            "readiness": Readiness.NOT_YET.value,
            "message": "not there",
        }
        said = f"{kind} {name}: {state['message']}"
        if state["readiness"] == Readiness.FAILED.value:
            return Verdict(Readiness.FAILED, Reason.WORKLOAD_FAILED, said)
        if state["readiness"] == Readiness.NOT_YET.value:
            waiting.append(said)
    if waiting:
        return Verdict(Readiness.NOT_YET, Reason.WORKLOAD_NOT_READY, "; ".join(waiting))
    return Verdict(Readiness.USABLE, Reason.WORKLOAD_READY)


def _deployment(obj: Mapping[str, Any]) -> tuple[Readiness, str]:
    wanted, status = _replicas(obj), obj.get("status") or {}
    if not _observed(obj):
        return Readiness.NOT_YET, "not looked at by its controller yet"
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    if updated < wanted or available < wanted:
        return Readiness.NOT_YET, f"{min(updated, available)} of {wanted} replicas available"
    # Pods of before that are still there are counted as available: the new ones may be crashing beside them.
    if (old := status.get("replicas", 0) - updated) > 0:
        return Readiness.NOT_YET, f"{old} replicas of before are not replaced yet"
    return Readiness.USABLE, f"{wanted} of {wanted} replicas available"


def _stateful_set(obj: Mapping[str, Any]) -> tuple[Readiness, str]:
    wanted, status = _replicas(obj), obj.get("status") or {}
    if not _observed(obj):
        return Readiness.NOT_YET, "not looked at by its controller yet"
    # updatedReplicas counts the pods of updateRevision; right after the roll-out it may be left out.
    rolled = status.get("currentRevision") == status.get("updateRevision")
    updated = wanted if rolled else status.get("updatedReplicas", 0)
    available = status.get("availableReplicas", 0)
    if updated < wanted or available < wanted:
        return Readiness.NOT_YET, f"{min(updated, available)} of {wanted} replicas available"
    return Readiness.USABLE, f"{wanted} of {wanted} replicas available"


def _job(obj: Mapping[str, Any]) -> tuple[Readiness, str]:
    for condition in (obj.get("status") or {}).get("conditions") or []:
        if condition.get("status") != "True":
            continue
        if condition.get("type") == "Complete":
            return Readiness.USABLE, "complete"
        if condition.get("type") == "Failed":
            return Readiness.FAILED, f"failed: {condition.get('message') or condition.get('reason', '')}"
    return Readiness.NOT_YET, "not complete"


def _replicas(obj: Mapping[str, Any]) -> int:
    wanted = (obj.get("spec") or {}).get("replicas")
    return 1 if wanted is None else int(wanted)


def _observed(obj: Mapping[str, Any]) -> bool:
    observed = (obj.get("status") or {}).get("observedGeneration") or 0
    return bool(observed >= obj["metadata"].get("generation", 0))
