"""A node on the shared control plane, and what tests of pods need again and again."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from talkdesk_kube.resources import PODS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from talkdesk_kube import Kube
    from talkdesk_sandbox.controlplane import ControlPlane
    from talkdesk_sandbox.node import Node

Obj = dict[str, Any]

IMAGES = {
    "talkdesk-demo": [sys.executable, "-m", "talkdesk_sandbox.demo"],
    "shell": ["/bin/sh", "-c"],
}


class Until(Protocol):
    """Waits for an awaitable look to give something true, and gives that."""

    async def __call__(self, look: Callable[[], Awaitable[Any]], *, seconds: float = 20.0) -> Any: ...


@pytest.fixture(scope="session")
def images() -> dict[str, list[str]]:
    """The local commands of the tests' images."""
    return IMAGES


@pytest.fixture
def until() -> Until:
    """See the protocol; fails with the last thing seen."""

    async def wait(look: Callable[[], Awaitable[Any]], *, seconds: float = 20.0) -> Any:
        deadline = time.monotonic() + seconds
        while not (seen := await look()):
            assert time.monotonic() < deadline, f"still {seen!r} after {seconds:g} s"
            await asyncio.sleep(0.05)
        return seen

    return wait


@pytest.fixture(scope="module")
def node(control_plane: ControlPlane, images: dict[str, list[str]]) -> Iterator[Node]:
    """A node with a short back-off; it and its Node object go with the module."""
    from talkdesk_sandbox.node import Backoff, Node, Timings  # noqa: PLC0415 - unit tests do not pay for it

    timings = Timings(
        restart=Backoff(base=0.5, cap=2.0, reset=60.0), shutdown_grace=1.0, token_renewal=0.0005
    )
    with Node.start(control_plane, images, timings=timings) as running:
        yield running
        control_plane.kubectl("delete", "node", "sandbox", "--ignore-not-found")


@pytest.fixture
def place(control_plane: ControlPlane, node: Node, namespace: str) -> Iterator[str]:
    """A namespace whose pods are gone when the test is over, for nobody else could end them."""
    assert node.pid
    yield namespace
    control_plane.kubectl(
        "delete",
        "deployment,replicaset,job,pod",
        "--all",
        "--namespace",
        namespace,
        "--grace-period=1",
        "--wait",
    )


@pytest.fixture
def pod_of(kube: Kube) -> Callable[..., Awaitable[Obj | None]]:
    """``await pod_of(namespace, labels)``: the one pod that the selector finds, or None."""

    async def look(namespace: str, labels: str = "") -> Obj | None:
        found = (await kube.list(PODS, namespace=namespace, labels=labels)).items
        return found[0] if found else None

    return look


@pytest.fixture
def shell_pod() -> Callable[..., Obj]:
    """Makes a pod that runs a shell script; ``spec`` goes into the pod, the rest into the container."""

    def make(namespace: str, name: str, script: str, *, spec: Obj | None = None, **container: Any) -> Obj:
        main = {"name": "main", "image": "shell:1", "args": [script], **container}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [main], **(spec or {})},
        }

    return make


@pytest.fixture
def demo_deployment() -> Callable[..., list[Obj]]:
    """Makes Deployment and Service of the demo app."""

    def make(
        namespace: str, *, replicas: int = 1, env: list[Obj] | None = None, **container: Any
    ) -> list[Obj]:
        main: Obj = {
            "name": "demo",
            "image": "talkdesk-demo:1",
            "ports": [{"name": "http", "containerPort": 8080}],
            "env": [
                {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                *(env or []),
            ],
            "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 1},
            **container,
        }
        labels = {"app": "demo"}
        deployment = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "demo", "namespace": namespace},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [main]}},
            },
        }
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "demo", "namespace": namespace},
            "spec": {"selector": labels, "ports": [{"name": "http", "port": 8080, "targetPort": "http"}]},
        }
        return [deployment, service]

    return make
