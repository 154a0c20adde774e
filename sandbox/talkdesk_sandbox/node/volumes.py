"""A pod's volumes as folders: what each source holds, and writing it so that readers never see halves."""

from __future__ import annotations

import base64
import json
import os
import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from talkdesk_sandbox.node.environment import ConfigError, PodFacts, contents
from talkdesk_sandbox.node.probes import NotSupported

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

Obj = dict[str, Any]


@dataclass(frozen=True)
class Token:
    """A service account's token; when (Unix time) it should be replaced, and when it expires."""

    text: str = field(repr=False)
    renew_at: float
    expires_at: float


@dataclass
class Sources:
    """Where volumes get their content: objects of the pod's namespace, its tokens, folders of claims."""

    facts: PodFacts
    read: Callable[[str, str], Awaitable[Obj | None]]
    token: Callable[[Obj], Awaitable[Token]]
    claim: Callable[[str], Awaitable[Path]]
    api_server: str


@dataclass
class Content:
    """What a written volume holds: bytes and mode by relative path; ``renew_at`` if a token is among it."""

    files: dict[str, tuple[bytes, int]]
    renew_at: float | None = None
    token_path: str | None = None


WRITTEN_KINDS = ("configMap", "secret", "downwardAPI", "projected")


async def prepare(volume: Obj, folder: Path, sources: Sources) -> tuple[Path, float | None]:
    """Make one volume; gives its folder and when it must be written again for a token's sake.

    Raises `ConfigError` while something it needs is missing, and `NotSupported`.
    """
    if "emptyDir" in volume:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # noqa: ASYNC240 - microseconds, like all local files here
        return folder, None
    if "persistentVolumeClaim" in volume:
        return await sources.claim(volume["persistentVolumeClaim"]["claimName"]), None
    if not any(kind in volume for kind in WRITTEN_KINDS):
        kind = ", ".join(key for key in volume if key != "name")
        raise NotSupported(f"volume {volume['name']!r}: {kind} volumes are not supported by the local node")
    content = await content_of(volume, sources)
    if content.token_path is not None:
        content.files["kubeconfig"] = (_kubeconfig(content, folder, sources), 0o600)
    write_content(folder, content.files)
    return folder, content.renew_at


async def content_of(volume: Obj, sources: Sources) -> Content:
    """What a ConfigMap, Secret, downward API or projected volume should hold now."""
    if "projected" not in volume:
        kind = next(kind for kind in WRITTEN_KINDS if kind in volume)
        return await _source(kind, volume[kind], sources)
    whole = Content(files={})
    for each in volume["projected"].get("sources") or []:
        kind = next(iter(each))
        part = await _source(kind, each[kind], sources)
        whole.files |= part.files
        whole.token_path = part.token_path or whole.token_path
        times = [at for at in (whole.renew_at, part.renew_at) if at is not None]
        whole.renew_at = min(times, default=None)
    return whole


async def _source(kind: str, source: Obj, sources: Sources) -> Content:
    if kind in ("configMap", "secret"):
        return Content(await _entries("ConfigMap" if kind == "configMap" else "Secret", source, sources))
    if kind == "downwardAPI":
        return Content(
            {item["path"]: (_downward(item, sources).encode(), 0o600) for item in source.get("items") or []}
        )
    if kind == "serviceAccountToken":
        token = await sources.token(source)
        return Content({source["path"]: (token.text.encode(), 0o600)}, token.renew_at, source["path"])
    raise NotSupported(f"projected volume source {kind} is not supported by the local node")


async def _entries(kind: str, source: Obj, sources: Sources) -> dict[str, tuple[bytes, int]]:
    name = source.get("name") or source.get("secretName") or ""
    found = await sources.read(kind, name)
    if found is None:
        if source.get("optional"):
            return {}
        raise ConfigError(f'MountVolume.SetUp failed: {kind.lower()} "{name}" not found')
    held = contents(found)
    if not source.get("items"):
        return {key: (value, _mode(source)) for key, value in held.items()}
    chosen = {}
    for item in source["items"]:
        if item["key"] in held:
            chosen[item["path"]] = (held[item["key"]], _mode({**source, **item}))
        elif not source.get("optional"):
            raise ConfigError(f'MountVolume.SetUp failed: {kind.lower()} "{name}" has no key {item["key"]!r}')
    return chosen


def _mode(source: Obj) -> int:
    """The owner's part of the declared mode: all belongs to one user, and nobody else may read it."""
    declared = int(source.get("mode") or source.get("defaultMode") or 0o644)
    return (declared & 0o700) | 0o400


def _downward(item: Obj, sources: Sources) -> str:
    if "fieldRef" in item:
        return sources.facts.field(item["fieldRef"]["fieldPath"])
    reference = item["resourceFieldRef"]
    return sources.facts.resource(reference, {"name": reference.get("containerName", "")})


def _kubeconfig(content: Content, folder: Path, sources: Sources) -> bytes:
    """A kubeconfig for the pod's service account, beside its token.

    Client libraries look for the pod's credentials at a fixed absolute path, which no rewriting reaches; a
    program that takes a kubeconfig from its settings is given this file. It holds the token itself (some
    libraries read only that) and the token's path (others read it again before it expires).
    """
    path = content.token_path or ""
    token = content.files[path][0].decode()
    cluster: Obj = {"server": sources.api_server}
    if "ca.crt" in content.files:
        cluster["certificate-authority-data"] = base64.b64encode(content.files["ca.crt"][0]).decode()
    namespace = sources.facts.pod["metadata"]["namespace"]
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": cluster}],
        "users": [{"name": "pod", "user": {"token": token, "tokenFile": str(folder / path)}}],
        "contexts": [{"name": "pod", "context": {"cluster": "local", "user": "pod", "namespace": namespace}}],
        "current-context": "pod",
    }
    return json.dumps(config, indent=1).encode()  # JSON is YAML


def write_content(folder: Path, files: dict[str, tuple[bytes, int]]) -> None:
    """Write a volume as the kubelet does: a new folder, then one link ``..data`` switched over to it.

    Nothing happens when the content is what is already there.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    link = folder / "..data"
    if link.exists() and _read_back(link) == {path: content for path, (content, _) in files.items()}:
        return
    fresh = folder / f"..{time.time_ns()}"
    fresh.mkdir(mode=0o700)
    for path, (content, mode) in files.items():
        target = fresh / path
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    before = link.resolve() if link.exists() else None
    swap = folder / "..data_new"
    swap.unlink(missing_ok=True)
    swap.symlink_to(fresh.name)
    swap.replace(link)
    tops = {path.split("/", 1)[0] for path in files}
    for top in tops:
        if not (folder / top).is_symlink():
            (folder / top).symlink_to(f"..data/{top}")
    for entry in folder.iterdir():
        if entry.is_symlink() and not entry.name.startswith("..") and entry.name not in tops:
            entry.unlink()
    if before is not None:
        shutil.rmtree(before, ignore_errors=True)


def _read_back(link: Path) -> dict[str, bytes]:
    folder = link.resolve()
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
