"""ClusterIPs: a listener for each (address, port) that has endpoints, spliced to one of them in turn.

Like kube-proxy, a Service without endpoints refuses connections, and a connection that stands is not cut
when its pod leaves the endpoints. UDP, session affinity and node ports are not served.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import TYPE_CHECKING, Any

from talkdesk_sandbox.controlplane.network import ADVERTISED_ADDRESS
from talkdesk_sandbox.node.endpoints import cluster_addresses
from talkdesk_sandbox.node.splice import Front, reset

if TYPE_CHECKING:
    from collections.abc import Callable

    from talkdesk_kube.reflector import Reflector
    from talkdesk_sandbox.controlplane.network import Network
    from talkdesk_sandbox.node.endpoints import Address

Obj = dict[str, Any]
_BACKLOG = 1024


class Listener:
    """One open port of a Service, spliced to its backends in turn. ``service``: its uid."""

    def __init__(self, backends: list[Address], service: str = "") -> None:
        self.backends = backends
        self.service = service
        self.alive: set[Front] = set()
        self.port = 0
        self._turn = itertools.count()
        self._server: asyncio.Server | None = None

    async def open(self, address: Address) -> None:
        """Listen; ``port`` then says where (0 asks for any). Raises OSError where that cannot be."""
        host, port = address
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Front(self._choose, self.alive), host, port, backlog=_BACKLOG, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def _choose(self) -> Address | None:
        if not self.backends:
            return None
        return self.backends[next(self._turn) % len(self.backends)]

    def close(self, *, abort: bool) -> None:
        """Stop listening; ``abort`` also cuts the connections that stand."""
        if self._server is not None:
            self._server.close()
        if abort:
            for front in list(self.alive):
                if front.transport is not None:
                    reset(front.transport)


class ServiceProxy:
    """Keeps the listeners as the Services and EndpointSlices say; ``run`` until cancelled."""

    def __init__(
        self,
        services: Reflector,
        slices: Reflector,
        network: Network,
        note: Callable[[Obj, str, str, str], None],
    ) -> None:
        self._services = services
        self._slices = slices
        self._network = network
        self._note = note
        self._listeners: dict[Address, Listener] = {}
        self._refused: set[Address] = set()
        self._changed = asyncio.Event()
        for reflector in (services, slices):
            reflector.subscribe(lambda _key, _old, _new: self._changed.set())

    async def run(self) -> None:
        """See the class; closes every listener at its end."""
        try:
            await self._services.synced.wait()
            await self._slices.synced.wait()
            while True:
                self._changed.clear()
                await self._settle()
                await self._changed.wait()
        finally:
            for listener in self._listeners.values():
                listener.close(abort=True)

    async def _settle(self) -> None:
        services = list(self._services.store.values())
        wanted = cluster_addresses(services, self._slices.store.values(), listens_on=self.listens_on)
        # A freed address may have gone to another Service, all in one look: it takes over no connection.
        owners = {service["spec"].get("clusterIP"): service["metadata"]["uid"] for service in services}
        for address, listener in list(self._listeners.items()):
            same = owners.get(address[0]) == listener.service
            if address not in wanted or not same:
                self._listeners.pop(address).close(abort=not same)
        self._refused &= wanted.keys()
        for address, backends in wanted.items():
            if address in self._listeners:
                self._listeners[address].backends = backends
            else:
                await self._open(address, Listener(backends, owners[address[0]]))

    async def _open(self, address: Address, listener: Listener) -> None:
        try:
            await listener.open(address)
        except OSError as error:
            if address not in self._refused:
                self._refused.add(address)
                self._say_refused(address, error)
            return
        self._refused.discard(address)
        self._listeners[address] = listener

    def _say_refused(self, address: Address, error: OSError) -> None:
        host, port = address
        message = f"the local node cannot listen on {host}:{port} ({error.strerror or error})"
        if isinstance(error, PermissionError):
            message += ": ports below 1024 need privileges, give the Service a higher port"
        for service in self._services.store.values():
            if service["spec"].get("clusterIP") == host:
                self._note(service, "Warning", "FailedToListen", message)

    def listens_on(self, reported: str) -> str | None:
        """Where the pod that is reported at an address really listens; None: not a pod of this node."""
        if reported == ADVERTISED_ADDRESS:
            return self._network.node_address  # the API server, behind the Service "kubernetes"
        with contextlib.suppress(ValueError):
            return self._network.listen_address(reported)
        return None
