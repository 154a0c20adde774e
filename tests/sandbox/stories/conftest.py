"""The sandbox in which one story after another is played."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from post import Post
from talkdesk_sandbox.intercepted import Intercepted, intercepted
from talkdesk_sandbox.story.script import PATIENCE, play
from talkdesk_sandbox.story.wide import SOURCE, WideStory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from talkdesk_sandbox.story.step import StepResult

#: Of each component but the operator, which has another to take over from it: what two have to do with each
#: other is seen in tests/signon and tests/faults/test_replicas.py, and a newcomer's story is played with two.
REPLICAS = 1


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
            "operator": {"copySecrets": [SOURCE], "replicas": 2},
            "smtp": {"port": port},
        }
        async with intercepted(values=values, replicas=REPLICAS) as running:
            stand_in = running.environment.stand_in
            post.host, post.port = stand_in.smtp_host, stand_in.smtp_port
            with whole_run.kept(running.environment.control_plane):
                yield Sandbox(**vars(running), post=post)


@dataclass
class Undisturbed:
    """A story that was played to its end: what became of its steps, and what Talkdesk's ledger says of it."""

    results: list[StepResult]
    ledger: list[dict[str, Any]]


async def _play(sandbox: Intercepted) -> Undisturbed:
    async with sandbox.story() as story:
        before = len(await story.marketplace.read())
        older = {one["id"] for one in (await story.marketplace.state())["installations"]}
        results = await play(story, tell=lambda _: None)
        assert all(result.ok for result in results), [result for result in results if not result.ok]
        # Talkdesk delivers for a quarter of an hour: what is repeated of earlier ones is not this one's.
        said = (await story.marketplace.read())[before:]
    return Undisturbed(results, [entry for entry in said if entry.get("installation_id") not in older])


@pytest.fixture(scope="session")
def play_undisturbed() -> Callable[[Intercepted], Awaitable[Undisturbed]]:
    """``await play_undisturbed(sandbox)``; fails where a step does."""
    return _play


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def undisturbed(sandbox: Sandbox) -> Undisturbed:
    """The story in the sandbox as it is, played by the first test that asks for it."""
    return await _play(sandbox)


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
