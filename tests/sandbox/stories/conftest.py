"""The sandbox in which one story after another is played."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from post import Post
from talkdesk_sandbox.intercepted import Intercepted, intercepted
from talkdesk_sandbox.story.script import PATIENCE
from talkdesk_sandbox.story.wide import SOURCE, WideStory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager


@dataclass
class Sandbox(Intercepted):
    """All mails of the product pass ``post``."""

    post: Post


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def sandbox(whole_run: Any) -> AsyncIterator[Sandbox]:
    """The whole sandbox, once for the tests here, on a control plane of its own.

    A test that changes something in it changes it back. What was revoked is forgotten soon, to be seen.
    """
    post = Post()
    async with post.office() as port:
        values = {
            "env": {"TALKDESK_REVOCATION_SECONDS": "3"},
            "operator": {"copySecrets": [SOURCE]},
            "smtp": {"port": port},
        }
        async with intercepted(values=values) as running:
            stand_in = running.environment.stand_in
            post.host, post.port = stand_in.smtp_host, stand_in.smtp_port
            with whole_run.kept(running.environment.control_plane):
                yield Sandbox(**vars(running), post=post)


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
