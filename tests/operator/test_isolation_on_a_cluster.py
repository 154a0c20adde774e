"""What holds a tenant in its place, tried as the tenant would: pods, tokens, quota, labels, network."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from talkdesk_crds.names import ACCOUNT_LABEL, MANAGED_LABEL, TENANT_LABEL
from talkdesk_kube import Forbidden, Kube, KubeSettings, resources
from talkdesk_sandbox import flows
from talkdesk_sandbox.flows import Flow, Peer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    World = Any

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECURE = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
QUOTA = {"requests.cpu": "2", "requests.memory": "4Gi", "pods": "3"}
PARTS = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "parts"},
    "spec": {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [{"podSelector": {}}]}],
        "egress": [{"to": [{"podSelector": {}}]}],
    },
}


@dataclass
class Neighbours:
    """Two tenants of one app, and somebody who may edit everything inside the first."""

    first: str
    second: str
    installed: Any
    insider: Kube


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def neighbours(world: World) -> AsyncIterator[Neighbours]:
    await world.declare(defaultPlan={"quota": QUOTA}, egress=[{"cidr": "192.0.2.0/24", "ports": [443]}])
    installed, other = await world.install(), await world.install()
    for one in (installed, other):
        await world.approved(one)
    first, second = await world.tenant(installed), await world.tenant(other)
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "insider", "namespace": first},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "tenant", "namespace": first}],
    }
    await world.kube.create(resources.ROLE_BINDINGS, binding)
    kubeconfig = KubeSettings(kubeconfig=world.plane.kubeconfig_for("tenant", first))
    async with await Kube.connect(kubeconfig, user_agent="insider") as insider:
        yield Neighbours(first, second, installed, insider)


def pod(namespace: str, name: str, *, container: Any = None, **spec: Any) -> dict[str, Any]:
    """A pod that Pod Security restricted admits, but for what is said here."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{"name": "main", "image": "any", "securityContext": SECURE, **(container or {})}],
            **spec,
        },
    }


