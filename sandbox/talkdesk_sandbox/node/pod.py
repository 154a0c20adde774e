"""One pod's life on this node: volumes, init containers, containers, status, and its end."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from talkdesk_kube import Conflict, Forbidden, Invalid, KubeError, NotFound
from talkdesk_sandbox.node.commands import command_of, refuse
from talkdesk_sandbox.node.container import Container, cancelled, first_of, lost, timestamp
from talkdesk_sandbox.node.environment import ConfigError, PodFacts
from talkdesk_sandbox.node.probes import Looker, NotSupported
from talkdesk_sandbox.node.process import run
from talkdesk_sandbox.node.status import OWN_CONDITIONS, PodSituation, is_sidecar, pod_status
from talkdesk_sandbox.node.stop import Stop
from talkdesk_sandbox.node.volumes import WRITTEN_KINDS, Sources, prepare

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from talkdesk_sandbox.node.host import Host
    from talkdesk_sandbox.node.process import Command
    from talkdesk_sandbox.node.records import PodRecord

Obj = dict[str, Any]
_ENDED = {"Succeeded", "Failed"}


class Pod:
    """Runs one pod, from binding to its removal; `run` is its one task.

    ``update`` takes in what the API server says of it, ``shut_down`` ends it because the node ends: its
    status then stays as it is, so that the node's next run takes it up again.
    """

    def __init__(self, pod: Obj, record: PodRecord, host: Host) -> None:
        self.pod = pod
        self.record = record
        self._host = host
        self._folder = host.records.pod_folder(record.uid)
        self._stop = Stop()
        self._sidecar_stop = Stop()
        self._removal = asyncio.Event()
        self._dirty = asyncio.Event()
        self._refresh = asyncio.Event()
        self._frozen = False
        self._gone = False
        self._running = True
        self._failure: tuple[str, str] | None = None
        self._volumes: dict[str, Path] | None = None
        self._renew_at: float | None = None
        self._written: Obj | None = None
        self._start_time = (pod.get("status") or {}).get("startTime") or timestamp()
        self._grace = float(pod["spec"].get("terminationGracePeriodSeconds", 30))
        self._sources = Sources(
            facts=self._facts(),
            read=self._read,
            token=host.token_reader(lambda: self.pod, time.time),
            claim=self._claim,
            api_server=host.api_server,
        )

    # What the node tells the pod.

    def update(self, pod: Obj) -> None:
        """The API server has a newer version of the pod."""
        before, self.pod = self.pod["metadata"], pod
        metadata = pod["metadata"]
        self._sources.facts = self._facts()
        if any(before.get(field) != metadata.get(field) for field in ("labels", "annotations")):
            self._refresh.set()
        if metadata.get("deletionTimestamp"):
            self._end(float(metadata.get("deletionGracePeriodSeconds", self._grace)))
        self._dirty.set()  # readiness gates are conditions of others

    def removed(self) -> None:
        """The API server does not know the pod any more."""
        self._gone = True
        self._end(0)

    def refresh(self) -> None:
        """Something that a volume shows has changed."""
        self._refresh.set()

    def shut_down(self, grace: float) -> None:
        """The node ends: no more status, then stop the processes."""
        self._frozen = True
        self._end(grace)

    def uses(self, kind: str, name: str) -> bool:
        """Whether a volume shows the ConfigMap or Secret ``name``."""
        return (kind, name) in _shown(self.pod["spec"])

    def _end(self, grace: float) -> None:
        self._stop.ask(grace)
        self._removal.set()

    # What containers ask of their pod.

    def changed(self) -> None:
        """See `Surroundings`."""
        if not self._frozen:
            self._host.records.write(self.record)
        self._dirty.set()

    def note(self, kind: str, reason: str, message: str) -> None:
        """See `Surroundings`."""
        if not self._frozen:
            self._host.note(self.pod, kind, reason, message)

    def log(self, container: str, restart: int) -> Path:
        """See `Surroundings`. One older log is kept, for ``kubectl logs --previous``."""
        folder = self._folder / "logs" / container
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / f"{restart - 2}.log").unlink(missing_ok=True)
        return folder / f"{restart}.log"

    def log_of(self, container: str, *, previous: bool) -> tuple[Path, Callable[[], bool]] | None:
        """The log of a container's run, and whether that run goes on; None where there is no container."""
        spec = self.pod["spec"]
        if container not in {
            one["name"] for one in [*(spec.get("initContainers") or []), *spec["containers"]]
        }:
            return None
        record = self.record.container(container)
        run = record.restart_count - 1 if previous else record.restart_count
        path = self._folder / "logs" / container / f"{run}.log"
        return (
            path,
            lambda: run == record.restart_count and record.exit_code is None and not self._removal.is_set(),
        )

    async def command(self, container: Obj, log: Path | None, words: list[str] | None = None) -> Command:
        """See `Surroundings`."""
        image = self._host.images.find(container["image"])
        work = self._folder / "work" / container["name"]
        work.mkdir(parents=True, exist_ok=True, mode=0o700)
        spec, metadata = self.pod["spec"], self.pod["metadata"]
        return await command_of(
            container,
            image,
            facts=self._facts(),
            links=self._host.links(metadata["namespace"], spec.get("enableServiceLinks", True)),
            volumes=self._volumes or {},
            read=self._read,
            folder=work,
            mark=str(self._host.records.folder.parent),
            log=log,
            words=words,
        )

    def looker(self, container: Obj) -> Looker:
        """See `Surroundings`."""

        async def execute(words: list[str], within: float) -> str:
            try:
                code = await run(await self.command(container, None, words), within=within)
            except (OSError, ConfigError) as error:
                return str(error)
            if code is None:
                return f"{words[0]}: no end within {within:g} s"
            return "" if code == 0 else f"{words[0]}: exit code {code}"

        ports = {
            port["name"]: int(port["containerPort"])
            for port in container.get("ports") or []
            if "name" in port
        }
        return Looker(address=self._listens_on, ports=ports, execute=execute)

    # The life.

    async def run(self) -> None:
        """Until the pod is gone from the API server, or the node ends."""
        publishing = asyncio.create_task(self._publish())
        try:
            if (self.pod.get("status") or {}).get("phase") not in _ENDED:
                await self._live()
                self._running = False
                self.changed()
            await self._removal.wait()
            await cancelled(publishing)
            if not self._frozen and not self._gone:
                await self._say_farewell()
        finally:
            await cancelled(publishing)
            self._stop.close()
            self._sidecar_stop.close()
        if not self._frozen:
            self._host.records.forget(self.record.uid)

    async def _live(self) -> None:
        for record in self.record.containers.values():
            lost(record)
        self.changed()
        deadline = self.pod["spec"].get("activeDeadlineSeconds")
        timer = asyncio.get_running_loop().call_later(float(deadline), self._too_late) if deadline else None
        beside: list[asyncio.Task[None]] = []
        sidecars: list[asyncio.Task[None]] = []
        try:
            if not await self._set_up():
                return
            beside.append(asyncio.create_task(self._renew()))
            if await self._initialize(sidecars):
                policy = self.pod["spec"].get("restartPolicy", "Always")
                containers = [
                    self._container(one, policy, self._stop) for one in self.pod["spec"]["containers"]
                ]
                await asyncio.gather(*(container.run() for container in containers))
        finally:
            if timer is not None:
                timer.cancel()
            self._sidecar_stop.ask(self._stop.remaining if self._stop.asked.is_set() else self._grace)
            await asyncio.gather(*sidecars)
            await cancelled(*beside)

    def _too_late(self) -> None:
        if not self._stop.asked.is_set():
            self._failure = (
                "DeadlineExceeded",
                "Pod was active on the node longer than the specified deadline",
            )
            self._stop.ask(self._grace)

    def _container(self, spec: Obj, policy: str, stop: Stop) -> Container:
        record = self.record.container(spec["name"])
        return Container(spec, record, policy, self, stop, self._host.timings, self._grace)

    async def _set_up(self) -> bool:
        attempt = 0
        while not self._stop.asked.is_set():
            try:
                refuse(self.pod)
                self._volumes = await self._prepared(self.pod["spec"].get("volumes") or [])
            except NotSupported as error:
                self._wait_all("CreateContainerError", str(error))
                self.note("Warning", "FailedMount", str(error))
                await self._stop.asked.wait()
            except (ConfigError, OSError) as error:
                self._wait_all("ContainerCreating", str(error))
                if attempt == 3:
                    self.note("Warning", "FailedMount", str(error))
                await self._stop.pause(self._host.timings.pause(attempt))
                attempt += 1
            else:
                self.changed()
                return True
        return False

    def _wait_all(self, reason: str, message: str) -> None:
        for spec in [*(self.pod["spec"].get("initContainers") or []), *self.pod["spec"]["containers"]]:
            self.record.container(spec["name"]).state = {"waiting": {"reason": reason, "message": message}}
        self.changed()

    async def _prepared(self, volumes: list[Obj]) -> dict[str, Path]:
        folders = {}
        renewals = []
        for volume in volumes:
            target = self._folder / "volumes" / volume["name"]
            folders[volume["name"]], renew_at = await prepare(volume, target, self._sources)
            if renew_at is not None:
                renewals.append(renew_at)
        self._renew_at = min(renewals, default=None)
        return folders

    async def _initialize(self, sidecars: list[asyncio.Task[None]]) -> bool:
        """Run the init containers one after another; False where the pod ends with them."""
        policy = self.pod["spec"].get("restartPolicy", "Always")
        for spec in self.pod["spec"].get("initContainers") or []:
            record = self.record.container(spec["name"])
            if is_sidecar(spec):
                container = self._container(spec, "Always", self._sidecar_stop)
                sidecars.append(asyncio.create_task(container.run()))
                while not record.started and not self._stop.asked.is_set():
                    await self._stop.pause(self._host.timings.retry)
                continue
            if record.exit_code == 0:
                record.ready = True
                continue
            await self._container(spec, "OnFailure" if policy != "Never" else "Never", self._stop).run()
            if record.exit_code != 0:
                if not self._stop.asked.is_set():
                    self._failure = ("", f"init container {spec['name']} failed")
                return False
            record.ready = True
            self.changed()
        return not self._stop.asked.is_set()

    # Status.

    def status(self) -> Obj:
        """The pod's status as it should be at the API server."""
        situation = PodSituation(
            addresses=(self.record.address, self._host.network.node_address),
            start_time=self._start_time,
            running=self._running,
            prepared=self._volumes is not None,
            failure=self._failure,
        )
        return pod_status(self._with_written_conditions(), self.record, situation, now=timestamp())

    def _with_written_conditions(self) -> Obj:
        """The pod as it is at the API server, also where the watch has not yet shown what was written."""
        before = self.pod.get("status") or {}
        written = (self._written or {}).get("conditions") or []
        latest = {one["type"]: one for one in before.get("conditions") or []}
        latest |= {one["type"]: one for one in written if one["type"] in OWN_CONDITIONS}
        return {**self.pod, "status": {**before, "conditions": list(latest.values())}}

    async def _publish(self) -> None:
        attempt = 0
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            status = self.status()
            if (
                self._frozen
                or status == self._written
                or (self.pod.get("status") or {}).get("phase") in _ENDED
            ):
                continue
            try:
                await self._host.write_status(self.pod, status)
            except (NotFound, Conflict):
                continue  # gone or another pod's name by now: the watch will say so
            except KubeError as error:
                if isinstance(error, Forbidden | Invalid):
                    self.note("Warning", "StatusRefused", str(error))
                self._dirty.set()
                await asyncio.sleep(self._host.timings.pause(attempt))
                attempt += 1
            else:
                self._written, attempt = status, 0

    async def _say_farewell(self) -> None:
        """The final status, then the pod's removal."""
        attempt = 0
        while not self._frozen and not self._gone:
            try:
                if (self.pod.get("status") or {}).get("phase") not in _ENDED:
                    await self._host.write_status(self.pod, self.status())
                await self._host.remove(self.pod)
            except (NotFound, Conflict):
                return
            except KubeError:
                await asyncio.sleep(self._host.timings.pause(attempt))
                attempt += 1
            else:
                return

    async def _renew(self) -> None:
        """Write volumes again when something they show has changed, or a token is due."""
        attempt = 0
        while True:
            await first_of(self._refresh.wait(), self._due())
            self._refresh.clear()
            written = [
                one
                for one in self.pod["spec"].get("volumes") or []
                if any(kind in one for kind in WRITTEN_KINDS)
            ]
            try:
                await self._prepared(written)
                attempt = 0
            except (ConfigError, OSError) as error:
                self.note("Warning", "FailedMount", str(error))
                self._refresh.set()
                await asyncio.sleep(self._host.timings.pause(attempt))
                attempt += 1

    async def _due(self) -> None:
        if self._renew_at is None:
            await asyncio.Event().wait()
        else:
            await asyncio.sleep(max(self._renew_at - time.time(), 0.0))

    # Where things are.

    @property
    def _listens_on(self) -> str:
        return self._host.network.listen_address(self.record.address)

    def _facts(self) -> PodFacts:
        return PodFacts(self.pod, self._listens_on, self._host.network.node_address)

    async def _read(self, kind: str, name: str) -> Obj | None:
        return await self._host.read(kind, self.pod["metadata"]["namespace"], name)

    async def _claim(self, name: str) -> Path:
        return self._host.claim_folder(self.pod["metadata"]["namespace"], name)


def _shown(spec: Obj) -> set[tuple[str, str]]:
    """(kind, name) of the objects that volumes show."""
    shown = set()
    for volume in spec.get("volumes") or []:
        for source in [volume, *((volume.get("projected") or {}).get("sources") or [])]:
            if "configMap" in source:
                shown.add(("ConfigMap", source["configMap"].get("name", "")))
            if "secret" in source:
                secret = source["secret"]
                shown.add(("Secret", secret.get("secretName") or secret.get("name", "")))
    return shown
