"""The sandbox, put together: control plane, node, Talkdesk stand-in, and the product by its own chart.

There is no second way of starting the product: what runs here are the pods that ``helm install`` made.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import yaml

from talkdesk_sandbox.controlplane import ControlPlane, ControlPlaneError
from talkdesk_sandbox.controlplane.errors import StartError
from talkdesk_sandbox.demo.website import website
from talkdesk_sandbox.edge import ADDRESS, Edge, launch_host
from talkdesk_sandbox.envoy import EnvoyError, program
from talkdesk_sandbox.node import Node
from talkdesk_sandbox.ports import free_port
from talkdesk_sandbox.release import RELEASE, Release
from talkdesk_sandbox.talkdesk import StandIn, StandInError
from talkdesk_sandbox.whereabouts import Whereabouts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from talkdesk_sandbox.node.launch import Declared
    from talkdesk_sandbox.partner.fitted import Place

#: What :func:`running` raises where a sandbox cannot come up, and :meth:`Environment.check` afterwards.
NOT_UP = (ControlPlaneError, StandInError, EnvoyError)
NAMESPACE = "talkdesk-system"
#: Where the mails of the sandbox's apps come from.
SENDER = "apps@demo.localhost"
#: In the folder of a pod's service account the node keeps a kubeconfig beside the token.
POD_KUBECONFIG = "/var/run/secrets/kubernetes.io/serviceaccount/kubeconfig"

#: The image of the product and of the demo app, as local commands.
IMAGES: dict[str, list[str]] = {
    "talkdesk-operator": [sys.executable, "-m", "talkdesk_cli"],
    "talkdesk-demo": [sys.executable, "-m", "talkdesk_sandbox.demo"],
}


def demo_app(
    *,
    app_id: str,
    regions: Mapping[str, Mapping[str, str]],
    name: str = "demo",
    edge: Edge | None = None,
    image: str | None = None,
) -> dict[str, Any]:
    """The TalkdeskApp ``name`` of the demo app; ``regions`` is the stand-in's table of hosts.

    ``image`` is one that stands in for the demo's own.

    Without ``edge`` nobody signs in: what the app has for its users (launch host, bar, keys, the volume that
    remembers them) is left out.
    """
    text = files("talkdesk_sandbox").joinpath("demo/app.yaml").read_text()
    app: dict[str, Any] = yaml.safe_load(text)
    app["metadata"].update({"name": name, "namespace": NAMESPACE})
    app["spec"]["appId"] = app_id
    app["spec"]["regions"] = {name: dict(hosts) for name, hosts in regions.items()}
    if image is not None:
        _container(app["spec"])["image"] = image
    if edge is None:
        _leave_users_out(app["spec"])
    else:
        app["spec"]["launchHost"] = launch_host(name)
        app["spec"]["bar"]["script"] = edge.bar
        app["spec"]["links"] = {name: f"{edge.website}/{name}" for name in app["spec"]["links"]}
        for variable in _container(app["spec"])["env"]:
            if variable["name"] == "JWKS_URL":
                variable["value"] = edge.jwks
    return app


def _container(spec: dict[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = spec["template"][0]["spec"]["template"]["spec"]["containers"][0]
    return container


def _leave_users_out(spec: dict[str, Any]) -> None:
    del spec["launchHost"], spec["bar"], spec["template"][0]["spec"]["strategy"]
    spec["template"] = [each for each in spec["template"] if each["kind"] != "PersistentVolumeClaim"]
    container, pod = _container(spec), spec["template"][0]["spec"]["template"]["spec"]
    container["env"] = [one for one in container["env"] if one["name"] not in {"JWKS_URL", "DATA_DIR"}]
    for mounts in (container["volumeMounts"], pod["volumes"]):
        mounts[:] = [one for one in mounts if one["name"] != "data"]


@dataclass(frozen=True)
class Environment:
    """A running sandbox."""

    control_plane: ControlPlane
    node: Node
    stand_in: StandIn
    release: Release
    edge: Edge

    def events_url(self) -> str:
        """Where the webhook's Service answers."""
        address = self.control_plane.kubectl(
            "get", "service", f"{RELEASE}-webhook", "--namespace", NAMESPACE,
            "--output", "jsonpath=http://{.spec.clusterIP}:{.spec.ports[0].port}/events",
        )  # fmt: skip
        return address.strip()

    def check(self) -> None:
        """Raise one of :data:`NOT_UP`, with the end of its log, where a part has ended by itself."""
        self.control_plane.check()
        self.node.check()
        self.stand_in.check()

    def whereabouts(self, place: Place | None = None) -> Whereabouts:
        """What other commands are told; ``place`` is that of a partner's app."""
        return Whereabouts(
            console=self.stand_in.console,
            control=self.stand_in.control,
            browser=self.stand_in.browser,
            kubeconfig=str(self.control_plane.kubeconfig),
            programs=str(self.control_plane.bin("kubectl").parent),
            place=place,
        )


