"""The Node object: what this machine says of itself to Kubernetes (pure)."""

from __future__ import annotations

import platform
from typing import Any

from talkdesk_sandbox.node.environment import NODE_CAPACITY

Obj = dict[str, Any]
NODE_NAME = "sandbox"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_NOT_READY = "node.kubernetes.io/not-ready"


def labels() -> dict[str, str]:
    """Well-known labels, which node selectors may ask for."""
    architecture = _ARCHITECTURES.get(platform.machine(), platform.machine())
    return {
        "kubernetes.io/hostname": NODE_NAME,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": architecture,
    }


def node_object() -> Obj:
    """The object to create."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": NODE_NAME, "labels": labels()},
        "spec": {},
    }


def remaining_taints(node: Obj) -> list[Obj] | None:
    """Taints, less the one admission puts on every new node: no node-lifecycle controller removes it."""
    taints = [taint for taint in node["spec"].get("taints") or [] if taint["key"] != _NOT_READY]
    return taints or None


def node_status(address: str, log_port: int | None, *, now: str) -> Obj:
    """The status to write. ``log_port``: where ``/containerLogs`` is served, None where it is not."""
    status: Obj = {
        "addresses": [
            {"type": "InternalIP", "address": address},
            {"type": "Hostname", "address": NODE_NAME},
        ],
        "capacity": dict(NODE_CAPACITY),
        "allocatable": dict(NODE_CAPACITY),
        "conditions": [
            _condition("Ready", "True", "LocalProcesses", "containers run as local processes", now),
            _condition("MemoryPressure", "False", "NotMeasured", "the local node limits nothing", now),
            _condition("DiskPressure", "False", "NotMeasured", "the local node limits nothing", now),
            _condition("PIDPressure", "False", "NotMeasured", "the local node limits nothing", now),
        ],
        "nodeInfo": {
            "machineID": "",
            "systemUUID": "",
            "bootID": "",
            "kernelVersion": platform.release(),
            "osImage": platform.platform(),
            "containerRuntimeVersion": "process://0",
            "kubeletVersion": "talkdesk-sandbox-node",
            "kubeProxyVersion": "",
            "operatingSystem": "linux",
            "architecture": labels()["kubernetes.io/arch"],
        },
    }
    if log_port is not None:
        status["daemonEndpoints"] = {"kubeletEndpoint": {"Port": log_port}}
    return status


def _condition(kind: str, status: str, reason: str, message: str, now: str) -> Obj:
    times = {"lastHeartbeatTime": now, "lastTransitionTime": now}
    return {"type": kind, "status": status, "reason": reason, "message": message, **times}


def why_unschedulable(pod: Obj, node: Obj) -> str:
    """Why a pod cannot be bound to this node now, or ""."""
    if node["spec"].get("unschedulable"):
        return "0/1 nodes are available: 1 node(s) were unschedulable."
    held = node["metadata"].get("labels") or {}
    for key, value in (pod["spec"].get("nodeSelector") or {}).items():
        if held.get(key) != value:
            return f"0/1 nodes are available: the local node has no label {key}={value}."
    return ""


def awaits_binding(pod: Obj) -> bool:
    """Whether a pod waits for a scheduler: not bound, not gated, not on its way out."""
    spec, metadata = pod["spec"], pod["metadata"]
    return not (spec.get("nodeName") or spec.get("schedulingGates") or metadata.get("deletionTimestamp"))
