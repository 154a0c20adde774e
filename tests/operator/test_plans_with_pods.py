"""A change of plan while the tenant runs: its pods, its Service, and when it is approved."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING

import pytest

import light_app
from talkdesk_crds.names import TENANT_LABEL
from talkdesk_kube import resources
from talkdesk_sandbox.environment import demo_app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from talkdesk_sandbox.controlplane import ControlPlane
    from talkdesk_sandbox.node import Node

    World = Any

pytestmark = pytest.mark.asyncio(loop_scope="module")

FREE, PAID, BROKEN = "Free", "Paid", "Broken"
AT_TALKDESK = [
    {"name": name, "type": "paid", "license_type": "individual", "price": 0} for name in (FREE, PAID, BROKEN)
]
DEFAULTS = {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "1", "memory": "64Mi"}}


def plan(*, replicas: int, pods: str, image: str, export: bool, port: int = 8080) -> dict[str, Any]:
    return {
        "quota": {"pods": pods},
        "containerDefaults": DEFAULTS,
        "values": {"image": image},
        "numbers": {"replicas": replicas, "port": port},
        "features": {"export": export},
    }


PLANS = {
    FREE: plan(replicas=1, pods="3", image="talkdesk-demo:1", export=False),
    # Its image is not there until the test says so.
    PAID: {
        **plan(replicas=2, pods="6", image="talkdesk-demo-paid:1", export=True),
        "containerDefaults": {**DEFAULTS, "limits": {"cpu": "2", "memory": "128Mi"}},
    },
    # Its pods are well, and nobody answers where users would ask.
    BROKEN: plan(replicas=1, pods="3", image="talkdesk-demo:1", export=False, port=9),
}


@pytest.fixture(scope="module", autouse=True)
def node(control_plane: ControlPlane) -> Iterator[Node]:
    """Runs the tenants' pods; started before the world and ended when its tenants are gone."""
    from talkdesk_sandbox.node import Backoff, Node, Timings  # noqa: PLC0415 - unit tests do not pay for it

    timings = Timings(
        restart=Backoff(base=0.2, cap=0.5, reset=60.0), shutdown_grace=1.0, token_renewal=0.0005
    )
    with Node.start(control_plane, {"talkdesk-demo": light_app.IMAGE}, timings=timings) as running:
        yield running
        # World and release are gone; what they left would have nobody to end its pods.
        pods = control_plane.request("GET", "/api/v1/pods")["items"]
        busy = {f"namespace/{pod['metadata']['namespace']}" for pod in pods}
        tenants = control_plane.kubectl("get", "namespace", "--selector", TENANT_LABEL, "--output", "name")
        if left := busy.intersection(tenants.split()):
            control_plane.kubectl("delete", "--timeout=90s", "--ignore-not-found", *left)
        control_plane.kubectl("delete", "node", "sandbox", "--ignore-not-found")


def with_image(node: Node, image: str) -> None:
    """The node has this image from now on."""
    file = node.directory / "images.json"
    images = json.loads(file.read_text())
    changed = file.with_suffix(".new")
    changed.write_text(json.dumps({**images, image: images["talkdesk-demo"]}))
    changed.replace(file)


async def declared(world: World) -> None:
    """The demo app, with the plans' replicas, image, port and a feature, and a claim for its data."""
    app = demo_app(app_id="", regions={})
    deployment, service = copy.deepcopy(app["spec"]["template"])
    pod = deployment["spec"]["template"]["spec"]
    deployment["spec"]["replicas"] = "${plan.numbers.replicas}"
    pod["containers"][0]["image"] = "${plan.values.image}"
    pod["containers"][0]["env"].append({"name": "EXPORT", "value": "feature ${plan.features.export}"})
    pod["containers"][0]["volumeMounts"].append({"name": "data", "mountPath": "/data"})
    pod["volumes"].append({"name": "data", "persistentVolumeClaim": {"claimName": "data"}})
    service["spec"]["ports"][0]["targetPort"] = "${plan.numbers.port}"
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
    }
    await world.declare(
        template=[deployment, service, claim],
        plans=PLANS,
        defaultPlan=PLANS[FREE],
        approval={"gate": "WorkloadReady", "probe": {"path": "/healthz"}, "patienceSeconds": 3600},
    )
    answer = await world.control.patch(f"/control/apps/{world.app_id}", json={"plans": AT_TALKDESK})
    answer.raise_for_status()


