"""Who reaches the pods of gateway and Envoy: the chart's NetworkPolicies, as somebody else reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from talkdesk_crds.names import TENANT_LABEL, release_id
from talkdesk_sandbox import flows
from talkdesk_sandbox.flows import Flow, Peer

if TYPE_CHECKING:
    from pathlib import Path

OWN = "talkdesk-system"


@pytest.fixture(scope="module")
def evaluator() -> Path:
    """The first use on a machine builds it."""
    return flows.evaluator()


def policies(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As the API server has them: in the release's namespace."""
    found = [obj for obj in objects if obj["kind"] == "NetworkPolicy"]
    for one in found:
        one["metadata"]["namespace"] = OWN
    return found


def of_release(component: str, *, namespace: str = OWN, release: str = "td") -> Peer:
    labels = {
        "app.kubernetes.io/name": "talkdesk-operator",
        "app.kubernetes.io/instance": release,
        "app.kubernetes.io/component": component,
    }
    return Peer("10.77.0.9", namespace, {"kubernetes.io/metadata.name": namespace}, labels)


def tenant(release: str = "td") -> Peer:
    labels = {TENANT_LABEL: release_id(OWN, release), "kubernetes.io/metadata.name": "td-1-2"}
    return Peer("10.77.0.8", "td-1-2", labels, {"app": "demo"})


STRANGER = Peer("10.77.0.7", "default", {"kubernetes.io/metadata.name": "default"}, {"app": "x"})
MONITOR = Peer(
    "10.77.0.6", "monitoring", {"kubernetes.io/metadata.name": "monitoring"}, {"app": "prometheus"}
)
INTERNET = Peer("203.0.113.9")
OWN_PROXY = Peer("10.77.0.5", "edge", {"kubernetes.io/metadata.name": "edge"}, {"app": "proxy"})

ASKED = {"web": 8080, "decision": 8081, "relay": 8082}
TABLE: list[tuple[str, bool, Flow]] = [
    *(
        (f"{who} at the gateway's {name}", who == "Envoy", Flow(peer, of_release("gateway"), port, name))
        for name, port in ASKED.items()
        for who, peer in {
            "Envoy": of_release("envoy"),
            "another release's Envoy": of_release("envoy", release="other"),
            "what calls itself Envoy in default": of_release("envoy", namespace="default"),
            "a tenant": tenant(),
            "the webhook": of_release("webhook"),
            "a stranger": STRANGER,
            "the internet": INTERNET,
        }.items()
    ),
    ("a tenant reads the keys", True, Flow(tenant(), of_release("gateway"), 8083, "jwks")),
    ("another release's tenant", False, Flow(tenant("other"), of_release("gateway"), 8083, "jwks")),
    ("a stranger", False, Flow(STRANGER, of_release("gateway"), 8083, "jwks")),
    ("the internet comes to Envoy", True, Flow(INTERNET, of_release("envoy"), 8080, "http")),
    ("an ingress comes to Envoy", True, Flow(STRANGER, of_release("envoy"), 8080, "http")),
    *(
        (f"{who} drains Envoy", False, Flow(peer, of_release("envoy"), 9091, "drain"))
        for who, peer in {"a tenant": tenant(), "a stranger": STRANGER, "we": of_release("gateway")}.items()
    ),
    ("metrics of Envoy", True, Flow(MONITOR, of_release("envoy"), 9090, "metrics")),
    ("metrics of the gateway", True, Flow(MONITOR, of_release("gateway"), 9090, "metrics")),
    ("the webhook is nobody's business here", True, Flow(INTERNET, of_release("webhook"), 8080, "http")),
]  # fmt: skip


def wrong(found: list[dict[str, Any]], table: list[tuple[str, bool, Flow]], evaluator: Path) -> list[str]:
    answers = flows.allowed(found, [flow for _, _, flow in table], program=evaluator)
    return [what for (what, expected, _), got in zip(table, answers, strict=True) if got != expected]


def test_gateway_and_envoy_are_reached_by_those_alone_who_have_business_there(
    render: Any, evaluator: Path
) -> None:
    found = policies(render())
    assert {one["metadata"]["name"] for one in found} == {"td-gateway", "td-envoy"}
    assert wrong(found, TABLE, evaluator) == []


def test_metrics_are_for_those_whom_the_values_name(render: Any, evaluator: Path) -> None:
    peer = '[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"monitoring"}}}]'
    found = policies(render("--set-json", f"networkPolicy.metricsFrom={peer}"))
    table = [
        (f"{who} at {component}", who == "the monitor", Flow(peer, of_release(component), 9090, "metrics"))
        for component in ("gateway", "envoy")
        for who, peer in {"the monitor": MONITOR, "a tenant": tenant(), "a stranger": STRANGER}.items()
    ]
    assert wrong(found, table, evaluator) == []


def test_an_envoy_of_ones_own_may_ask_the_gateway_where_the_values_name_it(
    render: Any, evaluator: Path
) -> None:
    peer = '[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"edge"}}}]'
    arguments = ("--set", "envoy.enabled=false", "--set-json", f"networkPolicy.gatewayFrom={peer}")
    found = policies(render(*arguments))
    assert {one["metadata"]["name"] for one in found} == {"td-gateway"}
    table = [
        (f"{who} at {name}", who == "the proxy", Flow(peer, of_release("gateway"), port, name))
        for name, port in ASKED.items()
        for who, peer in {"the proxy": OWN_PROXY, "a stranger": STRANGER}.items()
    ]
    assert wrong(found, table, evaluator) == []


def test_without_the_policies_everybody_reaches_everything(render: Any, evaluator: Path) -> None:
    found = policies(render("--set", "networkPolicy.enabled=false"))
    assert found == []
    assert len(wrong(found, TABLE, evaluator)) == len([None for _, allowed, _ in TABLE if not allowed])


def test_where_tenants_are_told_to_find_the_keys_they_are_let_in(render: Any) -> None:
    (service,) = [
        obj for obj in render() if obj["kind"] == "Service" and obj["metadata"]["name"] == "td-gateway"
    ]
    (policy,) = [obj for obj in policies(render()) if obj["metadata"]["name"] == "td-gateway"]
    target = next(one["targetPort"] for one in service["spec"]["ports"] if one["port"] == 8083)
    tenants = [rule for rule in policy["spec"]["ingress"] if "namespaceSelector" in str(rule.get("from"))]
    assert [one["port"] for rule in tenants for one in rule["ports"]] == [target]
