"""PersistentVolumeClaims as folders: the provisioner of this node.

For each claim that has no volume, whatever its storage class says, a PersistentVolume reserved for it is
made; the real controller manager binds the two. The folder lives in the node's directory and goes when the
claim goes.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from typing import TYPE_CHECKING, Any

from talkdesk_kube.errors import AlreadyExists, KubeError, NotFound
from talkdesk_kube.resources import Resource
from talkdesk_sandbox.node.environment import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from talkdesk_kube import Kube
    from talkdesk_kube.reflector import Reflector
    from talkdesk_sandbox.node.timings import Timings

Obj = dict[str, Any]
PERSISTENT_VOLUMES = Resource("", "v1", "persistentvolumes", "PersistentVolume", namespaced=False)
PROVISIONER = "talkdesk-sandbox.local"
_LABEL = "talkdesk-sandbox.local/provisioned"


def volume_name(claim: Obj) -> str:
    """The name of a claim's volume, and of its folder."""
    return f"pvc-{claim['metadata']['uid']}"


def persistent_volume(claim: Obj, folder: Path) -> Obj:
    """The volume reserved for ``claim``; ``Retain``, for its folder is removed here and nowhere else."""
    metadata, spec = claim["metadata"], claim["spec"]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            "name": volume_name(claim),
            "labels": {_LABEL: "true"},
            "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER},
        },
        "spec": {
            "accessModes": spec["accessModes"],
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
            "hostPath": {"path": str(folder), "type": "DirectoryOrCreate"},
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": spec.get("storageClassName") or "",
            "volumeMode": spec.get("volumeMode", "Filesystem"),
        },
    }


class Claims:
    """Watches claims; ``run`` provides and removes until cancelled."""

    def __init__(self, kube: Kube, claims: Reflector, folder: Path, timings: Timings) -> None:
        self._kube = kube
        self._claims = claims
        self._folder = folder / "claims"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._timings = timings
        self._changed = asyncio.Event()
        claims.subscribe(lambda _key, _old, _new: self._changed.set())

    def folder(self, namespace: str, name: str) -> Path:
        """The folder of a bound claim. Raises ConfigError until it is bound."""
        claim = self._claims.store.get((namespace, name))
        if claim is None:
            raise ConfigError(f'persistentvolumeclaim "{name}" not found')
        if (claim.get("status") or {}).get("phase") != "Bound":
            raise ConfigError(f'persistentvolumeclaim "{name}" is not bound yet')
        volume = str(claim["spec"]["volumeName"])
        if volume != volume_name(claim):
            raise ConfigError(
                f'persistentvolumeclaim "{name}" is bound to volume {volume!r}, which is not this node\'s'
            )
        folder = self._folder / volume
        folder.mkdir(exist_ok=True, mode=0o700)
        return folder

    async def run(self) -> None:
        """See the class."""
        await self._claims.synced.wait()
        attempt = 0
        while True:
            self._changed.clear()
            try:
                await self._provide()
                await self._remove()
                attempt = 0
            except KubeError:
                await asyncio.sleep(self._timings.pause(attempt))
                attempt += 1
                continue
            await self._changed.wait()

    async def _provide(self) -> None:
        for claim in list(self._claims.store.values()):
            folder = self._folder / volume_name(claim)
            if (
                claim["spec"].get("volumeName")
                or folder.exists()
                or claim["metadata"].get("deletionTimestamp")
            ):
                continue
            # It may be there, made by a run of the node that ended before the folder was.
            with contextlib.suppress(AlreadyExists):
                await self._kube.create(PERSISTENT_VOLUMES, persistent_volume(claim, folder))
            folder.mkdir(exist_ok=True, mode=0o700)

    async def _remove(self) -> None:
        wanted = {volume_name(claim) for claim in self._claims.store.values()}
        for folder in list(self._folder.iterdir()):
            if folder.name in wanted:
                continue
            with contextlib.suppress(NotFound):
                await self._kube.delete(PERSISTENT_VOLUMES, folder.name)
            shutil.rmtree(folder, ignore_errors=True)
