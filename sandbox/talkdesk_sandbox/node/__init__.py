"""A Kubernetes node that runs containers as local processes: no images, no root, no virtual machine.

It binds pods, gives them what the kubelet would give them (environment, ConfigMaps, Secrets, tokens,
folders), probes, restarts and ends them, and makes their Services' ClusterIPs answer. Deployments, Jobs and
EndpointSlices come from the real controller manager.

**What it does not do.** A process here is a process of the user who started the sandbox. Nothing enforces
the securityContext (users, capabilities, read-only root, seccomp), resource requests and limits,
NetworkPolicy, or the contents of an image; there is no cluster DNS. Manifests that are wrong in one of these
pass here and fail on a real cluster. What it *cannot run* it says in the pod's status: images without a
local command, host networking, raw block devices, gRPC probes, and volumes other than emptyDir, ConfigMap,
Secret, downward API, projected and claims. Node affinity, taints, topology spread, volume read-only flags
and file owners are not looked at; node ports, UDP and session affinity are not served (Services
of type LoadBalancer are, on 127.0.0.1); ``kubectl exec``, ``attach``, ``port-forward`` and log times are
refused. A program that makes itself a session of its own and a child of nobody escapes.

**What a pod must do for it.** Paths: a process does not see its mounts at absolute paths, so every mountPath
in its command, args and env is rewritten to the folder it really has; a program takes paths from there and
hard-codes none. It runs in the image's folder, unless its workingDir is in a volume or on this machine.
Addresses: it listens on its pod IP (``status.podIP`` by the downward API), not on 0.0.0.0,
which all pods would share. Credentials: beside each projected token lies a ``kubeconfig`` for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from talkdesk_sandbox.node.backoff import Backoff
from talkdesk_sandbox.node.timings import Timings

if TYPE_CHECKING:
    from talkdesk_sandbox.node.launch import Node

__all__ = ["Backoff", "Node", "Timings"]


def __getattr__(name: str) -> Any:
    """``Node`` is for those who start one: the node itself does not pay for what that imports."""
    if name != "Node":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from talkdesk_sandbox.node.launch import Node  # noqa: PLC0415 - see above

    return Node
