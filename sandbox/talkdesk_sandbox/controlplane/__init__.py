"""The local control plane: real etcd, kube-apiserver, kube-controller-manager, kubectl and helm."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from talkdesk_sandbox.controlplane.errors import (
    AssetsError,
    CommandError,
    ControlPlaneError,
    RequestError,
    StartError,
)

if TYPE_CHECKING:
    from talkdesk_sandbox.controlplane.assets import Assets, build
    from talkdesk_sandbox.controlplane.control_plane import ControlPlane
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

#: Imported where they are asked for: a node needs modules of this package, and none of what these need.
_WHERE = {
    "Assets": "assets",
    "ControlPlane": "control_plane",
    "Network": "network",
    "NodeTLS": "network",
    "build": "assets",
}


def __getattr__(name: str) -> Any:
    if (module := _WHERE.get(name)) is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{module}"), name)
