"""The chart, rendered and installed; and the API server as each of those who talk to it."""

from __future__ import annotations

import secrets
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from talkdesk_sandbox.controlplane import ControlPlane

CHART = Path(__file__).parents[2] / "charts" / "talkdesk-operator"
RESTORE_GROUP = "talkdesk-operator:restore"


@pytest.fixture(scope="session")
def chart() -> Path:
    """The chart's folder."""
    return CHART


@pytest.fixture(scope="session")
def render(control_plane: ControlPlane) -> Callable[..., list[dict[str, Any]]]:
    """``render("--set", "a=b", namespace=…, release=…)``: the chart's objects."""

    def rendered(*arguments: str, release: str = "td", namespace: str = "talkdesk-system") -> list[Any]:
        text = control_plane.helm("template", release, CHART, "--namespace", namespace, *arguments)
        # By libyaml: PyYAML's own reader takes seven times as long, a third of a second for the chart.
        return [obj for obj in yaml.load_all(text, Loader=yaml.CSafeLoader) if obj]

    return rendered


class Caller:
    """Somebody who talks to the API server. Each call returns (status code, message or reason)."""

    def __init__(self, client: httpx.Client, headers: list[tuple[str, str]]) -> None:
        self._client = client
        self._headers = headers

    def send(self, method: str, path: str, obj: Any = None, **params: str) -> tuple[int, str]:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = [*self._headers, ("Content-Type", kind)]
        found = self._client.request(method, path, json=obj, params=params, headers=headers)
        body = found.json() if found.headers["content-type"].startswith("application/json") else {}
        return found.status_code, body.get("message") or ""

    def review(self, spec: Any) -> tuple[int, dict[str, Any]]:
        """A SubjectAccessReview and its status."""
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        found = self._client.post(path, json=spec, headers=self._headers)
        return found.status_code, found.json().get("status", {})

    def create(self, path: str, obj: Any, **params: str) -> tuple[int, str]:
        return self.send("POST", path, obj, **params)

    def patch(self, path: str, patch: Any, **params: str) -> tuple[int, str]:
        return self.send("PATCH", path, patch, **params)

    def delete(self, path: str, **params: str) -> tuple[int, str]:
        return self.send("DELETE", path, **params)


@dataclass(frozen=True, kw_only=True)
class Release:
    """An installed release without pods; its service accounts act with the tokens that a pod would have."""

    name: str
    namespace: str
    webhook: Caller
    operator: Caller
    gateway: Caller
    person: Caller
    restorer: Caller
    stranger: Caller

    @property
    def cluster_name(self) -> str:
        return f"{self.namespace}-{self.name}"

    @property
    def credentials_namespace(self) -> str:
        return f"{self.cluster_name}-credentials"

    def service_account(self, component: str) -> str:
        return f"system:serviceaccount:{self.namespace}:{self.name}-{component}"


def _client(kubeconfig: Path) -> httpx.Client:
    config = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    context = ssl.create_default_context(cafile=cluster["certificate-authority"])
    headers = {}
    if "token" in user:
        headers["Authorization"] = f"Bearer {user['token']}"
    else:
        context.load_cert_chain(user["client-certificate"], user["client-key"])
    return httpx.Client(
        base_url=cluster["server"], verify=context, headers=headers, timeout=30, trust_env=False
    )


@pytest.fixture(scope="module")
def release(control_plane: ControlPlane) -> Iterator[Release]:
    """The chart under its own rights, with all its policies in force."""
    namespace = f"chart-{secrets.token_hex(4)}"
    arguments = (
        "--set",
        "crds.install=false,webhook.replicas=0,operator.replicas=0,gateway.replicas=0,envoy.replicas=0",
    )
    control_plane.helm("install", "td", CHART, "-n", namespace, "--create-namespace", *arguments)
    admin = _client(Path(control_plane.kubeconfig))
    clients = [
        _client(control_plane.kubeconfig_for(f"td-{component}", namespace))
        for component in ("webhook", "operator", "gateway")
    ]
    restorer = [("Impersonate-User", "restorer")]
    restorer += [("Impersonate-Group", group) for group in ("system:masters", RESTORE_GROUP)]
    try:
        yield Release(
            name="td",
            namespace=namespace,
            webhook=Caller(clients[0], []),
            operator=Caller(clients[1], []),
            gateway=Caller(clients[2], []),
            person=Caller(admin, []),
            restorer=Caller(admin, restorer),
            stranger=Caller(admin, [("Impersonate-User", "stranger")]),
        )
    finally:
        for client in (admin, *clients):
            client.close()
        control_plane.helm("uninstall", "td", "-n", namespace)
