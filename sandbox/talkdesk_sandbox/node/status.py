"""A pod's status from what its containers do (pure). Mirrors ``getPhase`` and ``pkg/kubelet/status``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from talkdesk_sandbox.node.records import ContainerRecord, PodRecord

Obj = dict[str, Any]
OWN_CONDITIONS = {"PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"}


@dataclass(frozen=True)
class PodSituation:
    """What is known beside the containers.

    ``running`` is False when the pod has ended or was stopped for good; ``failure`` (reason, message) makes
    it Failed; ``prepared`` says that its volumes are there; ``addresses`` are (pod, host) as reported.
    """

    addresses: tuple[str, str]
    start_time: str
    running: bool = True
    prepared: bool = False
    failure: tuple[str, str] | None = None


def is_sidecar(container: Obj) -> bool:
    """An init container that keeps running beside the others."""
    return bool(container.get("restartPolicy") == "Always")


def restarts(policy: str, exit_code: int) -> bool:
    """Whether a container that ended runs again."""
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def phase(pod: Obj, record: PodRecord, situation: PodSituation) -> str:
    """The pod's phase."""
    if situation.failure is not None:
        return "Failed"
    main = [record.container(one["name"]) for one in pod["spec"]["containers"]]
    policy = pod["spec"].get("restartPolicy", "Always")
    if not situation.running:
        return "Succeeded" if all(_code(one) == 0 for one in main) else "Failed"
    if not initialized(pod, record):
        return "Pending"
    ended = [one for one in main if one.exit_code is not None and not restarts(policy, one.exit_code)]
    if len(ended) == len(main):
        return "Succeeded" if all(one.exit_code == 0 for one in ended) else "Failed"
    begun = all("waiting" not in one.state or one.last_state for one in main)
    return "Running" if begun else "Pending"


def _code(container: ContainerRecord) -> int:
    ended = container.state.get("terminated") or container.last_state.get("terminated")
    return 137 if ended is None else int(ended["exitCode"])


def initialized(pod: Obj, record: PodRecord) -> bool:
    """Whether every init container did its work: plain ones succeeded, sidecars have started."""
    for container in pod["spec"].get("initContainers") or []:
        one = record.container(container["name"])
        if is_sidecar(container):
            if not one.started and one.exit_code is None:
                return False
        elif one.exit_code != 0:
            return False
    return True


def container_status(container: Obj, record: ContainerRecord) -> Obj:
    """One entry of ``containerStatuses``."""
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": f"local://{container['image']}" if record.pid or record.last_state else "",
        "containerID": f"process://{record.pid}-{record.start_ticks}" if record.pid else "",
        "ready": record.ready,
        "started": record.started,
        "restartCount": record.restart_count,
        "state": record.state,
        "lastState": record.last_state,
    }


def pod_status(pod: Obj, record: PodRecord, situation: PodSituation, *, now: str) -> Obj:
    """The whole status to write; ``now`` dates conditions that changed."""
    spec = pod["spec"]
    address, host = situation.addresses
    reason, message = situation.failure or (None, None)
    init = [container_status(one, record.container(one["name"])) for one in spec.get("initContainers") or []]
    status: Obj = {
        "phase": phase(pod, record, situation),
        "reason": reason,
        "message": message,
        "hostIP": host,
        "hostIPs": [{"ip": host}],
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": situation.start_time,
        "containerStatuses": [
            container_status(one, record.container(one["name"])) for one in spec["containers"]
        ],
        "conditions": conditions(pod, record, situation, now=now),
    }
    if init:
        status["initContainerStatuses"] = init
    return status


def conditions(pod: Obj, record: PodRecord, situation: PodSituation, *, now: str) -> list[Obj]:
    """The pod's conditions; those of others (readiness gates, …) are kept as they are."""
    before = {one["type"]: one for one in (pod.get("status") or {}).get("conditions") or []}
    main = pod["spec"]["containers"]
    done = phase(pod, record, situation) in {"Succeeded", "Failed"}
    unready = [one["name"] for one in main if not record.container(one["name"]).ready]
    sidecars = [one["name"] for one in pod["spec"].get("initContainers") or [] if is_sidecar(one)]
    unready += [name for name in sidecars if not record.container(name).ready]
    gates = [gate["conditionType"] for gate in pod["spec"].get("readinessGates") or []]
    closed = [gate for gate in gates if before.get(gate, {}).get("status") != "True"]
    why_not = (
        ("PodCompleted", "") if done else ("ContainersNotReady", f"containers with unready status: {unready}")
    )
    containers_ready = not unready and not done
    gate_reason = ("ReadinessGatesNotReady", f"conditions that are not True: {closed}")
    started = situation.prepared and not done
    wanted = [
        ("PodReadyToStartContainers", started, ("", "")),
        (
            "Initialized",
            initialized(pod, record),
            ("ContainersNotInitialized", "init containers have not finished"),
        ),
        ("Ready", containers_ready and not closed, gate_reason if containers_ready else why_not),
        ("ContainersReady", containers_ready, why_not),
        ("PodScheduled", True, ("", "")),
    ]
    result = [_condition(name, holds, why, before.get(name), now) for name, holds, why in wanted]
    return result + list(_others(before))


def _others(before: dict[str, Obj]) -> Iterable[Obj]:
    return (one for name, one in before.items() if name not in OWN_CONDITIONS)


def _condition(name: str, holds: bool, why: tuple[str, str], before: Obj | None, now: str) -> Obj:
    status = "True" if holds else "False"
    changed = (
        now if before is None or before.get("status") != status else before.get("lastTransitionTime", now)
    )
    condition: Obj = {"type": name, "status": status, "lastTransitionTime": changed}
    if not holds and why[0]:
        condition |= {"reason": why[0], "message": why[1]}
    return condition
