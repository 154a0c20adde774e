"""The node at work: watches the cluster and gives every pod bound to it a `Pod`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

from talkdesk_kube import AlreadyExists
from talkdesk_kube.events import EventRecorder
from talkdesk_kube.reflector import Reflector
from talkdesk_kube.resources import (
    CONFIG_MAPS,
    ENDPOINT_SLICES,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PODS,
    SECRETS,
    SERVICES,
)
from talkdesk_sandbox.node.addresses import AddressPool
from talkdesk_sandbox.node.binding import Binder
from talkdesk_sandbox.node.claims import Claims
from talkdesk_sandbox.node.container import cancelled, timestamp
from talkdesk_sandbox.node.environment import service_links
from talkdesk_sandbox.node.guard import kill_left_behind
from talkdesk_sandbox.node.host import Host
from talkdesk_sandbox.node.load_balancers import LoadBalancers
from talkdesk_sandbox.node.log_server import LogServer
from talkdesk_sandbox.node.pod import Pod
from talkdesk_sandbox.node.records import PodRecord, Records
from talkdesk_sandbox.node.registration import NODE_NAME, node_object, node_status, remaining_taints
from talkdesk_sandbox.node.services import ServiceProxy

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from talkdesk_kube import Kube
    from talkdesk_sandbox.controlplane.network import Network
    from talkdesk_sandbox.node.images import Images
    from talkdesk_sandbox.node.timings import Timings

Obj = dict[str, Any]
_log = structlog.get_logger("talkdesk_sandbox.node")


class Agent:
    """One node. ``serve`` runs it until ``stop`` is called; ``ready`` is set when it takes pods."""

    def __init__(
        self,
        kube: Kube,
        *,
        network: Network,
        images: Images,
        folder: Path,
        timings: Timings,
        api_server: tuple[str, str, int],
    ) -> None:
        self.ready = asyncio.Event()
        self._kube = kube
        self._network = network
        self._folder = folder
        self._timings = timings
        self._api = api_server
        self._stop = asyncio.Event()
        self._pods: dict[str, Pod] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._records = Records(folder)
        self._known: dict[str, PodRecord] = {}
        self._addresses = AddressPool(network.pod_reported_cidr)
        self._events = EventRecorder(kube, "sandbox-node", "default")
        self._watched = {
            name: Reflector(kube, resource, transform=transform)
            for name, resource, transform in (
                ("pods", PODS, None),
                ("nodes", NODES, None),
                ("services", SERVICES, None),
                ("slices", ENDPOINT_SLICES, None),
                ("claims", PERSISTENT_VOLUME_CLAIMS, None),
                ("ConfigMap", CONFIG_MAPS, _metadata_only),
                ("Secret", SECRETS, _metadata_only),
            )
        }
        self._claims = Claims(kube, self._watched["claims"], folder, timings)
        self._host = Host(
            kube=kube,
            images=images,
            records=self._records,
            timings=timings,
            network=network,
            api_server=api_server[0],
            links=self._links,
            claim_folder=self._claims.folder,
            note=self._note,
        )

    def stop(self) -> None:
        """End ``serve``: freeze every pod's status, stop the processes, leave the rest to the next run."""
        self._stop.set()

    async def serve(self) -> None:
        """See the class. Raises KubeError where the node cannot be registered."""
        kill_left_behind(self._folder)  # nothing should be; what is cannot be waited for
        for record in self._records.read_all():
            self._known[record.uid] = record
        self._addresses.take_known(record.address for record in self._known.values())
        logs = LogServer(self._network, self._log_of)
        port = await logs.start()
        await self._register(port)
        proxy = ServiceProxy(self._watched["services"], self._watched["slices"], self._network, self._note)
        balancers = LoadBalancers(
            self._kube,
            self._watched["services"],
            self._watched["slices"],
            timings=self._timings,
            listens_on=proxy.listens_on,
            note=self._note,
        )
        binder = Binder(self._kube, self._watched["pods"], self._watched["nodes"], self._timings)
        parts: list[Coroutine[Any, Any, None]] = [watched.run() for watched in self._watched.values()]
        parts += [proxy.run(), balancers.run(), binder.run(), self._claims.run(), self._take_over()]
        self._watched["pods"].subscribe(self._seen)
        for kind in ("ConfigMap", "Secret"):
            self._watched[kind].subscribe(lambda key, old, new, kind=kind: self._shown(kind, key, old, new))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        running = [asyncio.create_task(part) for part in parts]
        try:
            async with self._events:
                await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)  # by ``stop`` or a defect
                await self._shut_down()
            for task in running:
                if task.done():
                    task.result()
        finally:
            await cancelled(*running)
            await logs.stop()

    async def _take_over(self) -> None:
        """Once all is known: forget pods that went while no node ran, and say that the node is ready."""
        for watched in self._watched.values():
            await watched.synced.wait()
        for uid in self._known.keys() - self._pods.keys():
            self._records.forget(uid)
            self._addresses.give_back(self._known[uid].address)
        self.ready.set()
        await self._stop.wait()

    async def _shut_down(self) -> None:
        for pod in self._pods.values():
            pod.shut_down(self._timings.shutdown_grace)
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _register(self, log_port: int | None) -> None:
        try:
            node = await self._kube.create(NODES, node_object())
        except AlreadyExists:
            node = await self._kube.get(NODES, NODE_NAME)
        status = node_status(self._network.node_address, log_port, now=timestamp())
        await self._kube.merge_patch(NODES, NODE_NAME, {"spec": {"taints": remaining_taints(node)}})
        await self._kube.merge_patch(NODES, NODE_NAME, {"status": status}, subresource="status")

    # Pods as the watch shows them.

    def _seen(self, _key: tuple[str, str], old: Obj | None, new: Obj | None) -> None:
        if self._stop.is_set():
            return
        if new is None:
            pod = self._pods.get((old or {}).get("metadata", {}).get("uid", ""))
            if pod is not None:
                pod.removed()
            return
        uid = new["metadata"]["uid"]
        if uid in self._pods:
            self._pods[uid].update(new)
        elif new["spec"].get("nodeName") == NODE_NAME:
            self._begin(uid, new)

    def _begin(self, uid: str, obj: Obj) -> None:
        record = self._known.get(uid) or PodRecord(uid=uid, address=self._addresses.take())
        pod = Pod(obj, record, self._host)
        self._pods[uid] = pod
        if obj["metadata"].get("deletionTimestamp"):
            pod.update(obj)
        task = asyncio.create_task(pod.run())
        self._tasks[uid] = task
        task.add_done_callback(lambda done: self._ended(uid, record.address, done))

    def _ended(self, uid: str, address: str, task: asyncio.Task[None]) -> None:
        del self._pods[uid], self._tasks[uid]
        self._addresses.give_back(address)
        if not task.cancelled() and task.exception() is not None:
            _log.error("a pod's task failed", uid=uid, exc_info=task.exception())

    def _shown(self, kind: str, key: tuple[str, str], _old: Obj | None, _new: Obj | None) -> None:
        namespace, name = key
        for pod in self._pods.values():
            if pod.pod["metadata"]["namespace"] == namespace and pod.uses(kind, name):
                pod.refresh()

    # What pods ask.

    def _links(self, namespace: str, enabled: bool) -> dict[str, str]:
        services = [one for (where, _), one in self._watched["services"].store.items() if where == namespace]
        return service_links(services if enabled else [], self._api[1:])

    def _note(self, regarding: Obj, kind: str, reason: str, message: str) -> None:
        self._events.event(regarding, "Warning" if kind == "Warning" else "Normal", reason, message, "Run")

    def _log_of(self, namespace: str, name: str, container: str, previous: bool) -> tuple[Path, Any] | None:
        for pod in self._pods.values():
            metadata = pod.pod["metadata"]
            if (metadata["namespace"], metadata["name"]) == (namespace, name):
                return pod.log_of(container, previous=previous)
        return None


def _metadata_only(obj: Obj) -> Obj:
    """Contents are read when a pod needs them; here only changes matter."""
    return {"apiVersion": obj.get("apiVersion"), "kind": obj.get("kind"), "metadata": obj["metadata"]}
