"""A region that does not answer keeps its own customers waiting, and nobody else's."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

import pytest

from talkdesk_kube import resources

if TYPE_CHECKING:
    from typing import Any

pytestmark = pytest.mark.asyncio(loop_scope="module")

CUSTOMERS = 12
#: Seconds that a pass waits for an answer that does not come.
ATTEMPT = 6
#: Half of what two workers need to wait for all of the region's customers once.
WITHIN = CUSTOMERS / 2 * ATTEMPT / 2


@pytest.mark.parametrize("asked", ["/apps/.*", "/apps/.*/users"], ids=["anything", "its users"])
async def test_an_install_in_one_region_is_approved_while_another_hangs(open_world: Any, asked: str) -> None:
    settings = {
        "TALKDESK_WORKERS": "2",
        "TALKDESK_CLIENT_ATTEMPT_TIMEOUT": str(ATTEMPT),
        "TALKDESK_CLIENT_RETRY_BUDGET": str(ATTEMPT),
    }
    async with open_world() as world:
        await world.start(**settings)
        await world.declare()
        installed = await asyncio.gather(*(world.install(users=1) for _ in range(CUSTOMERS)))
        for one in installed:
            await world.condition(one, "Ready", "True")
        fault = {"region": "eu", "path": asked, "delay_seconds": 60, "times": 100_000}
        await world.post("/control/faults", fault)
        try:
            again = {"metadata": {"annotations": {"talkdesk-operator.io/resync": secrets.token_hex(4)}}}
            own = {"namespace": world.release.namespace}
            await asyncio.gather(
                *(
                    world.kube.merge_patch(resources.INSTALLATIONS, one.name, again, **own)
                    for one in installed
                )
            )
            other = await world.install(users=1, region="us")
            await world.approved(other, within=WITHIN)
            await world.condition(other, "Ready", "True", within=WITHIN)
            # Whoever waits is served as before, and the logs say why nothing new is known.
            assert "does not answer those who ask it already" in world.logs()
        finally:
            (await world.control.delete("/control/faults")).raise_for_status()
        for one in installed:
            await world.condition(one, "Ready", "True")
