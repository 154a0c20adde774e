"""What a kubelet would report: the tenants' pods are ready, a while after they were made. Nothing runs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from talkdesk_crds import names
from talkdesk_kube import Kube, KubeError, NotFound, Obj, Reflector, resources

if TYPE_CHECKING:
    from talkdesk_sandbox.release import Release

#: How long a workload's start takes. Long enough that an operator that does not wait for it is seen to.
START_SECONDS = 0.4


class Kubelet:
    """Makes the pods of one release's tenants ready. :meth:`run` for ever."""

    def __init__(self, kube: Kube, release: Release) -> None:
        self._kube = kube
        self._prefix = names.tenant_prefix(release.namespace, release.name)
        self._pods = Reflector(kube, resources.PODS)
        self._starting: set[asyncio.Task[None]] = set()
        self._pods.subscribe(self._seen)

    async def run(self) -> None:
        """Ends by being cancelled."""
        try:
            await self._pods.run()
        finally:
            for task in self._starting:
                task.cancel()

    def _seen(self, key: tuple[str, str], old: Obj | None, new: Obj | None) -> None:
        if old is not None or new is None or not key[0].startswith(self._prefix):
            return
        task = asyncio.get_running_loop().create_task(self._start(key))
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def _start(self, key: tuple[str, str]) -> None:
        await asyncio.sleep(START_SECONDS)
        namespace, name = key
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        ready = [
            {"type": kind, "status": "True", "lastTransitionTime": now}
            for kind in ("Ready", "ContainersReady")
        ]
        for _ in range(5):
            try:
                await self._kube.merge_patch(
                    resources.PODS,
                    name,
                    {"status": {"phase": "Running", "conditions": ready}},
                    namespace=namespace,
                    subresource="status",
                )
            except NotFound:
                return
            except KubeError:
                await asyncio.sleep(0.2)
            else:
                return
