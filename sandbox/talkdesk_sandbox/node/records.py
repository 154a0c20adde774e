"""What the node remembers of a pod on disk, so that its next run goes on where this one ended."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Obj = dict[str, Any]


def _waiting() -> Obj:
    return {"waiting": {"reason": "ContainerCreating"}}


@dataclass
class ContainerRecord:
    """One container: ``state`` and ``last_state`` are Kubernetes'; ``pid`` is 0 when nothing runs."""

    restart_count: int = 0
    state: Obj = field(default_factory=_waiting)
    last_state: Obj = field(default_factory=dict)
    pid: int = 0
    start_ticks: int = 0
    started: bool = False
    ready: bool = False
    failures: int = 0

    @property
    def exit_code(self) -> int | None:
        """The exit code of a container that ended and has not been started again."""
        ended = self.state.get("terminated")
        return None if ended is None else int(ended["exitCode"])


@dataclass
class PodRecord:
    """One pod: its reported address and its containers by name (init containers too)."""

    uid: str
    address: str
    containers: dict[str, ContainerRecord] = field(default_factory=dict)

    def container(self, name: str) -> ContainerRecord:
        """The container's record, made on first use."""
        return self.containers.setdefault(name, ContainerRecord())


class Records:
    """``<dir>/pods/<uid>/record.json``, written atomically, mode 0600."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "pods"
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def pod_folder(self, uid: str) -> Path:
        """The folder of one pod: its record, logs and volumes."""
        return self.folder / uid

    def read_all(self) -> Iterator[PodRecord]:
        """Every remembered pod, less those whose record cannot be read: they had not begun."""
        for path in self.folder.glob("*/record.json"):
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
                values = json.loads(path.read_text())
                containers = {name: ContainerRecord(**one) for name, one in values["containers"].items()}
                yield PodRecord(uid=values["uid"], address=values["address"], containers=containers)

    def write(self, record: PodRecord) -> None:
        """Remember; survives the node's being killed at any moment."""
        folder = self.pod_folder(record.uid)
        folder.mkdir(exist_ok=True, mode=0o700)
        private_write(folder / "record.json", json.dumps(asdict(record)).encode())

    def forget(self, uid: str) -> None:
        """The pod is gone: remove everything it had, volumes included."""
        shutil.rmtree(self.pod_folder(uid), ignore_errors=True)


def private_write(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace a file in one step."""
    partial = path.with_name(f".{path.name}.partial")
    with contextlib.suppress(FileNotFoundError):
        partial.unlink()
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    partial.replace(path)
