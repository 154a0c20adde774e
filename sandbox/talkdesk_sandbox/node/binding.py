"""The scheduler of a cluster with one node: binds what waits, or says in the pod's status why not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from talkdesk_kube import Conflict, KubeError, NotFound
from talkdesk_kube.resources import PODS
from talkdesk_sandbox.node.container import timestamp
from talkdesk_sandbox.node.registration import NODE_NAME, awaits_binding, why_unschedulable

if TYPE_CHECKING:
    from talkdesk_kube import Kube
    from talkdesk_kube.reflector import Reflector
    from talkdesk_sandbox.node.timings import Timings

Obj = dict[str, Any]


class Binder:
    """Binds pending pods; ``run`` until cancelled."""

    def __init__(self, kube: Kube, pods: Reflector, nodes: Reflector, timings: Timings) -> None:
        self._kube = kube
        self._pods = pods
        self._nodes = nodes
        self._timings = timings
        self._changed = asyncio.Event()
        self._bound: set[str] = set()
        pods.subscribe(self._seen)
        nodes.subscribe(lambda _key, _old, _new: self._changed.set())

    def _seen(self, _key: tuple[str, str], old: Obj | None, new: Obj | None) -> None:
        if new is not None and awaits_binding(new):
            self._changed.set()
        elif old is not None:
            self._bound.discard(old["metadata"]["uid"])

    async def run(self) -> None:
        """See the class."""
        await self._pods.synced.wait()
        await self._nodes.synced.wait()
        attempt = 0
        while True:
            self._changed.clear()
            waiting = [pod for pod in self._pods.store.values() if awaits_binding(pod)]
            results = await asyncio.gather(*(self._place(pod) for pod in waiting), return_exceptions=True)
            failures = [one for one in results if isinstance(one, BaseException)]
            for one in failures:
                if not isinstance(one, KubeError):
                    raise one
            if failures:
                await asyncio.sleep(self._timings.pause(attempt))
                attempt += 1
                continue
            attempt = 0
            await self._changed.wait()

    async def _place(self, pod: Obj) -> None:
        metadata = pod["metadata"]
        node = self._nodes.store.get(("", NODE_NAME))
        if node is None or metadata["uid"] in self._bound:
            return
        why = why_unschedulable(pod, node)
        try:
            if why:
                await self._refuse(pod, why)
            else:
                await self._bind(metadata)
                self._bound.add(metadata["uid"])
        except (NotFound, Conflict):
            return  # gone, or bound by another scheduler

    async def _bind(self, metadata: Obj) -> None:
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": metadata["name"], "uid": metadata["uid"]},
            "target": {"apiVersion": "v1", "kind": "Node", "name": NODE_NAME},
        }
        namespace, name = metadata["namespace"], metadata["name"]
        await self._kube.create(PODS, binding, namespace=namespace, name=name, subresource="binding")

    async def _refuse(self, pod: Obj, why: str) -> None:
        before = (pod.get("status") or {}).get("conditions") or []
        known: Obj = next((one for one in before if one["type"] == "PodScheduled"), {})
        if known.get("message") == why:
            return
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": why}
        others = [one for one in before if one["type"] != "PodScheduled"]
        patch = {
            "metadata": {"uid": pod["metadata"]["uid"]},
            "status": {"conditions": [*others, condition | {"lastTransitionTime": timestamp()}]},
        }
        metadata = pod["metadata"]
        await self._kube.merge_patch(
            PODS, metadata["name"], patch, namespace=metadata["namespace"], subresource="status"
        )