def chart_values(stand_in: StandIn, *, port: int) -> dict[str, Any]:
    """The chart's values that lead its processes to the stand-in, and to their kubeconfig on the node.

    ``port`` is where browsers will reach Envoy.
    """
    return {
        "image": {"repository": "talkdesk-operator"},
        "kubeconfig": POD_KUBECONFIG,
        "webhook": {"gateways": [f"https://{hosts['api']}" for hosts in stand_in.regions.values()]},
        "egress": {"proxy": stand_in.proxy, "ca": stand_in.ca_file.read_text()},
        "operator": {"pendingResyncSeconds": 5},
        "smtp": {
            "host": stand_in.smtp_host,
            "port": stand_in.smtp_port,
            "tls": "none",
            "from": SENDER,
        },
        "public": {"scheme": "http", "port": port},
        # One thread is plenty here, and nobody waits for connections to end when the sandbox does.
        "envoy": {
            "service": {"type": "LoadBalancer", "port": port},
            "concurrency": 1,
            # There is no DNS here.
            "gatewayHosts": f"$({RELEASE.upper()}_GATEWAY_SERVICE_HOST)",
            "drainSeconds": 1,
        },
    }


def _edge(control_plane: ControlPlane, stand_in: StandIn, *, port: int, website: str) -> Edge:
    """What the release's Services came to. Raises StartError where the port was taken meanwhile."""

    def service(component: str) -> dict[str, Any]:
        text = control_plane.kubectl(
            "get", "service", f"{RELEASE}-{component}", "--namespace", NAMESPACE, "--output", "json"
        )
        found: dict[str, Any] = json.loads(text)
        return found

    ingress = service("envoy")["status"]["loadBalancer"].get("ingress") or [{}]
    reached = [(ingress[0].get("ip"), one["port"]) for one in ingress[0].get("ports") or []]
    if reached != [(ADDRESS, port)]:
        raise StartError(f"port {port} of {ADDRESS} was taken by somebody else meanwhile: try again")
    gateway = service("gateway")["spec"]["clusterIP"]
    return Edge(
        port=port,
        bar=f"{stand_in.browser}/bar.js",
        jwks=f"http://{gateway}:8083/jwks.json",
        website=website,
    )


@contextlib.contextmanager
def running(
    *,
    tell: Callable[[str, float], None] = lambda _what, _seconds: None,
    switches: Mapping[str, Any] | None = None,
    images: Mapping[str, Declared] | None = None,
    values: Mapping[str, Any] | None = None,
    cluster_in_console: bool = False,
) -> Iterator[Environment]:
    """A sandbox while the block runs; all its processes, ports and files are gone afterwards.

    :param tell: hears what came up, and the seconds it took.
    :param switches: name → value, for the stand-in.
    :param images: image name → the image, or its entry point alone; over :data:`IMAGES`.
    :param values: chart values over the sandbox's own.
    :param cluster_in_console: the stand-in's console watches the cluster, as its administrator.
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
                StandIn.start(
                    control_plane.directory / "talkdesk",
                    switches=switches,
                    kubeconfig=control_plane.kubeconfig if cluster_in_console else None,
                )
            )
        with timed("node: runs pods as local processes"):
            known = {**IMAGES, "envoyproxy/envoy": [str(program())], **(images or {})}
            node = stack.enter_context(Node.start(control_plane, known))
        with timed("helm install talkdesk-operator: webhook, operator, gateway, Envoy: 2 of each"):
            port = free_port()
            release = Release(control_plane, NAMESPACE, RELEASE, values=chart_values(stand_in, port=port))
            release.install(values or {})
            edge = _edge(control_plane, stand_in, port=port, website=stack.enter_context(website()))
        yield Environment(
            control_plane=control_plane, node=node, stand_in=stand_in, release=release, edge=edge
        )
