"""Services of type LoadBalancer are reached from outside the cluster, at 127.0.0.1."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from talkdesk_kube.resources import DEPLOYMENTS, SERVICES
from talkdesk_sandbox import ports
from talkdesk_sandbox.node.load_balancers import is_ours, reported_ports, tcp_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from talkdesk_kube import Kube

Obj = dict[str, Any]


def service(*ports: int, reported: tuple[int, ...] = (), **spec: Any) -> Obj:
    status = [{"ip": "127.0.0.1", "ports": [{"port": port} for port in reported]}] if reported else []
    return {
        "spec": {"type": "LoadBalancer", "ports": [{"port": port} for port in ports], **spec},
        "status": {"loadBalancer": {"ingress": status}},
    }


def test_only_services_of_the_type_and_without_another_class_are_taken() -> None:
    assert is_ours(service(80))
    assert not is_ours(service(80, type="ClusterIP"))
    assert not is_ours(service(80, loadBalancerClass="example.com/cloud"))


def test_only_tcp_ports_are_served() -> None:
    assert tcp_ports({"spec": {"ports": [{"port": 1, "protocol": "UDP"}, {"port": 2}]}}) == [2]


def test_a_status_of_other_ports_is_not_believed() -> None:
    assert reported_ports(service(80, 443, reported=(8080, 8443))) == {80: 8080, 443: 8443}
    assert reported_ports(service(80, 443, reported=(8080,))) == {}
    assert reported_ports(service(80)) == {}
    assert reported_ports({"spec": {}}) == {}


@pytest.fixture
def free_port() -> int:
    """A port that was free a moment ago."""
    return ports.free_port()


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port on which somebody else listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


async def balanced(kube: Kube, namespace: str) -> int | None:
    """The port in the demo's status, once it has one."""
    found = await kube.get(SERVICES, "demo", namespace=namespace)
    ingress = found["status"]["loadBalancer"].get("ingress")
    if not ingress:
        return None
    assert ingress[0]["ip"] == "127.0.0.1"
    assert [set(port) for port in ingress[0]["ports"]] == [{"port", "protocol"}]
    return int(ingress[0]["ports"][0]["port"])


async def answers(port: int) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/") as answer:
            return answer.status == 200
    except aiohttp.ClientError:  # refused, or reset while no pod is ready
        return False


async def refused(port: int) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/"):
            return False
    except aiohttp.ClientConnectorError as error:
        # A reset may come before the client has seen that it is connected.
        return error.os_error.errno == errno.ECONNREFUSED
    except aiohttp.ClientError:
        return False


async def made(kube: Kube, objects: list[Obj], *, port: int) -> None:
    deployment, demo = objects
    demo["spec"].update({"type": "LoadBalancer", "ports": [{"port": port, "targetPort": "http"}]})
    await kube.create(DEPLOYMENTS, deployment)
    await kube.create(SERVICES, demo)


async def test_a_load_balancer_answers_at_its_own_port_and_is_gone_with_its_service(
    *, kube: Kube, place: str, until: Any, demo_deployment: Callable[..., list[Obj]], free_port: int
) -> None:
    await made(kube, demo_deployment(place), port=free_port)

    assert await until(lambda: balanced(kube, place)) == free_port
    await until(lambda: answers(free_port))
    await kube.delete(SERVICES, "demo", namespace=place)
    await until(lambda: refused(free_port))


async def test_a_load_balancer_whose_port_is_taken_gets_another_and_keeps_it_without_pods(
    *, kube: Kube, place: str, until: Any, demo_deployment: Callable[..., list[Obj]], taken_port: int
) -> None:
    await made(kube, demo_deployment(place), port=taken_port)

    port = await until(lambda: balanced(kube, place))
    assert port != taken_port
    await until(lambda: answers(port))

    async def reset() -> bool:
        return not await answers(port)

    await kube.merge_patch(DEPLOYMENTS, "demo", {"spec": {"replicas": 0}}, namespace=place)
    await until(reset)
    assert not await refused(port)
    await kube.merge_patch(DEPLOYMENTS, "demo", {"spec": {"replicas": 1}}, namespace=place)
    await until(lambda: answers(port))
    assert await balanced(kube, place) == port


async def test_a_service_that_is_no_load_balancer_any_more_is_not_reached_by_its_port(
    *, kube: Kube, place: str, until: Any, demo_deployment: Callable[..., list[Obj]], free_port: int
) -> None:
    await made(kube, demo_deployment(place), port=free_port)
    await until(lambda: answers(free_port))

    await kube.merge_patch(SERVICES, "demo", {"spec": {"type": "ClusterIP"}}, namespace=place)

    await until(lambda: refused(free_port))

    async def unreported() -> bool:
        return await balanced(kube, place) is None

    await until(unreported)
