"""The world that the tests of this folder share: its release and its processes end with the last of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

if TYPE_CHECKING:
    import contextlib
    from collections.abc import AsyncIterator, Callable, Iterator

    from talkdesk_sandbox.release import Release

    World = Any


@pytest.fixture(scope="package")
def shared_release(released: Callable[[], contextlib.AbstractContextManager[Release]]) -> Iterator[Release]:
    """As that of the folder above, but for all modules of this one."""
    with released() as installed:
        yield installed


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def world(
    shared_release: Release, opened: Callable[[Release], contextlib.AbstractAsyncContextManager[World]]
) -> AsyncIterator[World]:
    """Running, for all modules of this folder: each test declares an app of its own."""
    async with opened(shared_release) as made:
        await made.start()
        yield made
