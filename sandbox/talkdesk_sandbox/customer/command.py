"""``sandbox install``, ``open`` and ``end-trial``: the sandbox is found, and the act is told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx

from talkdesk_kube.errors import KubeError
from talkdesk_kube.pod import configure_logging
from talkdesk_sandbox.customer.acts import Customer, NotThere
from talkdesk_sandbox.partner.command import up_now
from talkdesk_sandbox.plain import plain
from talkdesk_sandbox.problems import in_words
from talkdesk_sandbox.story.observe import NotObserved
from talkdesk_sandbox.talkdesk import StandInError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_SECONDS = 60


def act(account: str, what: Callable[[Customer], Awaitable[bool]], *, say: Callable[[str], None]) -> int:
    """Let the customer ``account`` do ``what``, which answers whether it went well. The exit code."""
    configure_logging(level="warning", format="text")

    async def run() -> bool:
        up = up_now()
        async with plain(base_url=up.control, timeout=_SECONDS) as http:
            return await what(Customer(up, http, account, say))

    try:
        return 0 if asyncio.run(run()) else 1
    except (ValueError, NotThere, NotObserved, StandInError, KubeError, httpx.HTTPError) as problem:
        say(f"talkdesk-operator sandbox: {in_words(problem)}")
        return 1
