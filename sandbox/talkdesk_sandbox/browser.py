"""A page in the browser of whoever sits at this machine."""

from __future__ import annotations

import os
import webbrowser
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")


def show(url: str, *, environment: Mapping[str, str] = os.environ) -> bool:
    """Open ``url``; False where there is no display, in CI, and where no browser could be started."""
    if environment.get("CI") or not any(environment.get(name) for name in _DISPLAYS):
        return False
    try:
        return webbrowser.open(url)
    except webbrowser.Error:
        return False
