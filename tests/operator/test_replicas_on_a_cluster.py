"""A suspension, and fields that others own."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest

from talkdesk_kube import resources
from talkdesk_operator.owned import owns
from talkdesk_sandbox.environment import demo_app

if TYPE_CHECKING:
    from typing import Any

    World = Any

pytestmark = pytest.mark.asyncio(loop_scope="module")


def deployment(name: str) -> dict[str, Any]:
    """The demo's Deployment under another name, with nothing said about replicas."""
    app = demo_app(app_id="x", regions={})
    found: dict[str, Any] = copy.deepcopy(app["spec"]["template"][0])
    found["metadata"]["name"] = name
    found["spec"]["selector"] = {"matchLabels": {"app": name}}
    found["spec"]["template"]["metadata"]["labels"] = {"app": name}
    del found["spec"]["replicas"]
    return found


def stateful_set(name: str) -> dict[str, Any]:
    found = deployment(name) | {"kind": "StatefulSet"}
    found["spec"]["serviceName"] = name
    return found


AUTOSCALER = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "scaled"},
    "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "scaled"},
        "minReplicas": 2,
        "maxReplicas": 5,
        "metrics": [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
            }
        ],
    },
}
KINDS = {
    "scaled": resources.DEPLOYMENTS,
    "by-hand": resources.DEPLOYMENTS,
    "stateful": resources.STATEFUL_SETS,
}


async def test_replicas_that_others_set_come_back_after_a_suspension_and_are_theirs_again(
    world: World, eventually: Any
) -> None:
    template = [deployment("scaled"), AUTOSCALER, deployment("by-hand"), stateful_set("stateful")]
    await world.declare(template=template)
    installed = await world.install()
    await world.approved(installed)
    await world.condition(installed, "Ready", "True")
    tenant = await world.tenant(installed)
    for name, number in (("deployment/by-hand", 4), ("statefulset/stateful", 3)):
        world.plane.kubectl("scale", name, f"--replicas={number}", "--namespace", tenant)

    async def replicas() -> dict[str, int]:
        return {
            name: (await world.kube.get(kind, name, namespace=tenant))["spec"]["replicas"]
            for name, kind in KINDS.items()
        }

    async def are(wanted: dict[str, int]) -> None:
        async def look() -> bool:
            found = await replicas()
            assert found == wanted, found
            return True

        await eventually(look)

    async def suspend(switch: bool) -> None:
        await world.kube.merge_patch(
            resources.INSTALLATIONS,
            installed.name,
            {"spec": {"suspend": switch}},
            namespace=world.release.namespace,
        )

    # The autoscaler itself sets its least number: it has no metrics here.
    await are({"scaled": 2, "by-hand": 4, "stateful": 3})
    await suspend(True)
    await are(dict.fromkeys(KINDS, 0))
    await world.condition(installed, "Ready", "False", "Suspended")
    # Who scales by hand meanwhile does not change what comes back.
    world.plane.kubectl("scale", "deployment/by-hand", "--replicas=1", "--namespace", tenant)
    await are(dict.fromkeys(KINDS, 0))
    world.operators[0].kill()
    await eventually(world.restarted)
    await suspend(False)
    await are({"scaled": 2, "by-hand": 4, "stateful": 3})
    await world.condition(installed, "Ready", "True")
    for name, kind in KINDS.items():

        async def free(name: str = name, kind: Any = kind) -> bool:
            return not owns(await world.kube.get(kind, name, namespace=tenant), "spec", "replicas")

        await eventually(free)

    world.plane.kubectl("scale", "deployment/by-hand", "--replicas=2", "--namespace", tenant)
    passes = await world.passes()
    await world.annotate(installed, resync="now")

    async def looked() -> bool:
        stored = await world.installation(installed)
        return bool(stored["status"].get("observedResync") == "now" and await world.passes() > passes)

    await eventually(looked)
    assert (await replicas())["by-hand"] == 2