UNSAFE = {
    "privileged": {"container": {"securityContext": {"privileged": True}}},
    "as root": {"securityContext": {"runAsUser": 0, "seccompProfile": {"type": "RuntimeDefault"}}},
    "of the host's network": {"hostNetwork": True},
    "of the host's processes": {"hostPID": True},
    "with the host's files": {"volumes": [{"name": "host", "hostPath": {"path": "/"}}]},
    "that gains privileges": {"container": {"securityContext": {"capabilities": {"drop": ["ALL"]}}}},
    "with capabilities": {
        "container": {"securityContext": SECURE | {"capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]}}}
    },
    "without seccomp": {"securityContext": {"runAsNonRoot": True}},
}


@pytest.mark.parametrize("how", UNSAFE)
async def test_a_pod_that_is_not_restricted_is_refused(neighbours: Neighbours, how: str) -> None:
    unsafe = pod(neighbours.first, "unsafe", **UNSAFE[how])
    with pytest.raises(Forbidden, match='violates PodSecurity "restricted:v1'):
        await neighbours.insider.create(resources.PODS, unsafe)


async def test_quota_and_limits_hold(world: World, neighbours: Neighbours) -> None:
    insider, tenant = neighbours.insider, neighbours.first
    greedy = {"container": {"resources": {"requests": {"cpu": "3"}, "limits": {"cpu": "3"}}}}
    with pytest.raises(Forbidden, match="exceeded quota"):
        await insider.create(resources.PODS, pod(tenant, "greedy", **greedy))
    made: list[Any] = []

    async def fill() -> None:
        for number in range(4):
            made.append(await insider.create(resources.PODS, pod(tenant, f"one-{number}")))  # noqa: PERF401 - it ends early

    with pytest.raises(Forbidden, match=r"exceeded quota.*pods=1"):
        await fill()
    assert made
    asked = made[0]["spec"]["containers"][0]["resources"]
    assert asked == {
        "limits": {"cpu": "1", "memory": "512Mi"},
        "requests": {"cpu": "50m", "memory": "64Mi"},
    }
    for one in made:
        await world.kube.delete(resources.PODS, one["metadata"]["name"], namespace=tenant, grace_seconds=0)


@pytest.mark.parametrize("account", ["tenant", "default"])
async def test_no_pod_has_a_token_mounted(world: World, neighbours: Neighbours, account: str) -> None:
    plain = pod(neighbours.second, f"with-{account}", serviceAccountName=account)
    made = await world.kube.create(resources.PODS, plain)
    await world.kube.delete(
        resources.PODS, plain["metadata"]["name"], namespace=neighbours.second, grace_seconds=0
    )
    assert made["spec"].get("volumes", []) == []
    assert made["spec"]["containers"][0].get("volumeMounts", []) == []


async def test_an_insider_reaches_nothing_outside_its_tenant(world: World, neighbours: Neighbours) -> None:
    insider, own = neighbours.insider, world.release.namespace
    await insider.list(resources.CONFIG_MAPS, namespace=neighbours.first)
    for namespace in (neighbours.second, own, world.release.credentials_namespace, "default", "kube-system"):
        thing = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": namespace}}
        with pytest.raises(Forbidden):
            await insider.create(resources.CONFIG_MAPS, thing)
        for kind in (resources.SECRETS, resources.CONFIG_MAPS, resources.PODS):
            with pytest.raises(Forbidden):
                await insider.list(kind, namespace=namespace)
    for kind in (resources.INSTALLATIONS, resources.USER_SLICES):
        with pytest.raises(Forbidden):
            await insider.list(kind, namespace=own)


async def test_an_insider_cannot_relabel_namespaces(neighbours: Neighbours) -> None:
    labels = {
        "pod-security.kubernetes.io/enforce": "privileged",
        ACCOUNT_LABEL: "another",
        TENANT_LABEL: None,
    }
    for namespace in (neighbours.first, neighbours.second):
        for label, value in labels.items():
            with pytest.raises(Forbidden):
                await neighbours.insider.merge_patch(
                    resources.NAMESPACES, namespace, {"metadata": {"labels": {label: value}}}
                )
    with pytest.raises(Forbidden):
        await neighbours.insider.create(
            resources.NAMESPACES,
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": "mine", "labels": {TENANT_LABEL: "x"}},
            },
        )


async def _living_tenants(world: World) -> set[str]:
    """Uids of the tenants' namespaces; those that other tests left behind go in their own time."""
    found = await world.kube.list(resources.NAMESPACES, labels=TENANT_LABEL)
    return {one["metadata"]["uid"] for one in found.items if "deletionTimestamp" not in one["metadata"]}


async def test_what_an_insider_labels_as_the_products_changes_no_other_tenant(
    world: World, neighbours: Neighbours, eventually: Any
) -> None:
    own = world.release.namespace
    other = await world.kube.get(resources.CONFIG_MAPS, f"inventory-{neighbours.second}", namespace=own)
    forged = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": other["metadata"]["name"],
            "namespace": neighbours.first,
            "labels": {
                **other["metadata"]["labels"],
                MANAGED_LABEL: other["metadata"]["labels"][MANAGED_LABEL],
            },
        },
        "data": {
            "objects.json": "[]",
            "facts.json": other["data"]["facts.json"].replace("account", "forged"),
        },
    }
    await neighbours.insider.apply(forged, field_manager="talkdesk-operator")
    before = await _living_tenants(world)
    world.operators[0].kill()
    await eventually(world.restarted)

    async def looked() -> bool:
        return bool(await world.passes() >= 2)

    await eventually(looked)
    assert await _living_tenants(world) == before
    now = await world.kube.get(resources.CONFIG_MAPS, f"inventory-{neighbours.second}", namespace=own)
    # Its own news may have been written meanwhile, but nothing that was forged.
    assert "forged" not in now["data"]["facts.json"]
    assert {one["kind"] for one in json.loads(now["data"]["objects.json"])} >= {"Namespace", "Deployment"}
    kept = await world.kube.get(resources.CONFIG_MAPS, forged["metadata"]["name"], namespace=neighbours.first)
    assert kept["data"] == forged["data"]


async def test_a_template_that_wants_a_token_is_refused_with_its_path(world: World) -> None:
    pods = pod("", "x")["spec"] | {"automountServiceAccountToken": True}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {"spec": pods}},
    }
    before = world.app, world.app_id
    await world.declare(template=[deployment])
    installed = await world.install()
    told = await world.condition(installed, "TenantReady", "False", "TemplateInvalid")
    world.app, world.app_id = before
    assert told["message"].startswith("spec.template[0].spec.template.spec.automountServiceAccountToken: ")


@pytest.fixture(scope="module")
def evaluator() -> Path:
    """Somebody else's reading of the specification; the first use on a machine builds it."""
    return flows.evaluator()


async def policies(world: World) -> list[dict[str, Any]]:
    """Every NetworkPolicy of the cluster, as the API server has it."""
    return list((await world.kube.list(resources.NETWORK_POLICIES)).items)


