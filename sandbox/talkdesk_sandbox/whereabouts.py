"""How a sandbox that stays up is found by another command of the same user: a file that says where it is."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from talkdesk_sandbox.partner.fitted import Place

if TYPE_CHECKING:
    from collections.abc import Iterator


#: A file that is longer is not ours.
_BYTES = 65536


@dataclass(frozen=True, kw_only=True)
class Whereabouts:
    """``console`` is the console's address, ``control`` that of the stand-in's control API.

    ``browser`` is where the stand-in listens for browsers, whatever the host; ``kubeconfig`` is the
    administrator's, ``programs`` the folder with kubectl and helm.
    ``place`` is what the partner's app was fitted to; None: the app is the demo.
    """

    console: str
    control: str
    browser: str
    kubeconfig: str
    programs: str
    place: Place | None = None


def _file() -> Path:
    return Path(tempfile.gettempdir()) / f"talkdesk-sandbox-{os.getuid()}"


@contextlib.contextmanager
def told(whereabouts: Whereabouts, *, file: Path | None = None) -> Iterator[bool]:
    """While the block runs, :func:`found` answers ``whereabouts``, unless another sandbox is there already.

    Yields whether it does. The lock on the file is what says that the sandbox lives: it goes with the
    process.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    descriptor = os.open(file or _file(), flags, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(asdict(whereabouts)).encode(), 0)
        try:
            yield True
        finally:
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def found(*, file: Path | None = None) -> Whereabouts | None:
    """The sandbox that is up now; None: there is none, or it has another version's file."""
    try:
        descriptor = os.open(file or _file(), os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        if os.fstat(descriptor).st_uid != os.getuid():
            return None
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(os.pread(descriptor, _BYTES, 0))
    else:
        return None
    finally:
        os.close(descriptor)


def _read(text: bytes) -> Whereabouts | None:
    try:
        held = json.loads(text)
        place = Place(**held.pop("place")) if held.get("place") else None
        return Whereabouts(**{**held, "place": place})
    except (ValueError, TypeError, AttributeError):
        return None
