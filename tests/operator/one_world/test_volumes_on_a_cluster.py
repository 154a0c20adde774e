"""What a customer's workload wrote is there again after a reinstallation: with pods that run and write."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from talkdesk_kube import NotFound, resources
from talkdesk_sandbox.node import Node
from talkdesk_sandbox.plain import plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from talkdesk_sandbox.controlplane import ControlPlane

    World = Any

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: Writes down, once, for which installation it ran first, and serves its folder.
WRITER = """
import functools, http.server, os, pathlib
data = pathlib.Path(os.environ["DATA"])
if not (data / "first").exists():
    (data / "first").write_text(os.environ["INSTALLATION"])
(data / "now").write_text(os.environ["INSTALLATION"])
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(data))
http.server.ThreadingHTTPServer((os.environ["POD_IP"], 8080), handler).serve_forever()
"""
CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "demo"},
    "spec": {"selector": {"app": "writer"}, "ports": [{"name": "http", "port": 8080}]},
}
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "writer"},
    "spec": {
        "replicas": 1,
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": {"app": "writer"}},
        "template": {
            "metadata": {"labels": {"app": "writer"}},
            "spec": {
                "terminationGracePeriodSeconds": 1,
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 65532,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [
                    {
                        "name": "writer",
                        "image": "writer:1",
                        "securityContext": {
                            "allowPrivilegeEscalation": False,
                            "capabilities": {"drop": ["ALL"]},
                        },
                        "env": [
                            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                            {"name": "DATA", "value": "/data"},
                            {
                                "name": "INSTALLATION",
                                "valueFrom": {
                                    "configMapKeyRef": {"name": "talkdesk-account", "key": "installation.id"}
                                },
                            },
                        ],
                        "readinessProbe": {
                            "httpGet": {"path": "/first", "port": 8080},
                            "periodSeconds": 1,
                        },
                        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                    }
                ],
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
            },
        },
    },
}


@pytest.fixture(scope="module")
def node(control_plane: ControlPlane) -> Iterator[Node]:
    """A node that runs the writer."""
    with Node.start(control_plane, {"writer": [sys.executable, "-c", WRITER]}) as running:
        yield running


async def file(world: World, tenant: str, name: str) -> str:
    """A file on the workload's volume, as the workload serves it."""
    service = await world.kube.get(resources.SERVICES, "demo", namespace=tenant)
    async with plain(timeout=10) as http:
        answer = await http.get(f"http://{service['spec']['clusterIP']}:8080/{name}")
        answer.raise_for_status()
        return answer.text


@pytest.mark.usefixtures("node")
async def test_a_file_is_still_readable_after_a_reinstall_and_after_the_old_installations_retention(
    world: World, eventually: Any
) -> None:
    await world.declare(
        approval={"gate": "WorkloadReady", "patienceSeconds": 3600},
        template=[CLAIM, SERVICE, DEPLOYMENT],
        retention={"seconds": 15},
    )
    first = await world.install()
    await world.approved(first, within=120)
    await world.condition(first, "Ready", "True")
    tenant = await world.tenant(first)
    assert await file(world, tenant, "first") == first.id
    claim = (await world.kube.get(resources.PERSISTENT_VOLUME_CLAIMS, "data", namespace=tenant))["metadata"]
    await world.post(f"/control/installations/{first.id}/uninstall", {})
    await world.approved(first, 2, within=120)

    second = await world.install(account=first.account, people=first.users)
    await world.approved(second, within=120)
    await world.condition(second, "Ready", "True")
    assert await world.tenant(second) == tenant

    async def readable() -> bool:
        try:
            return await file(world, tenant, "now") == second.id
        except httpx.HTTPError:
            return False

    await eventually(readable)
    assert await file(world, tenant, "first") == first.id

    async def old_one_gone() -> bool:
        try:
            await world.installation(first)
        except NotFound:
            return True
        return False

    await eventually(old_one_gone)
    assert await file(world, tenant, "first") == first.id
    now = (await world.kube.get(resources.PERSISTENT_VOLUME_CLAIMS, "data", namespace=tenant))["metadata"]
    assert now["uid"] == claim["uid"]
    assert not (await world.kube.get(resources.NAMESPACES, tenant))["metadata"].get("deletionTimestamp")
