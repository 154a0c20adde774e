"""Who has been here: remembered by user id in the app's own volume."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Visits:
    """One empty file for each user in ``folder``; without a folder nobody is remembered.

    The volume outlives browsers, restarts, and an uninstallation that is followed by another installation.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def is_first(self, user_id: str) -> bool:
        """Whether the user was never here; from now on they were. OSError where it cannot be written down."""
        if self._folder is None:
            return True
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            (self._folder / hashlib.sha256(user_id.encode()).hexdigest()).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True
