"""The sandbox for signing on, once for all tests here.

Everything that our side answers to a browser is noted, and every test ends with a look at it: a refusal
without a page and a reference is a failure, whatever the test was about.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest_asyncio

from chain.beside import gateways_beside
from chain.world import Replica, World
from talkdesk_kube import resources as kinds
from talkdesk_sandbox.environment import running
from talkdesk_sandbox.interceptor import before_webhook
from talkdesk_sandbox.story.opening import open_story

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from chain.customers import Customer


@pytest_asyncio.fixture(loop_scope="session")
async def own_gateways(world: World, tmp_path: Path) -> Callable[..., Any]:
    """``async with own_gateways(skews=…, stale=…) as own``: see Beside."""
    return lambda **how: gateways_beside(world, tmp_path, **how)


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def shared(whole_run: Any) -> AsyncIterator[World]:
    """The sandbox, once for all tests here, with two customers to begin with."""
    async with contextlib.AsyncExitStack() as stack:
        up = running()
        environment = await asyncio.to_thread(up.__enter__)
        stack.push_async_callback(asyncio.to_thread, up.__exit__, None, None, None)
        stack.enter_context(whole_run.kept(environment.control_plane))
        target = (await asyncio.to_thread(environment.events_url)).removesuffix("/events")
        deliveries = await stack.enter_async_context(before_webhook(target))
        events = f"{deliveries.url}/events"
        story = await stack.enter_async_context(
            open_story(environment, events_url=events, app_name="callboard")
        )
        raw = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()))
        world = World(
            environment=environment,
            kube=story.cluster.kube,
            marketplace=story.marketplace,
            deliveries=deliveries,
            app_id=story.app_id,
            app="callboard",
            raw=raw,
        )
        world.replicas = await _replicas(world)
        await asyncio.gather(world.customer("acme"), world.customer("bolt"))
        yield world


async def _replicas(world: World) -> tuple[Replica, ...]:
    labels = "app.kubernetes.io/component=gateway"
    pods = (await world.kube.list(kinds.PODS, namespace=world.namespace, labels=labels)).items
    listens = world.environment.control_plane.network.listen_address
    found = [Replica(world, pod["metadata"]["name"], listens(pod["status"]["podIP"])) for pod in pods]
    assert len(found) == 2, f"two gateways were expected, not {len(found)}"
    return tuple(found)


@pytest_asyncio.fixture(loop_scope="session")
async def world(shared: World) -> AsyncIterator[World]:
    """The sandbox; what the test was told is looked at when it ends."""
    yield shared
    await shared.tidy()


@pytest_asyncio.fixture(loop_scope="session")
async def acme(world: World) -> Customer:
    """A customer whose ada (the admin), ben, cleo and dan are licensed, and eve is not."""
    return await world.customer("acme")


@pytest_asyncio.fixture(loop_scope="session")
async def bolt(world: World) -> Customer:
    """Another one."""
    return await world.customer("bolt")
