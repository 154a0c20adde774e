"""What becomes of pods when the node itself is stopped, killed and started again."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from talkdesk_kube.resources import JOBS, PODS, SERVICES
from talkdesk_sandbox.controlplane.errors import StartError
from talkdesk_sandbox.node import Node, Timings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from talkdesk_kube import Kube
    from talkdesk_sandbox.controlplane import ControlPlane

Obj = dict[str, Any]


@pytest.fixture
def start_node(
    control_plane: ControlPlane, images: dict[str, list[str]], namespace: str, tmp_path: Path
) -> Iterator[Callable[[], Node]]:
    """Starts nodes in one and the same folder; in the end the test's pods and the node are gone."""
    nodes: list[Node] = []

    def start() -> Node:
        nodes.append(
            Node.start(
                control_plane, images, directory=tmp_path / "node", timings=Timings(shutdown_grace=0.5)
            )
        )
        return nodes[-1]

    yield start
    if all(node.exit_code() is not None for node in nodes):
        start()
    control_plane.kubectl(
        "delete", "job,pod", "--all", "--namespace", namespace, "--grace-period=1", "--wait"
    )
    for node in nodes:
        node.stop()
    control_plane.kubectl("delete", "node", "sandbox", "--ignore-not-found")


def left_behind(node: Node) -> list[int]:
    """Pids of living processes that a node of this folder started, directly or not."""
    marker = f"SANDBOX_NODE={node.directory}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if marker in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found


async def running(kube: Kube, namespace: str, name: str) -> Obj | None:
    """The pod, once its one container runs."""
    pod = await kube.get(PODS, name, namespace=namespace)
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return pod if statuses and "running" in statuses[0]["state"] else None


# A server and two workers, one of them in a session of its own: no parent-death signal reaches those.
FAMILY = "sleep 1001 & setsid sleep 1002 & exec sleep 1003"


async def test_a_stopped_node_leaves_no_process_and_its_pods_are_still_running_at_the_api_server(
    kube: Kube, start_node: Callable[[], Node], namespace: str, until: Any, shell_pod: Callable[..., Obj]
) -> None:
    node = start_node()
    await kube.create(PODS, shell_pod(namespace, "family", FAMILY))
    await until(lambda: running(kube, namespace, "family"))
    await until(lambda: _count(node, 3))

    node.stop()

    assert left_behind(node) == []
    pod = await kube.get(PODS, "family", namespace=namespace)
    assert pod["status"]["phase"] == "Running"


async def _count(node: Node, expected: int) -> bool:
    return len(left_behind(node)) == expected


async def test_kill_9_of_the_node_leaves_no_process(
    kube: Kube, start_node: Callable[[], Node], namespace: str, until: Any, shell_pod: Callable[..., Obj]
) -> None:
    node = start_node()
    await kube.create(PODS, shell_pod(namespace, "family", FAMILY))
    await until(lambda: _count(node, 3))

    node.check()
    os.kill(node.pid, signal.SIGKILL)

    await until(lambda: _count(node, 0))
    with pytest.raises(StartError, match=r"node ended with exit code -9; the end of its log"):
        node.check()


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_a_node_started_again_takes_up_its_pods(
    *,
    kube: Kube,
    start_node: Callable[[], Node],
    namespace: str,
    until: Any,
    shell_pod: Callable[..., Obj],
    how: str,
) -> None:
    node = start_node()
    volume = {"volumes": [{"name": "kept", "emptyDir": {}}]}
    mounts = [{"name": "kept", "mountPath": "/kept"}]
    pod = shell_pod(
        namespace, "lasting", "echo run >> /kept/runs; exec sleep 1000", volumeMounts=mounts, spec=volume
    )
    await kube.create(PODS, pod)
    await kube.create(PODS, shell_pod(namespace, "done", "true", spec={"restartPolicy": "Never"}))
    await kube.create(JOBS, _job(namespace))
    before = await until(lambda: running(kube, namespace, "lasting"))

    async def ended() -> bool:
        done = await kube.get(PODS, "done", namespace=namespace)
        job = await kube.get(JOBS, "once", namespace=namespace)
        return done["status"]["phase"] == "Succeeded" and (job.get("status") or {}).get("succeeded") == 1

    await until(ended)
    if how == "stop":
        node.stop()
    else:
        os.kill(node.pid, signal.SIGKILL)
    node = start_node()

    async def taken_up() -> Obj | None:
        found = await running(kube, namespace, "lasting")
        return found if found and found["status"]["containerStatuses"][0]["restartCount"] == 1 else None

    after = await until(taken_up)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["status"]["podIP"] == before["status"]["podIP"]
    runs = node.directory / "pods" / after["metadata"]["uid"] / "volumes" / "kept" / "runs"

    async def ran_twice() -> bool:
        return runs.read_text().split() == ["run", "run"]

    await until(ran_twice)
    await kube.create(PODS, shell_pod(namespace, "newcomer", "exec sleep 1000"))
    newcomer = await until(lambda: running(kube, namespace, "newcomer"))
    assert newcomer["status"]["podIP"] != after["status"]["podIP"]
    assert (await kube.get(PODS, "done", namespace=namespace))["status"]["phase"] == "Succeeded"
    job = await kube.get(JOBS, "once", namespace=namespace)
    assert job["status"]["succeeded"] == 1
    assert not job["status"].get("failed")


def _job(namespace: str) -> Obj:
    container = {"name": "main", "image": "shell", "args": ["exit 0"]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "once", "namespace": namespace},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
    }


async def test_a_pod_deleted_while_no_node_ran_is_removed_by_the_next_one(
    kube: Kube, start_node: Callable[[], Node], namespace: str, until: Any, shell_pod: Callable[..., Obj]
) -> None:
    node = start_node()
    await kube.create(PODS, shell_pod(namespace, "unwanted", "exec sleep 1000"))
    await until(lambda: running(kube, namespace, "unwanted"))
    node.stop()
    await kube.delete(PODS, "unwanted", namespace=namespace)

    node = start_node()

    async def gone() -> bool:
        return not (await kube.list(PODS, namespace=namespace)).items

    async def forgotten() -> bool:
        return not list((node.directory / "pods").iterdir())

    await until(gone)
    await until(forgotten)


async def test_a_load_balancer_keeps_its_port_over_a_restart_of_the_node(
    kube: Kube, start_node: Callable[[], Node], namespace: str, until: Any
) -> None:
    node = start_node()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        spec = {"type": "LoadBalancer", "ports": [{"port": taken.getsockname()[1]}]}
        await kube.create(SERVICES, {"metadata": {"name": "front", "namespace": namespace}, "spec": spec})

        async def port() -> int | None:
            service = await kube.get(SERVICES, "front", namespace=namespace)
            ingress = service["status"]["loadBalancer"].get("ingress")
            return int(ingress[0]["ports"][0]["port"]) if ingress else None

        before = await until(port)
    node.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", before), timeout=5)
    start_node()

    async def listens() -> bool:
        try:
            socket.create_connection(("127.0.0.1", before), timeout=5).close()
        except ConnectionRefusedError:
            return False
        except ConnectionResetError:
            pass  # taken, and sent away: no pod is behind it
        return True

    await until(listens)
    assert await port() == before


async def test_a_node_that_cannot_read_its_network_says_which_file(
    control_plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "network.json"
    broken.write_text("{}")
    monkeypatch.setattr(control_plane, "network_file", broken)
    with pytest.raises(StartError, match=r"network\.json"):
        Node.start(control_plane, {}, directory=tmp_path / "node")
