"""Deployments, ClusterIPs, probes and roll-outs on the real control plane."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Any

import aiohttp

from talkdesk_kube.resources import DEPLOYMENTS, ENDPOINT_SLICES, PERSISTENT_VOLUME_CLAIMS, PODS, SERVICES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from talkdesk_kube import Kube
    from talkdesk_sandbox.node import Node

Obj = dict[str, Any]


async def make(kube: Kube, objects: list[Obj]) -> None:
    resources = {"Deployment": DEPLOYMENTS, "Service": SERVICES, "Pod": PODS}
    for obj in objects:
        await kube.create(resources[obj["kind"]], obj)


async def available(kube: Kube, namespace: str) -> bool:
    deployment = await kube.get(DEPLOYMENTS, "demo", namespace=namespace)
    status, wanted = deployment.get("status") or {}, deployment["spec"]["replicas"]
    current = status.get("observedGeneration") == deployment["metadata"]["generation"]
    return bool(
        current
        and status.get("updatedReplicas")
        == status.get("availableReplicas")
        == wanted
        == status.get("replicas")
    )


async def url(kube: Kube, namespace: str) -> str:
    service = await kube.get(SERVICES, "demo", namespace=namespace)
    return f"http://{service['spec']['clusterIP']}:8080"


async def refused(address: str) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(address):
            return False
    except aiohttp.ClientConnectorError:
        return True


async def answers(address: str) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(address):
            return True
    except aiohttp.ClientError:  # also reset, while the pod's server does not listen yet
        return False


async def ready_addresses(kube: Kube, namespace: str) -> set[str]:
    slices = (await kube.list(ENDPOINT_SLICES, namespace=namespace)).items
    return {
        address
        for one in slices
        for endpoint in one.get("endpoints") or []
        if endpoint["conditions"].get("ready")
        for address in endpoint["addresses"]
    }


async def test_a_deployment_becomes_available_and_answers_at_its_cluster_ip(
    kube: Kube, place: str, until: Any, demo_deployment: Callable[..., list[Obj]]
) -> None:
    await make(kube, demo_deployment(place, replicas=2))

    await until(lambda: available(kube, place))
    address = await url(kube, place)
    await until(lambda: answers(address))

    async with aiohttp.ClientSession() as session, session.get(address) as answer:
        assert answer.status == 200
        assert "Hello" in await answer.text()
    pods = (await kube.list(PODS, namespace=place)).items
    assert len({pod["status"]["podIP"] for pod in pods}) == 2
    assert all(pod["status"]["podIP"].startswith("10.77.") for pod in pods)


async def test_a_cluster_ip_refuses_once_the_service_is_gone(
    kube: Kube, place: str, until: Any, demo_deployment: Callable[..., list[Obj]]
) -> None:
    await make(kube, demo_deployment(place))
    await until(lambda: available(kube, place))
    address = await url(kube, place)
    await until(lambda: answers(address))

    await kube.delete(SERVICES, "demo", namespace=place)

    await until(lambda: refused(address))


async def test_a_failing_readiness_probe_takes_the_pod_out_of_the_endpoints(
    *,
    kube: Kube,
    node: Node,
    place: str,
    until: Any,
    pod_of: Callable[..., Awaitable[Obj]],
    demo_deployment: Callable[..., list[Obj]],
) -> None:
    probe = {"exec": {"command": ["test", "-e", "/flags/ready"]}, "periodSeconds": 1, "failureThreshold": 1}
    deployment, service = demo_deployment(
        place, readinessProbe=probe, volumeMounts=[{"name": "flags", "mountPath": "/flags"}]
    )
    deployment["spec"]["template"]["spec"]["volumes"] = [{"name": "flags", "emptyDir": {}}]
    await make(kube, [deployment, service])
    pod = await until(lambda: pod_of(place))
    flag = node.directory / "pods" / pod["metadata"]["uid"] / "volumes" / "flags" / "ready"
    address = await url(kube, place)

    async def mounted() -> bool:
        return flag.parent.is_dir()

    await until(mounted)
    assert await refused(address)
    flag.touch()
    assert await until(lambda: ready_addresses(kube, place))
    await until(lambda: answers(address))
    flag.unlink()
    await until(lambda: refused(address))
    assert not await ready_addresses(kube, place)
    assert (await pod_of(place))["status"]["containerStatuses"][0]["restartCount"] == 0


async def test_a_killed_process_is_started_again_and_then_has_to_wait(
    kube: Kube,
    place: str,
    until: Any,
    pod_of: Callable[..., Awaitable[Obj]],
    demo_deployment: Callable[..., list[Obj]],
) -> None:
    await make(kube, demo_deployment(place))

    async def running(restarts: int) -> Obj | None:
        pod = await pod_of(place)
        for one in ((pod or {}).get("status") or {}).get("containerStatuses") or []:
            if one["restartCount"] == restarts and one["ready"]:
                return one
        return None

    async def backing_off() -> Obj | None:
        one = (await pod_of(place))["status"]["containerStatuses"][0]
        return one if (one["state"].get("waiting") or {}).get("reason") == "CrashLoopBackOff" else None

    first = await until(lambda: running(0))
    os.kill(_pid(first), signal.SIGKILL)
    second = await until(lambda: running(1))
    assert second["lastState"]["terminated"]["exitCode"] == 137
    os.kill(_pid(second), signal.SIGKILL)
    waiting = await until(backing_off)
    assert "back-off" in waiting["state"]["waiting"]["message"]
    third = await until(lambda: running(2))
    assert _pid(third) not in {_pid(first), _pid(second)}


def _pid(container: Obj) -> int:
    return int(container["containerID"].removeprefix("process://").partition("-")[0])


async def test_a_failing_liveness_probe_restarts_the_container(
    kube: Kube, place: str, until: Any, pod_of: Callable[..., Awaitable[Obj]], shell_pod: Callable[..., Obj]
) -> None:
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}
    await make(kube, [shell_pod(place, "ill", "exec sleep 1000", livenessProbe=probe)])

    async def restarted() -> bool:
        statuses = (await pod_of(place))["status"].get("containerStatuses") or []
        return bool(statuses and statuses[0]["restartCount"] >= 1)

    await until(restarted)


async def test_a_startup_probe_holds_the_others_back(
    *,
    kube: Kube,
    node: Node,
    place: str,
    until: Any,
    pod_of: Callable[..., Awaitable[Obj]],
    shell_pod: Callable[..., Obj],
) -> None:
    pod = shell_pod(
        place,
        "slow",
        "exec sleep 1000",
        startupProbe={
            "exec": {"command": ["test", "-e", "/flags/up"]},
            "periodSeconds": 1,
            "failureThreshold": 100,
        },
        livenessProbe={
            "exec": {"command": ["test", "-e", "/flags/up"]},
            "periodSeconds": 1,
            "failureThreshold": 1,
        },
        volumeMounts=[{"name": "flags", "mountPath": "/flags"}],
        spec={"volumes": [{"name": "flags", "emptyDir": {}}]},
    )
    await make(kube, [pod])

    async def status() -> Obj | None:
        statuses = (await pod_of(place))["status"].get("containerStatuses") or []
        return statuses[0] if statuses and "running" in statuses[0]["state"] else None

    async def started() -> bool:
        found = await status()
        return bool(found and found["started"] and found["ready"])

    held = await until(status)
    assert not held["started"]
    assert not held["ready"]
    uid = (await pod_of(place))["metadata"]["uid"]
    (node.directory / "pods" / uid / "volumes" / "flags" / "up").touch()
    await until(started)
    assert (await status() or {})["restartCount"] == 0


async def test_a_rolling_update_loses_no_request(
    kube: Kube, place: str, until: Any, demo_deployment: Callable[..., list[Obj]]
) -> None:
    await make(kube, demo_deployment(place, replicas=2, env=[{"name": "DRAIN_SECONDS", "value": "1"}]))
    await until(lambda: available(kube, place))
    address = await url(kube, place)
    await until(lambda: answers(address))
    over = asyncio.Event()

    async def ask() -> list[int]:
        seen = []
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
            while not over.is_set():
                async with session.get(address) as answer:
                    seen.append(answer.status)
                await asyncio.sleep(0.02)
        return seen

    asking = [asyncio.create_task(ask()) for _ in range(2)]
    template = {"metadata": {"annotations": {"rolled": "once"}}}
    await kube.merge_patch(DEPLOYMENTS, "demo", {"spec": {"template": template}}, namespace=place)
    await until(lambda: available(kube, place), seconds=40)
    over.set()

    seen = [status for statuses in await asyncio.gather(*asking) for status in statuses]
    assert len(seen) > 20
    assert set(seen) == {200}


async def test_a_deleted_pod_gets_its_pre_stop_hook_and_its_grace(
    *,
    kube: Kube,
    node: Node,
    place: str,
    until: Any,
    pod_of: Callable[..., Awaitable[Obj]],
    shell_pod: Callable[..., Obj],
) -> None:
    script = "trap 'echo told >> /data/log; exit 0' TERM; echo up >> /data/log; while :; do sleep 0.05; done"
    pod = shell_pod(
        place,
        "polite",
        script,
        lifecycle={"preStop": {"exec": {"command": ["sh", "-c", "echo hook >> /data/log"]}}},
        volumeMounts=[{"name": "data", "mountPath": "/data"}],
        spec={
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
            "terminationGracePeriodSeconds": 10,
        },
    )
    await claim(kube, place)
    await make(kube, [pod])

    async def log() -> str:
        found = list((node.directory / "claims").glob("*/log"))
        return found[0].read_text() if found else ""

    await until(log)
    await kube.delete(PODS, "polite", namespace=place)

    async def gone() -> bool:
        return await pod_of(place) is None

    await until(gone)
    assert (await log()).split() == ["up", "hook", "told"]


async def claim(kube: Kube, namespace: str) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    obj = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": namespace},
        "spec": spec,
    }
    await kube.create(PERSISTENT_VOLUME_CLAIMS, obj)


async def test_a_gated_pod_is_not_bound_until_the_gate_is_open(
    kube: Kube, place: str, until: Any, shell_pod: Callable[..., Obj]
) -> None:
    await make(
        kube,
        [
            shell_pod(
                place, "gated", "exec sleep 1000", spec={"schedulingGates": [{"name": "example.com/wait"}]}
            )
        ],
    )
    await make(kube, [shell_pod(place, "free", "exec sleep 1000")])

    async def bound(name: str) -> bool:
        return bool((await kube.get(PODS, name, namespace=place))["spec"].get("nodeName"))

    await until(lambda: bound("free"))
    assert not await bound("gated")
    await kube.merge_patch(PODS, "gated", {"spec": {"schedulingGates": []}}, namespace=place)
    await until(lambda: bound("gated"))


async def test_a_pod_that_was_removed_by_force_leaves_no_process(
    kube: Kube, place: str, until: Any, pod_of: Callable[..., Awaitable[Obj]], shell_pod: Callable[..., Obj]
) -> None:
    await make(kube, [shell_pod(place, "stubborn", "trap '' TERM; while :; do sleep 0.05; done")])

    async def running() -> Obj | None:
        statuses = ((await pod_of(place)) or {}).get("status", {}).get("containerStatuses") or []
        return statuses[0] if statuses and "running" in statuses[0]["state"] else None

    pid = _pid(await until(running))
    await kube.delete(PODS, "stubborn", namespace=place, grace_seconds=0)

    async def ended() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    await until(ended)
