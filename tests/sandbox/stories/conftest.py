"""The sandbox in which one story after another is played."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from talkdesk_sandbox.intercepted import Intercepted, intercepted
from talkdesk_sandbox.story.script import PATIENCE
from talkdesk_sandbox.story.wide import SOURCE, WideStory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def sandbox(whole_run: Any) -> AsyncIterator[Intercepted]:
    """The whole sandbox, once for the tests here, on a control plane of its own.

    A test that changes something in it changes it back. What was revoked is forgotten soon, to be seen.
    """
    values = {"env": {"TALKDESK_REVOCATION_SECONDS": "3"}, "operator": {"copySecrets": [SOURCE]}}
    async with intercepted(values=values) as running:
        with whole_run.kept(running.environment.control_plane):
            yield running


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
