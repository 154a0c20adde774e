"""Roll-outs over tenants that run: each of them is one process that answers at the demo app's address."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

import light_app
from talkdesk_crds import names
from talkdesk_kube import NotFound, resources
from talkdesk_sandbox.environment import demo_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    World = Any

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.processes]

TENANTS = 20
MOST = 2
CRASHING = "talkdesk-demo-crashing"


@pytest.fixture(scope="module", autouse=True)
def node(control_plane: Any) -> Iterator[Any]:
    """A node from before the release until its tenants' pods are gone."""
    from talkdesk_sandbox.node import Node  # noqa: PLC0415 - unit tests do not pay for it

    crashing = [sys.executable, "-ISc", "raise SystemExit('the app is broken')"]
    with Node.start(control_plane, {"talkdesk-demo": light_app.IMAGE, CRASHING: crashing}) as running:
        yield running
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            pods = control_plane.request("GET", "/api/v1/pods")["items"]
            if not any(one["spec"].get("nodeName") for one in pods):
                break
            time.sleep(0.2)  # until they have ended
        control_plane.kubectl("delete", "node", "sandbox", "--ignore-not-found")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(open_world: Any) -> AsyncIterator[World]:
    async with open_world() as made:
        await made.start()
        yield made


class Callers:
    """Users who call tenants without pause; what went wrong, by tenant."""

    def __init__(self, addresses: dict[str, str]) -> None:
        self.addresses = addresses
        self.calls: Counter[str] = Counter()
        self.failures: dict[str, list[str]] = {}

    @contextlib.asynccontextmanager
    async def calling(self) -> AsyncIterator[Callers]:
        tasks = [asyncio.create_task(self._call(*one)) for one in self.addresses.items()]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _call(self, tenant: str, address: str) -> None:
        while True:
            self.calls[tenant] += 1
            try:
                async with asyncio.timeout(20):
                    answer = await one_call(address)
            except (OSError, TimeoutError) as error:
                answer = repr(error).encode()
            if not (answer.startswith(b"HTTP/1.1 200 ") and b"</html>" in answer):
                self.failures.setdefault(tenant, []).append(answer[:200].decode())
            await asyncio.sleep(0.1)  # the pause between two calls of one user


async def one_call(address: str) -> bytes:
    """The whole answer of one request on a connection of its own."""
    reader, writer = await asyncio.open_connection(address, 8080)
    try:
        writer.write(b"GET / HTTP/1.1\r\nHost: tenant\r\nConnection: close\r\n\r\n")
        return await reader.read(-1)
    finally:
        writer.close()


class Fleet:
    """The tenants of one app, and the app."""

    def __init__(self, world: World, eventually: Any) -> None:
        self.world = world
        self.eventually = eventually
        self.installed: list[Any] = []

    async def declare(self, **rollout: Any) -> None:
        spec = demo_app(app_id="x", regions={})["spec"]
        deployment = spec["template"][0]
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        next(one for one in container["env"] if one["name"] == "PORT")["value"] = "${plan.values.port}"
        await self.world.declare(
            approval={"gate": "WorkloadReady"},
            rollout=rollout,
            template=spec["template"],
            defaultPlan={"values": {"port": "8080"}},
        )

    async def install(self, number: int) -> list[Any]:
        """So many more customers, whose tenants are ready."""
        fresh = [await self.world.install(users=1) for _ in range(number)]
        for one in fresh:
            await self.world.condition(one, "Ready", "True")
        self.installed += fresh
        return fresh

    async def app(self) -> dict[str, Any]:
        found: dict[str, Any] = await self.world.kube.get(
            resources.APPS, self.world.app, namespace=self.world.release.namespace
        )
        return found

    async def change(self, *, image: str | None = None, **spec: Any) -> None:
        """Change the app's spec; ``image`` is that of the template's only container."""
        if image is not None:
            template = copy.deepcopy((await self.app())["spec"]["template"])
            template[0]["spec"]["template"]["spec"]["containers"][0]["image"] = image
            spec["template"] = template
        await self.world.kube.merge_patch(
            resources.APPS, self.world.app, {"spec": spec}, namespace=self.world.release.namespace
        )

    async def rolled(self, status: str, reason: str, *, not_revision: str = "") -> dict[str, Any]:
        """The app's status once RolledOut is so, for another revision than the one given."""
        seen: Any = None

        async def look() -> dict[str, Any] | None:
            nonlocal seen
            app = await self.app()
            seen = found = app["status"]
            (one,) = [one for one in found["conditions"] if one["type"] == "RolledOut"]
            current = found["observedGeneration"] == app["metadata"]["generation"]
            other = (found.get("rollout") or {}).get("revision") != not_revision
            return found if current and other and (one["status"], one["reason"]) == (status, reason) else None

        try:
            found: dict[str, Any] = await self.eventually(look, within=180)
        except AssertionError:
            raise AssertionError(f"RolledOut is not {status} {reason}: {seen}") from None
        return found

    async def revisions(self) -> dict[str, str]:
        """Tenant → the revision it was last made from completely."""
        found = await self.world.kube.list(resources.INSTALLATIONS, namespace=self.world.release.namespace)
        mine = {one.name for one in self.installed}
        statuses = [one["status"] for one in found.items if one["metadata"]["name"] in mine]
        return {status["tenant"]: status["revision"] for status in statuses}

    async def told(self) -> dict[str, str | None]:
        """Tenant → what the roll-out told it."""
        label = f"{names.APP_LABEL}={names.label_value(self.world.app_id)}"
        found = await self.world.kube.list(resources.NAMESPACES, labels=label)
        return {
            one["metadata"]["name"]: one["metadata"]["annotations"].get(names.REVISION_ANNOTATION)
            for one in found.items
        }

    async def addresses(self) -> dict[str, str]:
        """Tenant → the ClusterIP of its Service."""
        label = f"{names.APP_LABEL}={names.label_value(self.world.app_id)}"
        found = await self.world.kube.list(resources.SERVICES, labels=label)
        return {one["metadata"]["namespace"]: one["spec"]["clusterIP"] for one in found.items}

    async def stored(self) -> set[str]:
        """The names of the app's ControllerRevisions."""
        label = f"{names.APP_LABEL}={names.label_value(self.world.app_id)}"
        found = await self.world.kube.list(
            resources.CONTROLLER_REVISIONS, namespace=self.world.release.namespace, labels=label
        )
        return {one["metadata"]["name"] for one in found.items}


