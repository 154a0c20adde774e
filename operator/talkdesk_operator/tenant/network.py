"""The tenant's NetworkPolicy: nothing in or out but what the product and the app's declaration need.

Pods of one tenant do not reach each other either: an app with several parts says so by a NetworkPolicy in its
template, which adds to this one.
"""

from __future__ import annotations

from ipaddress import IPv6Network, ip_network
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from talkdesk_operator.tenant.identity import Tenant
    from talkdesk_operator.tenant.making import Making, Object

NAME = "tenant"
#: The release's pods that reach a tenant: users' requests come by these, the readiness probe by the operator.
VISITORS = ("envoy", "gateway", "operator")
#: The port of the gateway's pods that serves its key set, by the name their containers give it.
KEYS_PORT = "jwks"


def network_policy(made: Making) -> list[Object]:
    """Default-deny for every pod; in from the release's visitors, out to DNS, its keys and ``egress``.

    What is no range is left out (the app's review tells of it): it would have the whole policy refused.
    """
    tenant = made.tenant
    ranges = [(address_range(one.cidr), one.ports) for one in made.app.spec.egress]
    return [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": NAME, "namespace": tenant.name, "labels": tenant.object_labels},
            "spec": {
                "podSelector": {},
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [{"from": [_pods(tenant, VISITORS)]}],
                "egress": [
                    _dns(),
                    _keys(tenant),
                    *(_destination(cidr, ports) for cidr, ports in ranges if cidr is not None),
                ],
            },
        }
    ]


def address_range(cidr: str) -> str | None:
    """``cidr`` as any Kubernetes takes it; None where it is no range of addresses.

    Since 1.36 an address inside the range does not stand for it, nor is one of IPv4 written as IPv6 taken.
    """
    try:
        found = ip_network(cidr, strict=False)
    except ValueError:
        return None
    mapped = isinstance(found, IPv6Network) and found.network_address.ipv4_mapped is not None
    return None if mapped else str(found)


def _pods(tenant: Tenant, components: Sequence[str]) -> dict[str, Any]:
    """The release's pods of these components; the namespace's name is a label that nobody can forge."""
    return {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": tenant.release.namespace}},
        "podSelector": {
            "matchLabels": {"app.kubernetes.io/instance": tenant.release.name},
            "matchExpressions": [
                {"key": "app.kubernetes.io/component", "operator": "In", "values": list(components)}
            ],
        },
    }


def _keys(tenant: Tenant) -> dict[str, Any]:
    """The gateway's key set, with which the app checks whom it was sent."""
    return {"to": [_pods(tenant, ("gateway",))], "ports": [{"protocol": "TCP", "port": KEYS_PORT}]}


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
