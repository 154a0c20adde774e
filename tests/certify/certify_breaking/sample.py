"""Which breakages a run tries: a quarter of them, by the commit. Each has its turn; CI says the same twice.

``BREAKAGES=all`` takes every one, any other ``BREAKAGES`` those whose names match it.
"""

from __future__ import annotations

import random
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certify_breaking.breakage import Breakage

#: Every fourth belongs to one of them: the longest come first, so each takes about as long as the others.
QUARTERS = 4


def chosen(breakages: Sequence[Breakage], *, wanted: str, commit: str) -> list[Breakage]:
    """Those to be tried, in their order. Pure."""
    if wanted == "all":
        return list(breakages)
    if wanted:
        return [one for one in breakages if re.search(wanted, one.name)]
    return list(breakages[random.Random(commit).randrange(QUARTERS) :: QUARTERS])


def commit() -> str:
    """What this checkout stands at; empty where it is none."""
    try:
        asked = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""
