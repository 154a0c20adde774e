"""``make bench-gateway``: measure, print, and write ``build/bench/gateway.json``. See ``bench/README.md``."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import platform
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gateway_bench import report, revocations, scale, throughput
from gateway_bench.load import Generator
from gateway_bench.report import Measured
from gateway_bench.stage import Size, opened
from talkdesk_kube.pod import configure_logging
from talkdesk_sandbox.controlplane import ControlPlane

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Plan:
    """How much is measured. ``seconds`` of load in each run."""

    size: Size = field(default_factory=lambda: Size(tenants=4, users=56))
    pairs: int = 7
    seconds: float = 5.0
    removals: int = 220
    tenants: int = 1000
    users: int = 50
    connections: int = 64


async def measure(
    plane: ControlPlane, folder: Path, plan: Plan, generator: Generator, *, tell: Callable[[str], None]
) -> Measured:
    """All of it, on a control plane that knows our kinds. Raises WrongAnswer, LoadError, NotReady."""
    async with opened(plane, folder, plan.size) as stage:
        tell(f"{len(stage.everyone)} users of {plan.size.tenants} tenants are signed in")
        rates = await throughput.measure(stage, generator, pairs=plan.pairs, seconds=plan.seconds, tell=tell)
        removed = await revocations.measure(stage, removals=plan.removals, tell=tell)
    held = await scale.measure(plane, folder, tenants=plan.tenants, users=plan.users, tell=tell)
    setting = {
        "cores": os.cpu_count(),
        "python": f"{platform.python_version()}, {platform.python_compiler()}, of {sys.base_prefix}",
        "envoy_workers": plan.size.workers,
        "gateways": plan.size.gateways,
        "connections": plan.connections,
        "load_before": os.getloadavg()[0],
    }
    return Measured(rates, removed, held, generator.name, setting)


@contextlib.contextmanager
def _control_plane() -> Iterator[ControlPlane]:
    """One whose etcd waits for the disk, with our kinds."""
    with ControlPlane.start(unsafe_no_fsync=False) as plane:
        files = [part for path in sorted((_ROOT / "crds").glob("*.yaml")) for part in ("-f", str(path))]
        plane.kubectl("apply", "--server-side", *files)
        plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", *files)
        yield plane


def main() -> None:
    """See the module. Ends with 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    usual = Plan()
    parser.add_argument("--output", type=Path, default=_ROOT / "build" / "bench" / "gateway.json")
    parser.add_argument("--pairs", type=int, default=usual.pairs)
    parser.add_argument("--seconds", type=float, default=usual.seconds)
    parser.add_argument("--removals", type=int, default=usual.removals)
    parser.add_argument("--tenants", type=int, default=usual.tenants)
    parser.add_argument("--workers", type=int, default=usual.size.workers)
    parser.add_argument("--gateways", type=int, default=usual.size.gateways)
    parser.add_argument("--connections", type=int, default=usual.connections)
    given = parser.parse_args()
    configure_logging(level="warning", format="text")
    began = time.monotonic()

    def tell(line: str) -> None:
        print(f"{time.monotonic() - began:5.0f} s  {line}", flush=True)

    users = -(-given.removals // usual.size.tenants) + 1
    plan = Plan(
        size=Size(usual.size.tenants, users, workers=given.workers, gateways=given.gateways),
        pairs=given.pairs,
        seconds=given.seconds,
        removals=given.removals,
        tenants=given.tenants,
        connections=given.connections,
    )
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, _control_plane() as plane:
        generator = Generator.here(Path(folder), connections=plan.connections)
        measured = asyncio.run(measure(plane, Path(folder), plan, generator, tell=tell))
    print("\n" + report.text(measured))
    report.write(measured, given.output)
    print(f"\nwritten: {given.output}")
    if missed := report.missed(report.report(measured)):
        raise SystemExit("missed: " + "; ".join(missed))


if __name__ == "__main__":
    main()
