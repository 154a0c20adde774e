"""Where the programs of the control plane come from.

The order of choice: a folder named by the caller → ``KUBEBUILDER_ASSETS`` → the per-user cache → building
them into the cache.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from talkdesk_sandbox.controlplane import builder
from talkdesk_sandbox.controlplane.errors import AssetsError
from talkdesk_sandbox.controlplane.progress import shown
from talkdesk_sandbox.controlplane.recipe import cache_folder, control_plane_recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Every program, by the names its file may have; the first is ours, etcd's module calls its own ``server``.
PROGRAMS: Mapping[str, tuple[str, ...]] = {
    "etcd": ("etcd", "server"),
    "kube-apiserver": ("kube-apiserver",),
    "kube-controller-manager": ("kube-controller-manager",),
    "kubectl": ("kubectl",),
    "helm": ("helm",),
}


@dataclass(frozen=True)
class Assets:
    """A folder that holds all programs."""

    directory: Path

    def path(self, name: str) -> Path:
        """Absolute path of the program ``name`` (a key of ``PROGRAMS``). AssetsError if it is not there."""
        found = _find(self.directory, name)
        if found is None:
            raise AssetsError(f"{self.directory} holds no {name}")
        return found

    @classmethod
    def of(cls, directory: Path, *, named_by: str) -> Assets:
        """The programs in ``directory``. AssetsError lists what is missing; ``named_by`` says who said so."""
        directory = directory.absolute()
        missing = [name for name in PROGRAMS if _find(directory, name) is None]
        if missing:
            raise AssetsError(
                f"{directory} ({named_by}) holds no {', '.join(missing)}: add what is missing, or leave"
                f" {named_by} away and have all of them built"
            )
        return cls(directory)


def _find(directory: Path, name: str) -> Path | None:
    for file in PROGRAMS[name]:
        path = directory / file
        if path.is_file() and os.access(path, os.X_OK):
            return path
    return None


def locate(directory: Path | None = None, *, report: Callable[[str], None] | None = None) -> Assets:
    """The programs, in the order of choice above.

    Building takes minutes and is told to ``report`` in lines; by default to standard error.
    Raises AssetsError: an incomplete folder, or nothing or no room to build with.
    """
    if directory is not None:
        return Assets.of(directory, named_by="the given folder")
    if named := os.environ.get("KUBEBUILDER_ASSETS"):
        return Assets.of(Path(named), named_by="KUBEBUILDER_ASSETS")
    with shown(report) as progress:
        folder = builder.build(control_plane_recipe(), cache=cache_folder(), progress=progress)
    return Assets(folder)


def build(report: Callable[[str], None] | None = None) -> Path:
    """Make sure that the programs are there, and return their folder; see ``locate``."""
    return locate(report=report).directory
