"""Wide stories, one after another, in the sandbox that the run shares."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from talkdesk_sandbox.story.script import PATIENCE
from talkdesk_sandbox.story.wide import WideStory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from talkdesk_sandbox.intercepted import Intercepted


@contextlib.asynccontextmanager
async def _open(
    sandbox: Intercepted, *, patience: float = PATIENCE, prompt: float = PATIENCE
) -> AsyncIterator[WideStory]:
    async with sandbox.story(patience=patience) as plain:
        yield WideStory(**vars(plain), environment=sandbox.environment, prompt=prompt)


@pytest.fixture(scope="session")
def wide_story() -> Callable[..., AbstractAsyncContextManager[WideStory]]:
    """``async with wide_story(sandbox, patience=…, prompt=…) as story``."""
    return _open
