"""A container's environment, as the kubelet would make it, told the addresses and folders it really has."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from talkdesk_sandbox.node.expansion import MountPaths, expand
from talkdesk_sandbox.node.quantities import in_units

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

Obj = dict[str, Any]

_SUBSCRIPT = re.compile(r"^metadata\.(labels|annotations)\['(.+)'\]$")


class ConfigError(Exception):
    """The container cannot be started as it is declared; the message goes into the pod's status."""


@dataclass(frozen=True)
class PodFacts:
    """What the downward API can tell of a pod; ``address`` is the one its processes listen on."""

    pod: Obj
    address: str
    host_address: str = "127.0.0.1"

    def field(self, path: str) -> str:
        """Value of a ``fieldRef``; raises `ConfigError` for a path the downward API does not have."""
        metadata, spec = self.pod["metadata"], self.pod["spec"]
        values = {
            "metadata.name": metadata["name"],
            "metadata.namespace": metadata["namespace"],
            "metadata.uid": metadata["uid"],
            "spec.nodeName": spec.get("nodeName", ""),
            "spec.serviceAccountName": spec.get("serviceAccountName", ""),
            "status.podIP": self.address,
            "status.podIPs": self.address,
            "status.hostIP": self.host_address,
            "status.hostIPs": self.host_address,
        }
        if path in values:
            return str(values[path])
        if path in ("metadata.labels", "metadata.annotations"):
            entries = metadata.get(path.partition(".")[2]) or {}
            return "\n".join(f'{key}="{_quoted(value)}"' for key, value in sorted(entries.items()))
        subscript = _SUBSCRIPT.match(path)
        if subscript:
            return str((metadata.get(subscript[1]) or {}).get(subscript[2], ""))
        raise ConfigError(f"fieldRef {path!r} is not supported by the local node")

    def resource(self, reference: Obj, container: Obj) -> str:
        """Value of a ``resourceFieldRef``; a limit that is not set is what the node has."""
        name = reference.get("containerName") or container["name"]
        owner = next((one for one in self.pod["spec"]["containers"] if one["name"] == name), container)
        group, _, resource = reference["resource"].partition(".")
        declared = (owner.get("resources") or {}).get(group) or {}
        if resource not in declared and group == "requests":
            amount = "0"
        else:
            amount = declared.get(resource) or NODE_CAPACITY.get(resource, "0")
        try:
            return in_units(str(amount), str(reference.get("divisor", "1")))
        except ValueError as error:
            raise ConfigError(f"resourceFieldRef {reference['resource']!r}: {error}") from error


# Nothing is limited or counted; the numbers are what the node says of itself.
NODE_CAPACITY = {"cpu": "64", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "1000"}


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def service_links(services: Iterable[Obj], api_server: tuple[str, int]) -> dict[str, str]:
    """``<NAME>_SERVICE_HOST`` and its kin for the namespace's services, and where the API server is.

    Mirrors ``k8s.io/kubernetes/pkg/kubelet/envvars``. ``kubernetes`` is told by its real address, because a
    program without privileges could not listen on port 443 of its ClusterIP.
    """
    host, port = api_server
    links = _links("kubernetes", host, [{"name": "https", "port": port, "protocol": "TCP"}])
    for service in services:
        spec = service["spec"]
        address = spec.get("clusterIP") or "None"
        if address != "None" and service["metadata"]["name"] != "kubernetes":
            links |= _links(service["metadata"]["name"], address, spec.get("ports") or [])
    return links


def _links(name: str, host: str, ports: list[Obj]) -> dict[str, str]:
    prefix = name.upper().replace("-", "_")
    links = {f"{prefix}_SERVICE_HOST": host}
    for position, port in enumerate(ports):
        number, protocol = str(port["port"]), str(port.get("protocol", "TCP"))
        base = f"{prefix}_PORT_{number}_{protocol}"
        url = f"{protocol.lower()}://{host}:{number}"
        if position == 0:
            links |= {f"{prefix}_SERVICE_PORT": number, f"{prefix}_PORT": url}
        if port.get("name"):
            links[f"{prefix}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = number
        links |= {base: url, f"{base}_PROTO": protocol.lower(), f"{base}_PORT": number, f"{base}_ADDR": host}
    return links


async def declared_environment(
    container: Obj,
    *,
    facts: PodFacts,
    links: Mapping[str, str],
    paths: MountPaths,
    read: Callable[[str, str], Awaitable[Obj | None]],
) -> dict[str, str]:
    """``envFrom`` and ``env``: mount paths rewritten, then ``$(VAR)`` expanded; service links beneath.

    Raises `ConfigError` where something that is referred to does not exist and is not optional.
    """
    result: dict[str, str] = {}
    for source in container.get("envFrom") or []:
        kind = "ConfigMap" if "configMapRef" in source else "Secret"
        reference = source.get("configMapRef") or source.get("secretRef") or {}
        referred = await _referred(kind, reference, read)
        for key, value in texts(referred or {}).items():
            result[f"{source.get('prefix', '')}{key}"] = paths.rewrite(value)
    for variable in container.get("env") or []:
        found = await _value(variable, container, facts=facts, paths=paths, read=read)
        if found is not None:
            result[variable["name"]] = expand(found, {**links, **result}) if "value" in variable else found
    return {**links, **result}


async def _value(
    variable: Obj,
    container: Obj,
    *,
    facts: PodFacts,
    paths: MountPaths,
    read: Callable[[str, str], Awaitable[Obj | None]],
) -> str | None:
    source = variable.get("valueFrom")
    if not source:
        return paths.rewrite(str(variable.get("value", "")))
    if "fieldRef" in source:
        return facts.field(source["fieldRef"]["fieldPath"])
    if "resourceFieldRef" in source:
        return facts.resource(source["resourceFieldRef"], container)
    for field, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
        if field in source:
            reference = source[field]
            values = texts(await _referred(kind, reference, read) or {})
            if reference["key"] in values:
                return paths.rewrite(values[reference["key"]])
            if reference.get("optional"):
                return None
            raise ConfigError(f"couldn't find key {reference['key']} in {kind} {reference.get('name')}")
    raise ConfigError(
        f"variable {variable['name']}: valueFrom {'/'.join(source)} is not supported by the local node"
    )


async def _referred(
    kind: str, reference: Obj, read: Callable[[str, str], Awaitable[Obj | None]]
) -> Obj | None:
    found = await read(kind, reference.get("name", ""))
    if found is None and not reference.get("optional"):
        raise ConfigError(f'{kind.lower()} "{reference.get("name")}" not found')
    return found


def contents(found: Obj) -> dict[str, bytes]:
    """The entries of a ConfigMap or Secret as bytes."""
    if found.get("kind") == "Secret":
        return {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}
    entries = {key: value.encode() for key, value in (found.get("data") or {}).items()}
    return entries | {key: base64.b64decode(value) for key, value in (found.get("binaryData") or {}).items()}


def texts(found: Obj) -> dict[str, str]:
    """The entries that can stand in an environment."""
    return {
        key: value.decode(errors="replace") for key, value in contents(found).items() if b"\0" not in value
    }
