"""The whole sandbox with interceptors before Talkdesk and before the webhook, for tests that make faults."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from talkdesk_sandbox.environment import Environment, running
from talkdesk_sandbox.interceptor import before_talkdesk, before_webhook
from talkdesk_sandbox.story.opening import open_story
from talkdesk_sandbox.story.script import PATIENCE, Story

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from contextlib import AbstractAsyncContextManager
    from typing import Any

    from talkdesk_sandbox.interceptor.between import Interceptor


@dataclass
class Intercepted:
    """A sandbox; all that its product says to Talkdesk, and all deliveries, pass interceptors."""

    environment: Environment
    talkdesk: Interceptor
    deliveries: Interceptor

    def story(self, *, patience: float = PATIENCE) -> AbstractAsyncContextManager[Story]:
        """A story of its own app, whose deliveries pass the interceptor."""
        return open_story(
            self.environment,
            patience=patience,
            events_url=f"{self.deliveries.url}/events",
            app_name=f"demo-{secrets.token_hex(4)}",
        )


@contextlib.asynccontextmanager
async def intercepted(*, values: Mapping[str, Any]) -> AsyncIterator[Intercepted]:
    """One that runs while the block does; ``values`` are chart values over the sandbox's own."""
    async with contextlib.AsyncExitStack() as stack:
        up = running()
        environment = await asyncio.to_thread(up.__enter__)
        stack.push_async_callback(asyncio.to_thread, up.__exit__, None, None, None)
        talkdesk = await stack.enter_async_context(before_talkdesk(environment.stand_in))
        assert talkdesk.ca_file is not None  # noqa: S101 - it opens tunnels, so it has an authority
        egress = {"proxy": talkdesk.url, "ca": talkdesk.ca_file.read_text()}
        await asyncio.to_thread(environment.release.install, {**values, "egress": egress})
        target = environment.events_url().removesuffix("/events")
        deliveries = await stack.enter_async_context(before_webhook(target))
        yield Intercepted(environment, talkdesk, deliveries)
