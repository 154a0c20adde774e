"""The private folder of one control plane, and the removal of folders whose starter has died.

The starter holds a lock on a file in its folder for life. A folder whose lock can be had belongs to nobody.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Short: the volumes of the node's pods are below it, and the path of a socket has 107 bytes at the most.
_PREFIX = "talkdesk-cp-"


def _locked(path: Path) -> int | None:
    """Descriptor of ``path`` with its lock, or None where another holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


@contextlib.contextmanager
def _turn(parent: Path) -> Iterator[None]:
    # Between the making of a folder and its lock it looks abandoned: makers and sweepers take turns.
    descriptor = os.open(parent / f".{_PREFIX}{os.getuid()}", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class Workspace:
    """A folder with mode 0700 in the system's temporary folder, removed by ``close``."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def create(cls) -> Workspace:
        """A new folder; folders of starters that have died are removed first."""
        parent = Path(tempfile.gettempdir())
        with _turn(parent):
            for stale in _abandoned(parent):
                shutil.rmtree(stale, ignore_errors=True)
            path = Path(tempfile.mkdtemp(prefix=_PREFIX))
            lock = _locked(path / "lock")
            if lock is None:
                raise AssertionError(f"somebody locked {path} before it was known to anybody")
        return cls(path, lock)

    def folder(self, name: str) -> Path:
        """A new sub-folder with mode 0700."""
        path = self.path / name
        path.mkdir(mode=0o700)
        return path

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _abandoned(parent: Path) -> list[Path]:
    found = []
    for path in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # gone meanwhile, or not ours
            if path.stat(follow_symlinks=False).st_uid != os.getuid() or not path.is_dir():
                continue
            lock = _locked(path / "lock")
            if lock is not None:
                os.close(lock)
                found.append(path)
    return found
