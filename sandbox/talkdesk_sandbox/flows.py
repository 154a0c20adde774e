"""Which connections NetworkPolicies let through, by an evaluator that somebody else wrote: cyclonus.

Nothing local enforces NetworkPolicy. So the objects that the API server holds are given to a program that
knows the specification, together with the connections in question. It is built once a machine into the
per-user cache, as the control plane's programs are.
Source: https://github.com/mattfenwick/cyclonus (``cyclonus analyze --mode query-traffic``).
"""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from talkdesk_sandbox.controlplane import builder, programs
from talkdesk_sandbox.controlplane.errors import AssetsError
from talkdesk_sandbox.controlplane.progress import shown
from talkdesk_sandbox.controlplane.recipe import Recipe, cache_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

_PROGRAM = "cyclonus"
_SECONDS = 60.0
_GIGABYTE = 10**9
#: The last line of each answer's table.
_ANSWER = re.compile(r"IS ALLOWED\?\s*\|\s*(TRUE|FALSE)", re.IGNORECASE)


@dataclass(frozen=True)
class Peer:
    """One end of a connection: a pod where ``namespace`` is given, else an address outside the cluster."""

    address: str
    namespace: str | None = None
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As the evaluator reads it."""
        if self.namespace is None:
            return {"IP": self.address}
        inside = {
            "Namespace": self.namespace,
            "NamespaceLabels": dict(self.namespace_labels),
            "PodLabels": dict(self.labels),
        }
        return {"IP": self.address, "Internal": inside}


@dataclass(frozen=True)
class Flow:
    """A connection; ``port_name`` is what the receiving container calls the port."""

    source: Peer
    destination: Peer
    port: int
    port_name: str = ""
    protocol: str = "TCP"

    def to_json(self) -> dict[str, Any]:
        """As the evaluator reads it."""
        return {
            "Source": self.source.to_json(),
            "Destination": self.destination.to_json(),
            "ResolvedPort": self.port,
            "ResolvedPortName": self.port_name,
            "Protocol": self.protocol,
        }


def recipe() -> Recipe:
    """The evaluator, as ``sandbox/flows/go.mod`` pins it."""
    package = Path(__file__).parent
    folders = (package / "_flows", package.parent / "flows")
    module = next((folder for folder in folders if (folder / "go.mod").is_file()), None)
    if module is None:
        raise AssetsError(f"no go.mod of the NetworkPolicy evaluator in or beside {package}")
    return Recipe(
        module=module,
        packages={_PROGRAM: "github.com/mattfenwick/cyclonus/cmd/cyclonus"},
        compile_bytes=_GIGABYTE,
        download_bytes=_GIGABYTE // 2,
        program_bytes=_GIGABYTE // 10,
    )


def evaluator(report: Callable[[str], None] | None = None) -> Path:
    """The evaluator's program, built if it is not there yet (two minutes); progress goes to ``report``.

    Raises AssetsError where it cannot be built.
    """
    with shown(report) as progress:
        return builder.build(recipe(), cache=cache_folder().parent / "flows", progress=progress) / _PROGRAM


def allowed(policies: Iterable[Mapping[str, Any]], flows: Sequence[Flow], *, program: Path) -> list[bool]:
    """Whether ``policies`` (NetworkPolicies, as the API server holds them) let each of ``flows`` through.

    Raises RuntimeError with the evaluator's words where it gives no answer.
    """
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder, "policies")
        given.mkdir()
        for number, policy in enumerate(policies):
            (given / f"{number}.yaml").write_text(json.dumps(policy))
        asked = Path(folder, "flows.json")
        asked.write_text(json.dumps([flow.to_json() for flow in flows]))
        command: list[str | Path] = [program, "analyze", "--mode", "query-traffic", "--policy-path", given]
        result = programs.run([*command, "--traffic-path", asked], text="", env={}, seconds=_SECONDS)
    answers = [answer.upper() == "TRUE" for answer in _ANSWER.findall(result.stdout)]
    if result.returncode != 0 or len(answers) != len(flows):
        raise RuntimeError(
            f"{program.name} answered {len(answers)} of {len(flows)} questions, exit code"
            f" {result.returncode}: {result.stderr[-2000:]}"
        )
    return answers