async def look(world: World, tenant: str) -> dict[str, Any]:
    """What a change of plan may and may not touch."""
    deployment = await world.kube.get(resources.DEPLOYMENTS, "demo", namespace=tenant)
    claim = await world.kube.get(resources.PERSISTENT_VOLUME_CLAIMS, "data", namespace=tenant)
    quota = await world.kube.get(resources.RESOURCE_QUOTAS, "tenant", namespace=tenant)
    limits = await world.kube.get(resources.LIMIT_RANGES, "tenant", namespace=tenant)
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {
        "same": [
            (await world.kube.get(resources.NAMESPACES, tenant))["metadata"]["uid"],
            deployment["metadata"]["uid"],
            claim["metadata"]["uid"],
        ],
        "given": {
            "replicas": deployment["spec"]["replicas"],
            "image": container["image"],
            "export": next(one["value"] for one in container["env"] if one["name"] == "EXPORT"),
            "pods": quota["spec"]["hard"]["pods"],
            "memory": limits["spec"]["limits"][0]["default"]["memory"],
        },
        "status": deployment["status"],
    }


IS_FREE = {
    "replicas": 1,
    "image": "talkdesk-demo:1",
    "export": "feature false",
    "pods": "3",
    "memory": "64Mi",
}
IS_PAID = {
    "replicas": 2,
    "image": "talkdesk-demo-paid:1",
    "export": "feature true",
    "pods": "6",
    "memory": "128Mi",
}


@pytest.mark.parametrize("shows", ["new", "old"])
async def test_free_to_paid_changes_the_running_tenant_and_is_approved_once_that_answers(
    world: World, node: Node, eventually: Any, shows: str
) -> None:
    (node.directory / "images.json").write_text(json.dumps({"talkdesk-demo": {"command": light_app.IMAGE}}))
    async with world.switched(update_shows=shows):
        await declared(world)
        installed = await world.install(plan=FREE)
        await world.approved(installed)
        await world.condition(installed, "Ready", "True")
        tenant = await world.tenant(installed)
        before = await look(world, tenant)
        assert before["given"] == IS_FREE

        await world.post(f"/control/installations/{installed.id}/update", {"plan": PAID})

        async def changed() -> bool:
            return bool((await look(world, tenant))["given"] == IS_PAID)

        await eventually(changed)
        found = await world.condition(installed, "TenantReady", "False", "WorkloadNotReady")
        assert "Deployment demo" in found["message"]
        passes = await world.passes()

        async def looked_again() -> bool:
            return bool(await world.passes() > passes + 2)

        await eventually(looked_again)
        # The old pod answers all the while, and that is not enough.
        assert (await look(world, tenant))["status"]["availableReplicas"] >= 1
        assert len(await world.approvals(installed)) == 1
        assert (await world.installation(installed))["status"]["access"]["state"] == "Allowed"

        with_image(node, "talkdesk-demo-paid")
        await world.approved(installed, 2)
        after = await look(world, tenant)
        assert after["status"]["updatedReplicas"] == after["status"]["availableReplicas"] == 2
        await world.condition(installed, "Ready", "True")
        after = await look(world, tenant)
        assert after["given"] == IS_PAID
        assert after["same"] == before["same"]


async def test_a_changed_tenant_that_is_ready_and_does_not_answer_is_not_approved_and_goes_back(
    world: World, eventually: Any
) -> None:
    await declared(world)
    installed = await world.install(plan=FREE)
    await world.approved(installed)
    await world.condition(installed, "Ready", "True")
    tenant = await world.tenant(installed)

    async def target() -> int:
        service = await world.kube.get(resources.SERVICES, "demo", namespace=tenant)
        return int(service["spec"]["ports"][0]["targetPort"])

    assert await target() == 8080
    await world.post(f"/control/installations/{installed.id}/update", {"plan": BROKEN})
    await world.condition(installed, "TenantReady", "False", "ProbeFailing")
    assert await target() == 9
    assert len(await world.approvals(installed)) == 1
    approval = {"gate": "WorkloadReady", "probe": {"path": "/healthz"}, "patienceSeconds": 1}
    await world.kube.merge_patch(
        resources.APPS, world.app, {"spec": {"approval": approval}}, namespace=world.release.namespace
    )

    async def back() -> bool:
        assert len(await world.approvals(installed, "reject")) == 1
        return await target() == 8080

    await eventually(back)
    await world.condition(installed, "Ready", "True")
    assert len(await world.approvals(installed)) == 1
