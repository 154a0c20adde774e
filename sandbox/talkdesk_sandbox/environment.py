"""The sandbox, put together: control plane, node, Talkdesk stand-in, and the product by its own chart.

There is no second way of starting the product: what runs here are the pods that ``helm install`` made.
"""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import yaml

from talkdesk_sandbox.controlplane import ControlPlane
from talkdesk_sandbox.node import Node
from talkdesk_sandbox.release import Release
from talkdesk_sandbox.talkdesk import StandIn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

RELEASE = "td"
NAMESPACE = "talkdesk-system"
#: In the folder of a pod's service account the node keeps a kubeconfig beside the token.
POD_KUBECONFIG = "/var/run/secrets/kubernetes.io/serviceaccount/kubeconfig"

#: The image of the product and of the demo app, as local commands.
IMAGES: dict[str, list[str]] = {
    "talkdesk-operator": [sys.executable, "-m", "talkdesk_cli"],
    "talkdesk-demo": [sys.executable, "-m", "talkdesk_sandbox.demo"],
}


def demo_app(*, app_id: str, regions: Mapping[str, Mapping[str, str]], name: str = "demo") -> dict[str, Any]:
    """The TalkdeskApp ``name`` of the demo app; ``regions`` is the stand-in's table of hosts."""
    text = files("talkdesk_sandbox").joinpath("demo/app.yaml").read_text()
    app: dict[str, Any] = yaml.safe_load(text)
    app["metadata"].update({"name": name, "namespace": NAMESPACE})
    app["spec"]["appId"] = app_id
    app["spec"]["regions"] = {name: dict(hosts) for name, hosts in regions.items()}
    return app


@dataclass(frozen=True)
class Environment:
    """A running sandbox."""

    control_plane: ControlPlane
    node: Node
    stand_in: StandIn
    release: Release

    def events_url(self) -> str:
        """Where the webhook's Service answers."""
        address = self.control_plane.kubectl(
            "get", "service", f"{RELEASE}-webhook", "--namespace", NAMESPACE,
            "--output", "jsonpath=http://{.spec.clusterIP}:{.spec.ports[0].port}/events",
        )  # fmt: skip
        return address.strip()


def chart_values(stand_in: StandIn) -> dict[str, Any]:
    """The chart's values that lead its processes to the stand-in, and to their kubeconfig on the node."""
    return {
        "image": {"repository": "talkdesk-operator"},
        "kubeconfig": POD_KUBECONFIG,
        "webhook": {"gateways": [f"https://{hosts['api']}" for hosts in stand_in.regions.values()]},
        "egress": {"proxy": stand_in.proxy, "ca": stand_in.ca_file.read_text()},
        "operator": {"pendingResyncSeconds": 5},
    }


@contextlib.contextmanager
def running(
    *,
    tell: Callable[[str, float], None] = lambda _what, _seconds: None,
    switches: Mapping[str, Any] | None = None,
    images: Mapping[str, Sequence[str]] | None = None,
    values: Mapping[str, Any] | None = None,
) -> Iterator[Environment]:
    """A sandbox while the block runs; all its processes, ports and files are gone afterwards.

    :param tell: hears what came up, and the seconds it took.
    :param switches: name → value, for the stand-in.
    :param images: image name → command, over :data:`IMAGES`.
    :param values: chart values over the sandbox's own.
    """
    with contextlib.ExitStack() as stack:

        @contextlib.contextmanager
        def timed(what: str) -> Iterator[None]:
            began = time.monotonic()
            yield
            tell(what, time.monotonic() - began)

        with timed("control plane: etcd, kube-apiserver, kube-controller-manager"):
            control_plane = stack.enter_context(ControlPlane.start())
        with timed("Talkdesk stand-in: three regions, OAuth, Apps API, signed events"):
            stand_in = stack.enter_context(
                StandIn.start(control_plane.directory / "talkdesk", switches=switches)
            )
        with timed("node: runs pods as local processes"):
            node = stack.enter_context(Node.start(control_plane, {**IMAGES, **(images or {})}))
        with timed("helm install talkdesk-operator: 2 webhooks, 2 operators"):
            release = Release(control_plane, NAMESPACE, RELEASE, values=chart_values(stand_in))
            release.install(values or {})
        yield Environment(control_plane=control_plane, node=node, stand_in=stand_in, release=release)
