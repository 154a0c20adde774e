"""Services of type LoadBalancer: each port is listened on at 127.0.0.1, for programs outside the cluster.

The Service's own port number is used where it is free, else any other; ``status.loadBalancer`` says which:
``ingress: [{ip: 127.0.0.1, ports: [{port, protocol}]}]``, in the order of ``spec.ports``. A port stays open
while its Service lives, like a cloud's: without a ready pod behind it, connections are reset. A node that is
started again takes the ports that the status already names, if it can. Services with a ``loadBalancerClass``
are somebody else's.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from talkdesk_kube.errors import Conflict, KubeError, NotFound
from talkdesk_kube.resources import SERVICES
from talkdesk_sandbox.node.endpoints import cluster_addresses
from talkdesk_sandbox.node.services import Listener

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from talkdesk_kube import Kube
    from talkdesk_kube.reflector import Reflector
    from talkdesk_sandbox.node.endpoints import Address
    from talkdesk_sandbox.node.timings import Timings

Obj = dict[str, Any]
#: Namespace, name and uid: a Service that was made anew is another one.
Key = tuple[str, str, str]
ADDRESS = "127.0.0.1"


def is_ours(service: Obj) -> bool:
    """Whether this node plays the load balancer of ``service``."""
    spec = service["spec"]
    return spec.get("type") == "LoadBalancer" and not spec.get("loadBalancerClass")


def tcp_ports(service: Obj) -> list[int]:
    """The Service's TCP ports, in their order."""
    ports = service["spec"].get("ports") or []
    return [int(port["port"]) for port in ports if port.get("protocol", "TCP") == "TCP"]


def reported_ports(service: Obj) -> dict[int, int]:
    """Port of the Service → port that its status says it is reached by; {} where that does not fit."""
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    reported = [int(port["port"]) for one in ingress for port in one.get("ports") or []]
    wanted = tcp_ports(service)
    return dict(zip(wanted, reported, strict=True)) if len(wanted) == len(reported) else {}


@dataclass
class Balancer:
    """One Service's open ports: by the Service's port, the listener and where it listens."""

    listeners: dict[int, tuple[Listener, int]] = field(default_factory=dict)

    async def settle(self, service: Obj, backends: dict[Address, list[Address]]) -> None:
        """Listen for the ports that the Service has now. Raises OSError where nothing can be listened on."""
        wanted, before = tcp_ports(service), reported_ports(service)
        for port in self.listeners.keys() - set(wanted):
            self.listeners.pop(port)[0].close(abort=True)
        for port in wanted:
            behind = backends.get((service["spec"].get("clusterIP", ""), port), [])
            if port in self.listeners:
                self.listeners[port][0].backends = behind
            else:
                self.listeners[port] = await _opened(behind, (before.get(port), port, 0))

    def status(self, service: Obj) -> Obj:
        """``status.loadBalancer`` of the Service."""
        at = [self.listeners[port][1] for port in tcp_ports(service)]
        ports = [{"port": port, "protocol": "TCP"} for port in at]
        return {"ingress": [{"ip": ADDRESS, "ipMode": "VIP", "ports": ports}]}

    def close(self) -> None:
        """Stop listening and cut what stands."""
        for listener, _ in self.listeners.values():
            listener.close(abort=True)


async def _opened(backends: list[Address], candidates: Iterable[int | None]) -> tuple[Listener, int]:
    """A listener on the first candidate that can be had; 0 is any free port. Raises OSError."""
    refused: OSError | None = None
    for port in candidates:
        if port is None:
            continue
        listener = Listener(backends)
        try:
            await listener.open((ADDRESS, port))
        except OSError as error:
            refused = error
        else:
            return listener, listener.port
    raise refused or OSError("no candidate")


class LoadBalancers:
    """Keeps the balancers as the Services say; ``run`` until cancelled."""

    def __init__(
        self,
        kube: Kube,
        services: Reflector,
        slices: Reflector,
        *,
        timings: Timings,
        listens_on: Callable[[str], str | None],
        note: Callable[[Obj, str, str, str], None],
    ) -> None:
        self._kube = kube
        self._services = services
        self._slices = slices
        self._timings = timings
        self._listens_on = listens_on
        self._note = note
        self._balancers: dict[Key, Balancer] = {}
        self._changed = asyncio.Event()
        for reflector in (services, slices):
            reflector.subscribe(lambda _key, _old, _new: self._changed.set())

    async def run(self) -> None:
        """See the class; closes every port at its end."""
        attempt = 0
        try:
            await self._services.synced.wait()
            await self._slices.synced.wait()
            while True:
                self._changed.clear()
                try:
                    await self._settle()
                except (KubeError, OSError):
                    await asyncio.sleep(self._timings.pause(attempt))
                    attempt += 1
                    continue
                attempt = 0
                await self._changed.wait()
        finally:
            for balancer in self._balancers.values():
                balancer.close()

    def _ours(self) -> Iterator[tuple[Key, Obj]]:
        for (namespace, name), service in self._services.store.items():
            if is_ours(service):
                yield (namespace, name, service["metadata"]["uid"]), service

    async def _settle(self) -> None:
        services = dict(self._ours())
        for key in self._balancers.keys() - services.keys():
            self._balancers[key].close()
            await self._forget(key)
            del self._balancers[key]
        if not services:
            return
        slices = self._slices.store.values()
        backends = cluster_addresses(services.values(), slices, listens_on=self._listens_on)
        for key, service in services.items():
            balancer = self._balancers.setdefault(key, Balancer())
            try:
                await balancer.settle(service, backends)
            except OSError as error:
                message = f"the local node cannot listen on {ADDRESS} ({error.strerror or error})"
                self._note(service, "Warning", "FailedToListen", message)
                raise
            await self._report(key, balancer.status(service), service)

    async def _report(self, key: Key, status: Obj, service: Obj) -> None:
        if (service.get("status") or {}).get("loadBalancer") != status:
            await self._write(key, status)

    async def _forget(self, key: Key) -> None:
        """Another type of Service by now: nothing is reached by the old port any more."""
        namespace, name, uid = key
        left = self._services.store.get((namespace, name))
        if left is not None and left["metadata"]["uid"] == uid:
            await self._write(key, {"ingress": None})

    async def _write(self, key: Key, status: Obj) -> None:
        namespace, name, uid = key
        patch = {"metadata": {"uid": uid}, "status": {"loadBalancer": status}}
        with contextlib.suppress(NotFound, Conflict):  # gone or another's name: the watch will say so
            await self._kube.merge_patch(SERVICES, name, patch, namespace=namespace, subresource="status")
