"""Waiting for what the watches are about to show, for a bounded time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from talkdesk_gateway.seams import Directory
    from talkdesk_gateway.signin.edge import Parts
    from talkdesk_gateway.tenancy import Tenancy


async def until(true: Callable[[], bool], directory: Directory, name: str, *, seconds: float) -> bool:
    """Wait until ``true()``, looking again at each change of the installation ``name``; what it was last."""
    changed = asyncio.Event()
    end = directory.subscribe(name, changed.set)
    try:
        async with asyncio.timeout(seconds):
            while not true():
                await changed.wait()
                changed.clear()
    except TimeoutError:
        return true()
    finally:
        end()
    return True


async def caught_up(
    parts: Parts, host: str, name: str, seen: Callable[[Tenancy | None], bool]
) -> Tenancy | None:
    """Who lives at ``host``, once this replica has seen what the one before it had seen, or after a while.

    :param name: of the installation's object that the step before was about.
    :param seen: whether who lives there is as that step saw it.
    """
    directory = parts.directory
    await until(lambda: seen(directory.by_host(host)), directory, name, seconds=parts.settle_seconds)
    return directory.by_host(host)
