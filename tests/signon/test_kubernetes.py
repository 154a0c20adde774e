"""A gateway that does not hear what happens in the cluster."""

from __future__ import annotations

import re
from typing import Any

import pytest
from aiohttp import WSServerHandshakeError

from chain.people import SCRIPT
from talkdesk_kube import KubeError
from talkdesk_kube import resources as kinds

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.sandbox,
]


async def service_of(world: Any, customer: Any) -> Any:
    return await world.kube.get(kinds.SERVICES, "demo", namespace=customer.tenant)


async def test_an_address_that_became_another_tenants_shows_nobody_elses_app(
    world: Any, acme: Any, bolt: Any, own_gateways: Any
) -> None:
    ben = await acme.here("ben")
    old = (await service_of(world, acme))["spec"]["clusterIP"]
    async with own_gateways() as own:
        own.take(ben)
        await ben.is_in()
        own.cable.pull()  # this gateway does not hear what happens now
        await world.kube.delete(kinds.SERVICES, "demo", namespace=acme.tenant)
        spec = {
            "clusterIP": old,
            "selector": {"app": "demo"},
            "ports": [{"name": "http", "port": 8080, "targetPort": "http"}],
        }
        taken = {"metadata": {"name": "taken"}, "spec": spec}
        await world.until(lambda: takes(world, bolt, taken))
        try:

            async def refused_by_the_app() -> None:
                answer = await ben.http.get(acme.origin + "/", follow_redirects=False)
                assert answer.status_code == 401, answer.text[:200]
                assert "Please open Callboard" in answer.text

            await world.until(refused_by_the_app)
            answer = await ben.get("/whoami", headers=SCRIPT)
            assert answer.status_code == 401
            assert bolt.account["name"] not in answer.text or "user" not in answer.text
            # Whoever hears of the change sends nobody there: the operator has made the Service anew.
            ben.transport.through = None
            await world.until(ben.is_in)
            assert (await service_of(world, acme))["spec"]["clusterIP"] != old
        finally:
            await world.kube.delete(kinds.SERVICES, "taken", namespace=bolt.tenant)
        own.cable.plug()
        own.take(ben)
        await world.until(ben.is_in, within=30)


async def takes(world: Any, customer: Any, service: Any) -> None:
    """The freed address is given to a Service of that customer's."""
    try:
        await world.kube.create(kinds.SERVICES, service, namespace=customer.tenant)
    except KubeError as problem:
        raise AssertionError(str(problem)) from None


async def test_without_kubernetes_the_gateway_goes_on_for_the_stated_time_and_then_says_so(
    world: Any, acme: Any, bolt: Any, own_gateways: Any
) -> None:
    cannot = "We cannot check your access right now"
    ben, there = await acme.here("ben"), await bolt.here("ben")
    async with own_gateways(stale=120.0) as own:
        own.take(ben, there)
        own.cable.pull()
        for seconds in (0.0, 60.0, 100.0):
            own.since_heard = seconds
            for person in (ben, there):
                await person.is_in()  # it goes on with what it knows
            assert (await own.asked("/readyz"))[0] == 200
        own.since_heard = 121.0
        for person in (ben, there):
            for path in ("/", "/calls", "/_td/start", "/_td/sign-out"):
                answer = await person.get(path)
                world.refused(answer, 503, cannot)
            answer = await person.get("/whoami", headers=SCRIPT)
            assert answer.status_code == 503
            assert answer.headers["retry-after"]
        world.refused(await ben.click(), 503, cannot)
        with pytest.raises(WSServerHandshakeError, match="503"):
            await world.socket(ben, f"http://127.0.0.1:{own.port}/clock")
        status, text = await own.asked("/readyz")
        assert (status, "no word from Kubernetes for 120 s" in text) == (503, True), text
        metrics = (await own.asked("/metrics"))[1]
        assert "talkdesk_gateway_fresh 0.0" in metrics
        assert re.search(r'talkdesk_gateway_decisions_total\{outcome="unavailable"\} [1-9]', metrics)
        for step in ("start", "sign-out", "launch"):
            counted = rf'talkdesk_gateway_sign_in_steps_total\{{outcome="unavailable",step="{step}"\}} [1-9]'
            assert re.search(counted, metrics), step
        # The chart's own, which Kubernetes answers, know nothing of it.
        ben.transport.through = None
        await ben.is_in()
        own.take(ben)
        own.cable.plug()
        await world.until(ben.is_in, within=30)
        assert (await own.asked("/readyz"))[0] == 200
