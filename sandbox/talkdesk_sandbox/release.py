"""A release of the product's chart on a control plane, and what its processes are told.

The sandbox installs it whole, with pods; tests may install it without (no replicas) and run a process
themselves: still under the chart's own service accounts, roles and admission policies.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import yaml

from talkdesk_crds.names import TENANT_LABEL, release_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from talkdesk_sandbox.controlplane import ControlPlane


def chart() -> Path:
    """The product's chart: in the checkout, or as packed into the wheel."""
    packed = Path(str(files("talkdesk_sandbox"))) / "_chart"
    return packed if packed.is_dir() else Path(__file__).parents[2] / "charts" / "talkdesk-operator"


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``over`` laid over ``base``, as helm lays one values file over another."""
    result = dict(base)
    for key, value in over.items():
        known = result.get(key)
        result[key] = merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return result


def of_each(*, replicas: int) -> dict[str, Any]:
    """Values for so many of each component."""
    return {component: {"replicas": replicas} for component in ("webhook", "operator", "gateway", "envoy")}


#: Values of a release whose processes a test runs itself; the CRDs are there already.
WITHOUT_PODS: dict[str, Any] = {"crds": {"install": False}, **of_each(replicas=0)}


#: What a release is called, if nobody says otherwise.
RELEASE = "td"


@dataclass
class ReleaseNames:
    """What a release ``name`` in ``namespace`` calls its own."""

    namespace: str
    name: str = RELEASE

    @property
    def credentials_namespace(self) -> str:
        """Where the installations' Secrets are, by the chart's default."""
        return f"{self.namespace}-{self.name}-credentials"

    @property
    def tenant_cluster_role(self) -> str:
        """The ClusterRole that the operator binds in every tenant."""
        return f"{self.namespace}-{self.name}-tenant"


class Release(ReleaseNames):
    """A release on a control plane; ``values`` are those it was last installed with."""

    def __init__(
        self,
        control_plane: ControlPlane,
        namespace: str,
        name: str = RELEASE,
        values: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(namespace, name)
        self.control_plane = control_plane
        self.values = values or {}

    def install(self, values: Mapping[str, Any]) -> None:
        """``helm upgrade --install --wait`` with ``values`` over the earlier ones; whoever answers has them.

        Pods with the earlier values, which still answer over connections that are kept, end before this
        does. Raises CommandError with helm's words where it fails.

        Helm does not check manifests itself, a third of a second: the API server refuses the same fields when
        they are applied to it, and helm says so.
        """
        self.values = merged(self.values, values)
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(self.values, file)
            file.flush()
            self.control_plane.helm(
                "upgrade", self.name, str(chart()), "--install", "--create-namespace",
                "--namespace", self.namespace, "--values", file.name, "--wait", "--timeout", "120s",
                "--disable-openapi-validation",
            )  # fmt: skip
        if leaving := self.leaving():
            pods = [f"pod/{name}" for name in leaving]
            self.control_plane.kubectl(
                "wait", "--for=delete", *pods, "--namespace", self.namespace, "--timeout", "60s"
            )

    def leaving(self) -> list[str]:
        """The names of the release's pods that are to end and have not yet."""
        text = self.control_plane.kubectl(
            "get", "pods", "--namespace", self.namespace,
            "--selector", f"app.kubernetes.io/instance={self.name}", "--output", "json",
        )  # fmt: skip
        pods = [pod["metadata"] for pod in json.loads(text)["items"]]
        return [pod["name"] for pod in pods if "deletionTimestamp" in pod]

    def uninstall(self) -> None:
        """``helm uninstall``; CRDs and the credentials' namespace stay, as the chart says."""
        self.control_plane.helm("uninstall", self.name, "--namespace", self.namespace, "--wait")

    def forget(self) -> None:
        """Delete tenants that would go on running after an uninstallation; that is not waited for.

        What else outlives one on purpose (data, credentials) is gone with the control plane.
        """
        tenants = f"{TENANT_LABEL}={release_id(self.namespace, self.name)}"
        found = self.control_plane.request("GET", f"/api/v1/namespaces?labelSelector={quote(tenants)}")
        for tenant in found["items"]:
            self.control_plane.vacate(tenant["metadata"]["name"])

    def user(self, component: str) -> str:
        """The user name of a component's service account, as RBAC and the audit log have it."""
        return f"system:serviceaccount:{self.namespace}:{self.name}-{component}"

    def kubeconfig(self, component: str) -> Path:
        """A kubeconfig with the identity of the component's service account."""
        return self.control_plane.kubeconfig_for(f"{self.name}-{component}", self.namespace)

    def settings(self, component: str) -> dict[str, str]:
        """Environment variables for running ``component`` (webhook, operator) outside a pod.

        What depends on Talkdesk (gateways, proxy, CA) and on free ports is the caller's to add.
        """
        return {
            "TALKDESK_NAMESPACE": self.namespace,
            "TALKDESK_RELEASE": self.name,
            "TALKDESK_CREDENTIALS_NAMESPACE": self.credentials_namespace,
            "TALKDESK_KUBECONFIG": str(self.kubeconfig(component)),
            "TALKDESK_TENANT_CLUSTER_ROLE": self.tenant_cluster_role,
            "TALKDESK_BIND_ADDRESS": "127.0.0.1",
            "TALKDESK_METRICS_PORT": "0",
        }
