"""The whole sandbox with interceptors before Talkdesk and before the webhook, for tests that make faults."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from talkdesk_crds.names import APP_LABEL, label_value
from talkdesk_kube import Conflict, NotFound
from talkdesk_kube import resources as kinds
from talkdesk_sandbox.environment import Environment, running
from talkdesk_sandbox.interceptor import before_talkdesk, before_webhook
from talkdesk_sandbox.release import merged, of_each
from talkdesk_sandbox.story.opening import open_story
from talkdesk_sandbox.story.script import PATIENCE, Story

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from typing import Any

    from talkdesk_sandbox.interceptor.between import Interceptor


@dataclass
class Intercepted:
    """A sandbox; all that its product says to Talkdesk, and all deliveries, pass interceptors."""

    environment: Environment
    talkdesk: Interceptor
    deliveries: Interceptor

    @contextlib.asynccontextmanager
    async def story(self, *, patience: float = PATIENCE) -> AsyncIterator[Story]:
        """A story of its own app, whose deliveries pass the interceptor; its tenant goes afterwards."""
        name = f"demo-{secrets.token_hex(4)}"
        url = f"{self.deliveries.url}/events"
        async with open_story(self.environment, patience=patience, events_url=url, app_name=name) as story:
            try:
                yield story
            finally:
                await _clear(story, name)


async def _clear(story: Story, app: str) -> None:
    """Take the app away, so that the operator lets go of its tenants, and then those."""
    kube, labels = story.cluster.kube, f"{APP_LABEL}={label_value(story.app_id)}"
    with contextlib.suppress(NotFound):
        await kube.delete(kinds.APPS, app, namespace=story.cluster.namespace)
    for tenant in (await kube.list(kinds.NAMESPACES, labels=labels)).items:
        with contextlib.suppress(NotFound, Conflict):  # somebody else deletes it already
            await kube.delete(kinds.NAMESPACES, tenant["metadata"]["name"])


@contextlib.asynccontextmanager
async def intercepted(*, values: Mapping[str, Any], replicas: int) -> AsyncIterator[Intercepted]:
    """One that runs while the block does; ``values`` are chart values over the sandbox's own.

    Of each component so many replicas start, once: when the interceptors are there.
    """
    async with contextlib.AsyncExitStack() as stack:
        up = running(values=of_each(replicas=0))
        environment = await asyncio.to_thread(up.__enter__)
        stack.push_async_callback(asyncio.to_thread, up.__exit__, None, None, None)
        talkdesk = await stack.enter_async_context(before_talkdesk(environment.stand_in))
        assert talkdesk.ca_file is not None  # noqa: S101 - it opens tunnels, so it has an authority
        egress = {"proxy": talkdesk.url, "ca": talkdesk.ca_file.read_text()}
        given = merged({**of_each(replicas=replicas), "egress": egress}, values)
        await asyncio.to_thread(environment.release.install, given)
        target = environment.events_url().removesuffix("/events")
        deliveries = await stack.enter_async_context(before_webhook(target))
        yield Intercepted(environment, talkdesk, deliveries)
