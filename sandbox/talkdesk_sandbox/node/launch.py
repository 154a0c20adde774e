"""Starting a node beside a control plane, for the sandbox and for tests."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from talkdesk_sandbox.controlplane.programs import Program
from talkdesk_sandbox.node.timings import Timings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from talkdesk_sandbox.controlplane import ControlPlane

_START_SECONDS = 30.0


@dataclass
class Node:
    """A running node; get one from ``start``, end it with ``stop`` or a ``with`` block.

    ``directory`` holds its records, pods' volumes and logs, and ``node.log``; it is removed by ``stop``
    where ``start`` made it.
    """

    directory: Path
    _program: Program = field(repr=False)
    _temporary: bool = field(default=False, repr=False)

    @classmethod
    def start(
        cls,
        control_plane: ControlPlane,
        images: Mapping[str, Sequence[str] | Mapping[str, Any]],
        *,
        directory: Path | None = None,
        timings: Timings | None = None,
    ) -> Self:
        """Start a node as a child process that dies with this one; returns when it takes pods.

        :param images: image name without tag → its entry point, or ``{"command": […], "args": […], "env":
        :param images: image name without tag → its entry point, or ``{"command": […], "args": […], "env":
            {…}}``. :param directory: where it keeps everything; a node started again with the same one goes
            on with its pods.
        :param timings: back-off and graces.

        Raises `talkdesk_sandbox.controlplane.errors.StartError`, with the end of its log.
        """
        folder = directory or Path(tempfile.mkdtemp(prefix="talkdesk-node-"))
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

    def stop(self) -> None:
        """End the node and with it every process of every pod. Idempotent."""
        self._program.stop(patience=_START_SECONDS)
        if self._temporary:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _entry(image: Sequence[str] | Mapping[str, Any]) -> dict[str, Any]:
    return {"command": list(image)} if not hasattr(image, "keys") else dict(image)  # type: ignore[arg-type]  # told apart by keys()
