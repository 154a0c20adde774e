"""Starting a node beside a control plane, for the sandbox and for tests."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from talkdesk_sandbox.controlplane.programs import Program
from talkdesk_sandbox.node.images import Image
from talkdesk_sandbox.node.timings import Timings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from talkdesk_sandbox.controlplane import ControlPlane

_START_SECONDS = 30.0
#: An image, or its entry point alone.
Declared: TypeAlias = "Sequence[str] | Image"


@dataclass
class Node:
    """A running node; get one from ``start``, end it with ``stop`` or a ``with`` block.

    ``directory`` holds its records, pods' volumes and logs, and ``node.log``.
    """

    directory: Path
    _program: Program = field(repr=False)
    _temporary: bool = field(default=False, repr=False)

    @classmethod
    def start(
        cls,
        control_plane: ControlPlane,
        images: Mapping[str, Declared],
        *,
        directory: Path | None = None,
        timings: Timings | None = None,
    ) -> Self:
        """Start a node as a child process that dies with this one; returns when it takes pods.

        :param images: image name without tag → the image, or its entry point alone.
        :param directory: where it keeps everything; a node started again with the same one goes on with its
            pods. By default it is in the control plane's, which goes even where this process is killed, and
            ``stop`` removes it.
        :param timings: back-off and graces.

        Raises `talkdesk_sandbox.controlplane.errors.StartError`, with the end of its log.
        """
        folder = directory or control_plane.directory / "node"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        declared = {name: _entry(image) for name, image in images.items()}
        (folder / "images.json").write_text(json.dumps(declared, indent=1))
        (folder / "ready.json").unlink(missing_ok=True)
        chosen = timings or Timings()
        command: list[str | Path] = [
            sys.executable, "-m", "talkdesk_sandbox.node",
            "--kubeconfig", control_plane.kubeconfig, "--network", control_plane.network_file,
            "--images", folder / "images.json", "--dir", folder,
            "--restart-base", str(chosen.restart.base), "--restart-cap", str(chosen.restart.cap),
            "--restart-reset", str(chosen.restart.reset), "--shutdown-grace", str(chosen.shutdown_grace),
            "--token-renewal", str(chosen.token_renewal),
        ]  # fmt: skip
        program = Program.start("node", command, log=folder / "node.log", env=dict(os.environ))
        node = cls(folder, program, _temporary=directory is None)
        try:
            program.wait_until((folder / "ready.json").exists, what="ready", seconds=_START_SECONDS)
        except BaseException:
            node.stop()
            raise
        return node

    @property
    def pid(self) -> int:
        """The node's process."""
        return self._program.process.pid

    def exit_code(self) -> int | None:
        """None while the node runs."""
        return self._program.process.poll()

    def check(self) -> None:
        """Raise StartError, with the end of its log, if it has ended by itself."""
        self._program.check()

    def stop(self) -> None:
        """End the node and with it every process of every pod. Idempotent."""
        self._program.stop(patience=_START_SECONDS)
        if self._temporary:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _entry(image: Declared) -> dict[str, Any]:
    return asdict(image if isinstance(image, Image) else Image(tuple(image)))
