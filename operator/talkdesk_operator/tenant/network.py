"""The tenant's NetworkPolicy: nothing in or out but what the product and the app's declaration need.

Pods of one tenant do not reach each other either: an app with several parts says so by a NetworkPolicy in its
template, which adds to this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from talkdesk_operator.tenant.identity import Tenant
    from talkdesk_operator.tenant.making import Making, Object

NAME = "tenant"
#: The release's pods that reach a tenant: users' requests come by these, the readiness probe by the operator.
VISITORS = ("envoy", "gateway", "operator")


def network_policy(made: Making) -> list[Object]:
    """Default-deny for every pod; in from the release's visitors, out to DNS and the app's ``egress``."""
    tenant = made.tenant
    return [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": NAME, "namespace": tenant.name, "labels": tenant.object_labels},
            "spec": {
                "podSelector": {},
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [{"from": [_visitors(tenant)]}],
                "egress": [_dns(), *(_destination(one.cidr, one.ports) for one in made.app.spec.egress)],
            },
        }
    ]


def _visitors(tenant: Tenant) -> dict[str, Any]:
    return {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": tenant.release.namespace}},
        "podSelector": {
            "matchLabels": {"app.kubernetes.io/instance": tenant.release.name},
            "matchExpressions": [
                {"key": "app.kubernetes.io/component", "operator": "In", "values": list(VISITORS)}
            ],
        },
    }


def _dns() -> dict[str, Any]:
    return {
        "to": [
            {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
                "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
            }
        ],
        "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
    }


def _destination(cidr: str, ports: list[int]) -> dict[str, Any]:
    rule: dict[str, Any] = {"to": [{"ipBlock": {"cidr": cidr}}]}
    if ports:
        rule["ports"] = [{"protocol": "TCP", "port": port} for port in ports]
    return rule
