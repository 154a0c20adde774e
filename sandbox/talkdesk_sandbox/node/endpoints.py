"""Which backends stand behind each ClusterIP and port (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Obj = dict[str, Any]
Address = tuple[str, int]
_SERVICE_NAME = "kubernetes.io/service-name"


def cluster_addresses(
    services: Iterable[Obj], slices: Iterable[Obj], *, listens_on: Callable[[str], str | None]
) -> dict[Address, list[Address]]:
    """Backends by (ClusterIP, port), for every TCP port that has some.

    Ready endpoints; where there is none, those that are terminating but still serve, as kube-proxy does.
    ``listens_on`` turns a reported pod address into the one the pod listens on (None: not a pod of this
    node). A port's number is the one the EndpointSlice gives for the service port's name, which is how named
    target ports are resolved.
    """
    by_service: dict[tuple[str, str], list[Obj]] = {}
    for one in slices:
        labels = one["metadata"].get("labels") or {}
        if one.get("addressType") == "IPv4" and _SERVICE_NAME in labels:
            by_service.setdefault((one["metadata"]["namespace"], labels[_SERVICE_NAME]), []).append(one)
    result = {}
    for service in services:
        spec, metadata = service["spec"], service["metadata"]
        address = spec.get("clusterIP") or "None"
        if address == "None" or spec.get("type") == "ExternalName":
            continue
        behind = by_service.get((metadata["namespace"], metadata["name"]), [])
        for port in spec.get("ports") or []:
            if port.get("protocol", "TCP") != "TCP":
                continue
            backends = _backends(behind, port.get("name", ""), listens_on)
            if backends:
                result[address, int(port["port"])] = backends
    return result


def _backends(slices: list[Obj], port_name: str, listens_on: Callable[[str], str | None]) -> list[Address]:
    ready: set[Address] = set()
    serving: set[Address] = set()
    for one in slices:
        numbers = [port["port"] for port in one.get("ports") or [] if (port.get("name") or "") == port_name]
        for endpoint in one.get("endpoints") or []:
            conditions = endpoint.get("conditions") or {}
            for reported in endpoint.get("addresses") or []:
                host = listens_on(reported)
                if host is None:
                    continue
                addresses = {(host, int(number)) for number in numbers}
                if conditions.get("ready", True) is not False:
                    ready |= addresses
                elif conditions.get("serving") and conditions.get("terminating"):
                    serving |= addresses
    return sorted(ready or serving)