@pytest_asyncio.fixture(loop_scope="module")
async def fleet(world: World, eventually: Any) -> AsyncIterator[Fleet]:
    """An app whose tenants stop running when the test is over."""
    made = Fleet(world, eventually)
    yield made
    for one in made.installed:
        with contextlib.suppress(NotFound):
            await world.kube.merge_patch(
                resources.INSTALLATIONS,
                one.name,
                {"spec": {"suspend": True}},
                namespace=world.release.namespace,
            )


async def test_a_crashing_image_reaches_two_of_twenty_tenants_and_the_rest_answer_throughout(
    fleet: Fleet, eventually: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()

    def tell(what: str) -> None:
        with capsys.disabled():
            print(f"\n  {time.monotonic() - began:5.1f} s: {what}", end="")

    await fleet.declare(maxUnavailable=MOST, progressSeconds=4)
    await fleet.install(TENANTS)
    good = (await fleet.rolled("True", "RolledOut"))["revision"]
    assert set((await fleet.revisions()).values()) == {good}
    assert set((await fleet.told()).values()) == {None}
    tell(f"{TENANTS} tenants")

    async with Callers(await fleet.addresses()).calling() as callers:
        await fleet.change(image=f"{CRASHING}:1")
        status = await fleet.rolled("False", "RolloutStalled", not_revision=good)
        tell("stalled")
        bad = status["rollout"]["revision"]
        assert status["revision"] == good
        assert status["rollout"]["updated"] == 0
        assert (status["rollout"]["tenants"], status["rollout"]["unavailable"]) == (TENANTS, MOST)
        told = await fleet.told()
        broken = {tenant for tenant, revision in told.items() if revision == bad}
        assert len(broken) == MOST
        (said,) = [one for one in status["conditions"] if one["type"] == "RolledOut"]
        for one in fleet.installed:
            assert ((await fleet.world.tenant(one)) in broken) == (one.name in said["message"])

        await damaged_and_repaired(fleet, sorted(set(told) - broken)[0], eventually)
        tell("damaged and repaired")
        (late,) = await fleet.install(1)
        newcomer = (await fleet.world.installation(late))["status"]
        assert newcomer["revision"] == good
        tell("a new tenant")

        calm = set(told) - broken
        assert {(await fleet.told())[tenant] for tenant in calm} == {None}
        assert {(await fleet.revisions())[tenant] for tenant in calm} == {good}
        assert {tenant: callers.failures.get(tenant) for tenant in calm} == dict.fromkeys(calm)
        assert min(callers.calls[tenant] for tenant in calm) > 10
        tell(f"{sum(callers.calls[tenant] for tenant in calm)} calls of the {len(calm)} others answered")

        await fleet.change(image="talkdesk-demo:2", rollout={"maxUnavailable": 7})
        mended = (await fleet.rolled("True", "RolledOut", not_revision=bad))["revision"]
        assert mended not in (good, bad)
        assert set((await fleet.revisions()).values()) == {mended}
        assert await fleet.stored() == {mended}
        tell("mended")

        await fleet.change(rollout={"maxUnavailable": MOST}, defaultPlan={"values": {"port": "-1"}})
        status = await fleet.rolled("False", "RolloutStalled", not_revision=mended)
        assert Counter((await fleet.told()).values())[status["rollout"]["revision"]] == MOST
        assert await fleet.stored() == {mended, status["rollout"]["revision"]}
        tell("a bad value of a plan, stalled")

        await fleet.change(defaultPlan={"values": {"port": "8080"}})
        back = await fleet.rolled("True", "RolledOut", not_revision=status["rollout"]["revision"])
        assert back["revision"] == mended
        assert set((await fleet.revisions()).values()) == {mended}
        tell(f"back; {sum(callers.calls.values())} calls, failures: {callers.failures}")
        assert not callers.failures


async def damaged_and_repaired(fleet: Fleet, tenant: str, eventually: Any) -> None:
    """Somebody edits the Deployment and deletes the NetworkPolicy: both are as the old revision has them."""
    kube = fleet.world.kube
    hacked = {"name": "demo", "image": "hacked:1"}
    where = {"namespace": tenant}
    found = await kube.get(resources.DEPLOYMENTS, "demo", **where)
    container = found["spec"]["template"]["spec"]["containers"][0]
    patch = {"spec": {"template": {"spec": {"containers": [{**container, **hacked}]}}}}
    await kube.merge_patch(resources.DEPLOYMENTS, "demo", patch, field_manager="someone", **where)
    await kube.delete(resources.NETWORK_POLICIES, "tenant", **where)

    async def repaired() -> bool:
        await kube.get(resources.NETWORK_POLICIES, "tenant", **where)
        deployment = await kube.get(resources.DEPLOYMENTS, "demo", **where)
        return bool(
            deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "talkdesk-demo:1"
            and deployment["metadata"]["generation"] > found["metadata"]["generation"]
        )

    await eventually(repaired)
