"""Whether the disks have room for a build, asked before it and not after five minutes of it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from talkdesk_sandbox.controlplane.errors import AssetsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Demand:
    """A folder, which need not exist yet, and the ``size`` in bytes it will have once all is built."""

    folder: Path
    size: int


def check_room(demands: Sequence[Demand], *, free: Callable[[Path], int] | None = None) -> None:
    """Raise AssetsError if a file system has less room than the build adds to it.

    What the folders hold already counts as done: nobody knows how much of Go's caches is of this build.
    Where that was wrong, Go itself will report a full disk. ``free`` measures the free bytes of a folder.
    """
    measure = free or (lambda folder: shutil.disk_usage(folder).free)
    by_device: dict[int, list[Demand]] = {}
    for demand in demands:
        by_device.setdefault(_existing(demand.folder).stat().st_dev, []).append(demand)
    for group in by_device.values():
        available = measure(_existing(group[0].folder))
        if available >= sum(demand.size for demand in group):
            continue  # the usual case, without walking through large caches
        needed = sum(max(0, demand.size - _size(demand.folder)) for demand in group)
        if available < needed:
            places = ", ".join(str(demand.folder) for demand in group)
            raise AssetsError(
                f"too little room on the disk: building the control plane needs about {_gigabytes(needed)} in"
                f" {places}, and {_gigabytes(available)} are free; make room, or move these folders with"
                " XDG_CACHE_HOME, GOMODCACHE and GOCACHE"
            )


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


def _size(folder: Path) -> int:
    total = 0
    for directory, _, files in os.walk(folder):
        for file in files:
            try:
                total += os.lstat(os.path.join(directory, file)).st_size  # noqa: PTH118 - a million files: no Path for each
            except FileNotFoundError:
                continue
    return total


def _gigabytes(size: int) -> str:
    return f"{size / 10**9:.1f} GB"
