"""The local control plane: real etcd, kube-apiserver, kube-controller-manager, kubectl and helm."""

from __future__ import annotations

from talkdesk_sandbox.controlplane.assets import Assets, build
from talkdesk_sandbox.controlplane.control_plane import ControlPlane
from talkdesk_sandbox.controlplane.errors import (
    AssetsError,
    CommandError,
    ControlPlaneError,
    RequestError,
    StartError,
)
from talkdesk_sandbox.controlplane.network import Network, NodeTLS

__all__ = [
    "Assets",
    "AssetsError",
    "CommandError",
    "ControlPlane",
    "ControlPlaneError",
    "Network",
    "NodeTLS",
    "RequestError",
    "StartError",
    "build",
]
