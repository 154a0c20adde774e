"""What to run for a container: image, command, environment and mounts put together."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from talkdesk_sandbox.node.environment import ConfigError, PodFacts, declared_environment
from talkdesk_sandbox.node.expansion import MountPaths, expand
from talkdesk_sandbox.node.guard import MARK
from talkdesk_sandbox.node.probes import NotSupported
from talkdesk_sandbox.node.process import Command

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from talkdesk_sandbox.node.images import Image

Obj = dict[str, Any]
_CANNOT = ("hostNetwork", "hostPID", "hostIPC")


def refuse(pod: Obj) -> None:
    """Raise `NotSupported` for what a local process cannot be given and a workload would miss."""
    spec = pod["spec"]
    for field in _CANNOT:
        if spec.get(field):
            raise NotSupported(f"{field} is not supported by the local node")
    for container in [*(spec.get("initContainers") or []), *spec["containers"]]:
        name = container["name"]
        if container.get("volumeDevices"):
            raise NotSupported(f"container {name!r}: volumeDevices are not supported by the local node")
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            if "grpc" in (container.get(kind) or {}):
                raise NotSupported(f"container {name!r}: {kind} over gRPC is not supported by the local node")


def mount_folders(container: Obj, volumes: Mapping[str, Path], env: Mapping[str, str]) -> dict[str, str]:
    """The folder (or file) behind each mountPath. Raises ConfigError for a subPath that leaves its volume."""
    folders = {}
    for mount in container.get("volumeMounts") or []:
        root = volumes[mount["name"]]
        below = mount.get("subPath") or expand(mount.get("subPathExpr", ""), env)
        if below.startswith("/") or ".." in Path(below).parts:
            raise ConfigError(f"subPath {below!r} of mount {mount['mountPath']!r} leaves its volume")
        target = root / below
        if not target.exists():
            target.mkdir(parents=True, mode=0o700)
        folders[mount["mountPath"]] = str(target)
    return folders


async def command_of(
    container: Obj,
    image: Image,
    *,
    facts: PodFacts,
    links: Mapping[str, str],
    volumes: Mapping[str, Path],
    read: Callable[[str, str], Awaitable[Obj | None]],
    folder: Path,
    mark: str,
    log: Path | None,
    words: list[str] | None = None,
) -> Command:
    """The program of a container, or ``words`` run beside it (a probe's or a hook's command).

    ``folder`` is where it runs if neither the container nor the image says where, ``mark`` tells whose it
    is. Mount paths are rewritten in what the pod's author wrote, never in the image's own words. Raises
    ConfigError.
    """
    plain = await declared_environment(container, facts=facts, links=links, paths=MountPaths({}), read=read)
    folders = mount_folders(container, volumes, plain)
    paths = MountPaths(folders)
    declared = await declared_environment(container, facts=facts, links=links, paths=paths, read=read)
    env = {**_surrounding(facts, folders, folder, mark), **image.env, **declared}

    def final(texts: list[str]) -> list[str]:
        return [expand(paths.rewrite(text), declared) for text in texts]

    if words is None:
        argv = image.argv(final(container.get("command") or []), final(container.get("args") or []))
    else:
        argv = [paths.rewrite(word) for word in words]
    if not argv:
        raise ConfigError(f"container {container['name']!r}: neither the image nor the pod says what to run")
    return Command(argv=argv, env=env, folder=_working_folder(container, image, paths) or folder, log=log)


def _working_folder(container: Obj, image: Image, paths: MountPaths) -> Path | None:
    """Where the container, else its image, says that programs run; None: neither does. Raises ConfigError.

    A workingDir that is neither on this machine nor in a volume can only be one of the image's: its files
    are in the folder that stands for it.
    """
    asked = container.get("workingDir") or ""
    real = paths.rewrite(asked)
    if asked and Path(real).is_dir():
        return Path(real)
    if real != asked:
        raise ConfigError(f"workingDir {asked!r} does not exist in its volume")
    if image.folder:
        if not Path(image.folder).is_dir():
            raise ConfigError(f"{image.folder}, the folder of image {container['image']!r}, does not exist")
        return Path(image.folder)
    if asked:
        raise ConfigError(f"workingDir {asked!r} does not exist on this machine and is not in a volume")
    return None


def _surrounding(facts: PodFacts, folders: Mapping[str, str], folder: Path, mark: str) -> dict[str, str]:
    """What a process has of the node's environment: next to nothing, so that nothing works by chance.

    An image has the public certificate authorities with it; here they are the machine's, also where those are
    in a file of its own.
    """
    programs = str(Path(sys.executable).parent)
    authorities = {name: os.environ[name] for name in ("SSL_CERT_FILE",) if name in os.environ}
    return {
        **authorities,
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "HOSTNAME": facts.field("metadata.name"),
        "HOME": str(folder),
        "TMPDIR": folders.get("/tmp", str(folder)),  # noqa: S108 - the path inside the container
        "LANG": "C.UTF-8",
        MARK: mark,
    }
