"""What is built: the Go module, its programs and flags, and the cache folder that follows from them."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from talkdesk_sandbox.controlplane.errors import AssetsError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PACKAGES: Mapping[str, str] = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
    "helm": "helm.sh/helm/v4/cmd/helm",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
}
_GIGABYTE = 10**9


@dataclass(frozen=True)
class Recipe:
    """Programs of one Go module.

    Attributes:
        module: folder with go.mod and go.sum; only read.
        packages: file name of each program and the Go package it is built from, in the order of building.
        ldflags: for the linker.
        compile_bytes: how much Go's build cache and its working files grow from nothing.
        download_bytes: how much Go's module cache grows from nothing.
        program_bytes: how much the programs have.
    """

    module: Path
    packages: Mapping[str, str]
    ldflags: str = "-s -w"
    compile_bytes: int = 0
    download_bytes: int = 0
    program_bytes: int = 0

    @property
    def flags(self) -> list[str]:
        """Flags of ``go build``."""
        return ["-mod=readonly", "-trimpath", "-buildvcs=false", f"-ldflags={self.ldflags}"]

    @property
    def go_version(self) -> str:
        """The oldest Go that go.mod accepts. AssetsError if the module cannot be read."""
        return _found(r"^go (\S+)$", _read(self.module / "go.mod").decode(), "a go line")

    @property
    def digest(self) -> str:
        """Changes with everything that makes the programs other programs."""
        digest = hashlib.sha256()
        flags = "\0".join([*self.flags, *(f"{name}={path}" for name, path in self.packages.items())])
        machine = f"{sys.platform}/{platform.machine()}"
        parts = (
            _read(self.module / "go.mod"),
            _read(self.module / "go.sum"),
            flags.encode(),
            machine.encode(),
        )
        for part in parts:
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.hexdigest()[:16]

    def folder(self, cache: Path) -> Path:
        """Where under ``cache`` the programs are."""
        return cache / self.digest


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise AssetsError(f"cannot read {path}, which pins the control plane's programs: {error}") from error


def _found(pattern: str, text: str, what: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    if match is None:
        raise AssetsError(f"go.mod of the control plane has no {what}: is this copy of the sources complete?")
    return match.group(1)


def cache_folder() -> Path:
    """The per-user cache: below XDG_CACHE_HOME, or ~/.cache where that is unset or relative."""
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    base = named if named.is_absolute() else Path.home() / ".cache"
    return base / "talkdesk-operator" / "controlplane"


def module_folder() -> Path:
    """The Go module that pins the programs: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).parent.parent
    for folder in (package / "_controlplane", package.parent / "controlplane"):
        if (folder / "go.mod").is_file():
            return folder
    raise AssetsError(
        f"no go.mod of the control plane in or beside {package}: the installation is incomplete"
    )


def control_plane_recipe() -> Recipe:
    """The real control plane, with the versions of go.mod stamped into the programs.

    Without the stamp kubectl cannot parse the server's version.
    """
    module = module_folder()
    text = _read(module / "go.mod").decode()
    kubernetes = _found(r"^\s*k8s\.io/kubernetes (v\S+)", text, "k8s.io/kubernetes")
    helm = _found(r"^\s*helm\.sh/helm/v4 (v\S+)", text, "helm.sh/helm/v4")
    major, minor = kubernetes.removeprefix("v").split(".")[:2]
    version = "k8s.io/component-base/version"
    stamps = {
        f"{version}.gitVersion": kubernetes,
        f"{version}.gitMajor": major,
        f"{version}.gitMinor": minor,
        "helm.sh/helm/v4/internal/version.version": helm,
    }
    return Recipe(
        module=module,
        packages=_PACKAGES,
        ldflags=" ".join(["-s -w", *(f"-X {name}={value}" for name, value in stamps.items())]),
        compile_bytes=4 * _GIGABYTE,
        download_bytes=3 * _GIGABYTE // 2,
        program_bytes=_GIGABYTE // 2,
    )