class Cluster:
    """Peers by name, with the labels that the API server shows."""

    def __init__(self, world: World, neighbours: Neighbours, labels: dict[str, dict[str, str]]) -> None:
        self._own = world.release.namespace
        self._release = world.release.name
        self._labels = labels
        self._neighbours = neighbours
        self._next = 1

    def pod(self, namespace: str, **labels: str) -> Peer:
        self._next += 1
        return Peer(f"10.77.0.{self._next}", namespace, self._labels.get(namespace, {}), labels)

    def of_release(self, component: str, *, namespace: str = "", release: str = "") -> Peer:
        selector = {
            "app.kubernetes.io/name": "talkdesk-operator",
            "app.kubernetes.io/instance": release or self._release,
            "app.kubernetes.io/component": component,
        }
        return self.pod(namespace or self._own, **selector)

    @property
    def tenant(self) -> Peer:
        return self.pod(self._neighbours.first, app="demo")

    @property
    def part(self) -> Peer:
        return self.pod(self._neighbours.first, app="worker")

    @property
    def neighbour(self) -> Peer:
        return self.pod(self._neighbours.second, app="demo")

    def table(self) -> list[tuple[str, bool, Flow]]:
        """(what, allowed, flow): what the product promises."""
        to, out = self.tenant, self.tenant
        dns = self.pod("kube-system", **{"k8s-app": "kube-dns"})
        gateway = self.of_release("gateway")
        return [
            ("Envoy brings users", True, Flow(self.of_release("envoy"), to, 8080)),
            ("the gateway brings WebSockets", True, Flow(gateway, to, 8080)),
            ("the operator probes", True, Flow(self.of_release("operator"), to, 8080)),
            ("the webhook has no business there", False, Flow(self.of_release("webhook"), to, 8080)),
            ("another release's Envoy", False, Flow(self.of_release("envoy", release="other"), to, 8080)),
            ("what calls itself Envoy in default", False,
             Flow(self.of_release("envoy", namespace="default"), to, 8080)),
            ("a neighbour that calls itself Envoy", False,
             Flow(self.of_release("envoy", namespace=self._neighbours.second), to, 8080)),
            ("a neighbour", False, Flow(self.neighbour, to, 8080)),
            ("another part of the same tenant", False, Flow(self.part, to, 8080)),
            ("a pod of kube-system", False, Flow(self.pod("kube-system", app="x"), to, 8080)),
            ("the internet, past Envoy", False, Flow(Peer("203.0.113.9"), to, 8080)),
            ("names are looked up", True, Flow(out, dns, 53, protocol="UDP")),
            ("names are looked up by TCP", True, Flow(out, dns, 53)),
            ("DNS pods on another port", False, Flow(out, dns, 9153)),
            ("what calls itself DNS elsewhere", False,
             Flow(out, self.pod("default", **{"k8s-app": "kube-dns"}), 53, protocol="UDP")),
            ("the gateway's keys", True, Flow(out, gateway, 8443, "jwks")),
            ("the gateway's other ports", False, Flow(out, gateway, 9090, "metrics")),
            ("Envoy, from inside", False, Flow(out, self.of_release("envoy"), 8080)),
            ("the operator, from inside", False, Flow(out, self.of_release("operator"), 9090, "metrics")),
            ("the webhook, from inside", False, Flow(out, self.of_release("webhook"), 8080)),
            ("what the app declares", True, Flow(out, Peer("192.0.2.7"), 443)),
            ("on a port that it does not declare", False, Flow(out, Peer("192.0.2.7"), 80)),
            ("any other address", False, Flow(out, Peer("198.51.100.1"), 443)),
            ("cloud metadata", False, Flow(out, Peer("169.254.169.254"), 80)),
            ("the API server's address", False, Flow(out, Peer("10.77.255.1"), 6443)),
            ("a neighbour, from inside", False, Flow(out, self.neighbour, 8080)),
            ("a pod of default, from inside", False, Flow(out, self.pod("default", app="x"), 80)),
        ]  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(world: World, neighbours: Neighbours) -> Cluster:
    found = (await world.kube.list(resources.NAMESPACES)).items
    return Cluster(world, neighbours, {one["metadata"]["name"]: one["metadata"]["labels"] for one in found})


async def test_the_network_lets_through_what_the_table_says_and_nothing_else(
    world: World, cluster: Cluster, evaluator: Path
) -> None:
    table = cluster.table()
    answers = flows.allowed(await policies(world), [flow for _, _, flow in table], program=evaluator)
    wrong = [what for (what, expected, _), found in zip(table, answers, strict=True) if found != expected]
    assert wrong == []


async def test_the_table_of_flows_would_show_a_missing_policy(cluster: Cluster, evaluator: Path) -> None:
    answers = flows.allowed([], [flow for _, _, flow in cluster.table()], program=evaluator)
    assert all(answers)


async def test_parts_of_a_tenant_reach_each_other_where_the_template_says_so(
    world: World, neighbours: Neighbours, cluster: Cluster, evaluator: Path, eventually: Any
) -> None:
    own = world.release.namespace
    app = await world.kube.get(resources.APPS, world.app, namespace=own)
    template = app["spec"]["template"]
    await world.kube.merge_patch(
        resources.APPS, world.app, {"spec": {"template": [*template, PARTS]}}, namespace=own
    )

    async def applied() -> Any:
        for tenant in (neighbours.first, neighbours.second):
            await world.kube.get(resources.NETWORK_POLICIES, "parts", namespace=tenant)
        return True

    await eventually(applied)
    table = [
        (True, Flow(cluster.part, cluster.tenant, 8080)),
        (True, Flow(cluster.tenant, cluster.part, 5432)),
        (False, Flow(cluster.neighbour, cluster.tenant, 8080)),
        (False, Flow(cluster.tenant, cluster.neighbour, 5432)),
    ]
    answers = flows.allowed(await policies(world), [flow for _, flow in table], program=evaluator)
    assert answers == [expected for expected, _ in table]
