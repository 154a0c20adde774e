"""What a process of ours imports when it starts: more than a thousand modules, and no more than it needs."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Libraries import these where they are there, for what no process does: structlog for tracebacks in colours,
#: httpx for its command line, Kopf for the models of the `kubernetes` library. After the imports they are
#: found again: `talkdesk_kube.access` may need the last.
DISPENSABLE = ("click", "greenlet", "kubernetes", "pygments", "rich")


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """For what a process imports when it starts: a third less CPU than by itself.

    The modules stay to the end: the garbage collector need look at none of them, neither in the block, where
    it would go through all of them each time that they doubled, nor later.
    """
    # pydantic would read the metadata of all packages that are installed, in search of plug-ins for itself.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    gc.disable()
    try:
        with _missing(DISPENSABLE):
            yield
    finally:
        gc.freeze()
        gc.enable()


@contextlib.contextmanager
def _missing(names: tuple[str, ...]) -> Iterator[None]:
    """Importing one of ``names`` fails in the block, as if it were not installed, unless it came before."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None is how Python says it
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
