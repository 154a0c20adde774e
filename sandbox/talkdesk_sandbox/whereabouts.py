"""Where a sandbox that stays up is found by another command of the same user: a file with its console."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def _file() -> Path:
    return Path(tempfile.gettempdir()) / f"talkdesk-sandbox-{os.getuid()}"


@contextlib.contextmanager
def told(console: str, *, file: Path | None = None) -> Iterator[None]:
    """While the block runs, :func:`found` answers ``console``, unless another sandbox is there already.

    The lock on the file is what says that the sandbox lives: it goes with the process.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    descriptor = os.open(file or _file(), flags, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield
            return
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, console.encode(), 0)
        try:
            yield
        finally:
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def found(*, file: Path | None = None) -> str | None:
    """The console's address of the sandbox that is up now; None: there is none."""
    try:
        descriptor = os.open(file or _file(), os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        if os.fstat(descriptor).st_uid != os.getuid():
            return None
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(descriptor, 4096, 0).decode() or None
    else:
        return None
    finally:
        os.close(descriptor)
