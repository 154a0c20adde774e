"""Times at which something happens by itself, for ``status.deadlines``. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_crds.installation import Deadlines
from talkdesk_crds.meta import time

if TYPE_CHECKING:
    from datetime import datetime


def deadlines(*, trial: datetime | None = None, retention: datetime | None = None) -> Deadlines:
    """What status says; None where nothing is due."""
    return Deadlines(
        trial=time(trial) if trial is not None else None,
        retention=time(retention) if retention is not None else None,
    )
