"""SIGTERM: the work in hand is finished, the Lease is given back, another replica goes on at once."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING, Any

from talkdesk_kube import resources as kinds
from talkdesk_sandbox.story.observe import NotYet, eventually

if TYPE_CHECKING:
    import pytest


async def test_sigterm_finishes_the_pass_in_hand_and_hands_the_lease_over(
    products: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    # The Lease is long: only a release can hand it over within the test, to one that looks often.
    lease = {
        "TALKDESK_LEASE_SECONDS": "60",
        "TALKDESK_LEASE_RENEW_SECONDS": "40",
        "TALKDESK_LEASE_RETRY_SECONDS": "0.1",
    }
    product = await products.make(operators=2, settings=lease)
    held: asyncio.Queue[Any] = asyncio.Queue()
    go_on = asyncio.Event()

    for party in product.operators:

        async def hold(exchange: Any, party: Any = party) -> Any:
            if exchange.method == "POST" and exchange.path.endswith("/state") and not go_on.is_set():
                held.put_nowait(party)
                await go_on.wait()
            return await exchange.forward()

        party.talkdesk.rule = hold

    first, _ = await product.install(users=2)
    leader = await asyncio.wait_for(held.get(), timeout=20)
    ending = asyncio.create_task(leader.process.terminate(signal.SIGTERM))
    began = time.monotonic()
    await asyncio.wait({ending}, timeout=0.05)
    assert not ending.done(), "the process ended although an answer was under way"
    go_on.set()
    await asyncio.wait_for(ending, timeout=20)
    took = time.monotonic() - began
    entry = await eventually(lambda: product.marketplace.approved(first), within=5)
    assert entry["detail"]["to"] == "completed"

    second, _ = await product.install(users=2)
    await eventually(lambda: product.marketplace.approved(second), within=20)
    handed = time.monotonic() - began
    kube = product.cluster.kube

    async def taken_over() -> None:
        found = await kube.get(kinds.LEASES, "td-operator", namespace=product.release.namespace)
        if not found["spec"].get("holderIdentity"):
            raise NotYet("nobody holds the Lease")

    await eventually(taken_over, within=5)
    with capsys.disabled():
        print(f"\n  SIGTERM to end {took:.1f} s; the next install approved by {handed:.1f} s")
