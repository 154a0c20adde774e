"""One sandbox and one browser for all breakages, which are walked beside each other."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest_asyncio

from certify_breaking import images
from certify_breaking.proxy import proxying
from certify_breaking.rules import Addressees
from post import Post
from talkdesk_certify.reviewer.steady import Steady
from talkdesk_certify.run import certify
from talkdesk_certify.target import Sandbox
from talkdesk_kube.resources import APPS
from talkdesk_sandbox.chromium import chromium
from talkdesk_sandbox.environment import Environment, running
from talkdesk_sandbox.story.neighbours import move_in
from talkdesk_sandbox.story.opening import open_story
from visited import browsing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import pytest
    from playwright.async_api import Browser

    from certify_breaking.breakage import Breakage
    from certify_breaking.proxy import Rule
    from talkdesk_certify.result import Certification
    from talkdesk_sandbox.story.script import Story

#: How many runs go on beside each other: most of their time is waiting.
_LANES = 2


@dataclass
class Workshop:
    """A sandbox in which apps are broken. ``links`` are the private-install links, by the app's image."""

    environment: Environment
    browser: Browser
    post: Post
    folder: Path
    #: Those that tests of this run ask for.
    breakages: list[Breakage] = field(default_factory=list)
    links: dict[str | None, str] = field(default_factory=dict)
    steady: Steady = field(default_factory=Steady)
    runs: dict[str, asyncio.Task[Certification]] = field(default_factory=dict)

    @property
    def target(self) -> Sandbox:
        """The app as it should be."""
        return Sandbox(console=self.environment.stand_in.console, install_link=self.links[None])

    async def walked(self, breakage: Breakage) -> Certification:
        """The run of ``breakage``; the first who asks sets all of this run going."""
        if not self.runs:
            self._start()
        return await self.runs[breakage.name]

    def _start(self) -> None:
        lanes = asyncio.Semaphore(_LANES)
        self.runs = {one.name: asyncio.create_task(self._in_lane(lanes, one)) for one in self.breakages}

    async def _in_lane(self, lanes: asyncio.Semaphore, breakage: Breakage) -> Certification:
        async with lanes:
            return await self._walk(breakage)

    def _rule(self, breakage: Breakage) -> Rule | None:
        if breakage.manner:
            return Addressees(self.post, breakage.manner)
        return breakage.rule() if breakage.rule else None

    async def _walk(self, breakage: Breakage) -> Certification:
        async with contextlib.AsyncExitStack() as stack:
            rule = self._rule(breakage)
            proxy = await stack.enter_async_context(proxying(rule)) if rule else None
            target = Sandbox(
                console=self.environment.stand_in.console,
                install_link=self.links[breakage.image],
                proxy=proxy,
            )
            return await certify(
                target,
                self.browser,
                folder=self.folder / breakage.name.replace(" ", "-"),
                items=breakage.items,
                steady=self.steady,
            )


async def _is_impatient(story: Story, app: str, seconds: int) -> None:
    """The operator refuses for ``app`` what did not come about in that time."""
    kube, namespace = story.cluster.kube, story.cluster.namespace
    await kube.merge_patch(
        APPS, app, {"spec": {"approval": {"patienceSeconds": seconds}}}, namespace=namespace
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser_up() -> AsyncIterator[None]:
    """One browser for all who visit pages in the tests of a module."""
    async with browsing():
        yield


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def workshop(
    request: pytest.FixtureRequest, whole_run: Any, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Workshop]:
    """See :class:`Workshop`."""
    async with contextlib.AsyncExitStack() as stack:
        post = Post()
        port = await stack.enter_async_context(post.office())
        broken = {f"talkdesk-demo-{kind}": [sys.executable, images.__file__, kind] for kind in images.KINDS}
        up = running(images=broken, values={"smtp": {"port": port}})
        environment = await asyncio.to_thread(up.__enter__)
        stack.push_async_callback(asyncio.to_thread, up.__exit__, None, None, None)
        stack.enter_context(whole_run.kept(environment.control_plane))
        post.host, post.port = environment.stand_in.smtp_host, environment.stand_in.smtp_port
        browser = await stack.enter_async_context(chromium())
        asked = [getattr(item, "callspec", None) for item in request.session.items]
        breakages = [each.params["breakage"] for each in asked if each and "breakage" in each.params]
        made = Workshop(environment, browser, post, tmp_path_factory.mktemp("certify"), breakages)
        for kind in (None, *sorted({one.image for one in breakages if one.image})):
            name = kind or "demo"
            image = f"talkdesk-demo-{kind}:1" if kind else None
            story = await stack.enter_async_context(open_story(environment, app_name=name, image=image))
            if kind in images.PATIENCE_SECONDS:
                await _is_impatient(story, name, images.PATIENCE_SECONDS[kind])
            if kind is None:
                await move_in(story)
            app = next(one for one in (await story.marketplace.state())["apps"] if one["id"] == story.app_id)
            made.links[kind] = f"{environment.stand_in.console}install/{app['version']['id']}"
        yield made
        for run in made.runs.values():
            run.cancel()
        await asyncio.gather(*made.runs.values(), return_exceptions=True)
