from __future__ import annotations

import aiohttp
from prometheus_client import CollectorRegistry, Counter

from talkdesk_kube.pod import Listener


async def test_metrics_and_health_are_served() -> None:
    registry = CollectorRegistry()
    Counter("talkdesk_test", "of this test", registry=registry).inc(3)
    faults: dict[str, str | None] = {"healthy": None, "ready": "no watch yet"}
    listener = Listener.of_metrics(
        "127.0.0.1", 0, healthy=lambda: faults["healthy"], ready=lambda: faults["ready"], registry=registry
    )
    async with listener, aiohttp.ClientSession(f"http://127.0.0.1:{listener.port}") as session:

        async def ask(path: str) -> tuple[int, str]:
            async with session.get(path) as response:
                return response.status, await response.text()

        status, text = await ask("/metrics")
        assert status == 200
        assert "talkdesk_test_total 3.0" in text
        assert await ask("/healthz") == (200, "ok\n")
        assert await ask("/readyz") == (503, "no watch yet\n")
        faults.update(healthy="stuck", ready=None)
        assert await ask("/healthz") == (503, "stuck\n")
        assert await ask("/readyz") == (200, "ok\n")
        assert (await ask("/secret"))[0] == 404
        async with session.post("/metrics") as response:
            assert response.status == 405


async def test_without_checks_there_is_no_health_to_ask_for() -> None:
    async with (
        Listener.of_metrics("127.0.0.1", 0, registry=CollectorRegistry()) as listener,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{listener.port}/healthz") as response,
    ):
        assert response.status == 404
