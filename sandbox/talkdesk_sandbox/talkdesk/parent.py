"""End with the process that started us, even if it is killed."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def end_with(parent: int) -> None:
    """Get SIGTERM when ``parent``, which must be our parent process, dies (Linux; elsewhere nothing).

    Raises SystemExit if it is gone already.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit(f"the starter (process {parent}) is gone")
