"""Watches that die unnoticed: the operator lists again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from talkdesk_sandbox.interceptor import before_kubernetes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any

    from talkdesk_sandbox.interceptor import Exchange

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_drift_behind_watches_that_died_unnoticed_is_found_by_listing_again(
    open_world: Any, eventually: Any
) -> None:
    dead = asyncio.Event()
    swallowed: list[str] = []

    async def nothing() -> AsyncIterator[bytes]:
        yield b"\n"  # takes the answer's head with it: the watch is open
        await dead.wait()

    async def swallow(exchange: Exchange) -> web.StreamResponse:
        """Watches open, and show nothing for ever: as behind a device that forgot the connection."""
        if exchange.is_watch:
            swallowed.append(exchange.path)
            return web.Response(content_type="application/json", body=nothing())
        return await exchange.forward()

    async with open_world() as blind, before_kubernetes(blind.plane) as between:
        between.rule = swallow
        through = between.kubeconfig(blind.release.kubeconfig("operator"))
        await blind.start(operators=0)
        silence = 2.0
        await blind.operator(TALKDESK_KUBECONFIG=str(through), TALKDESK_WATCH_SILENCE_SECONDS=str(silence))
        try:
            await blind.operators[0].ready()
            installed = await blind.settled()
            tenant = await blind.tenant(installed)
            await blind.spoil(tenant, "unseen")
            seen = len(swallowed)
            # 90 seconds less the 75 of silence: what is left for the rest, whatever the silence.
            await eventually(lambda: blind.mended(tenant), within=silence + 15)
            # No watch has shown anything, ever: it can only have been a list.
            await eventually(lambda: asyncio.sleep(0, len(swallowed) > seen))
        finally:
            dead.set()
