"""A region that does not answer keeps its own customers waiting, and nobody else's."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any

    World = Any

pytestmark = pytest.mark.asyncio(loop_scope="module")

CUSTOMERS = 12
#: Seconds that a pass waits for an answer that does not come.
ATTEMPT = 6
#: Half of what two workers need to wait for all of the region's customers once.
WITHIN = CUSTOMERS / 2 * ATTEMPT / 2


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def many(open_world: Any) -> AsyncIterator[World]:
    """Twelve customers in one region, and two workers."""
    async with open_world() as made:
        await made.start(
            TALKDESK_WORKERS="2",
            TALKDESK_CLIENT_ATTEMPT_TIMEOUT=str(ATTEMPT),
            TALKDESK_CLIENT_RETRY_BUDGET=str(ATTEMPT),
        )
        await made.declare()
        made.all = await asyncio.gather(*(made.install(users=1) for _ in range(CUSTOMERS)))
        yield made


@pytest.mark.parametrize("asked", ["/apps/.*", "/apps/.*/users"], ids=["anything", "its users"])
async def test_an_install_in_one_region_is_approved_while_another_hangs(
    many: World, eventually: Any, asked: str
) -> None:
    for one in many.all:
        await many.condition(one, "Ready", "True")
    logged = len(many.logs())
    token = secrets.token_hex(4)
    fault = {"region": "eu", "path": asked, "delay_seconds": 60, "times": 100_000}
    await many.post("/control/faults", fault)
    try:
        await asyncio.gather(*(many.annotate(one, resync=token) for one in many.all))
        other = await many.install(users=1, region="us")
        await many.approved(other, within=WITHIN)
        await many.condition(other, "Ready", "True", within=WITHIN)
        # Whoever waits is served as before, and the logs say why nothing new is known.
        assert "does not answer those who ask it already" in many.logs()[logged:]
    finally:
        (await many.control.delete("/control/faults")).raise_for_status()

    async def read_again() -> bool:
        found = [await many.installation(one) for one in many.all]
        return all(one["status"].get("observedResync") == token for one in found)

    await eventually(read_again)
    for one in many.all:
        await many.condition(one, "Ready", "True")
