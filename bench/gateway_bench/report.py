"""What was measured, as JSON and as a person reads it. Pure but for :func:`write`."""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from gateway_bench.revocations import steps

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gateway_bench.revocations import Revocation
    from gateway_bench.scale import Scale
    from gateway_bench.throughput import Throughput

#: What issue and README promise.
RATIO: Final = 0.42
REVOCATION_SECONDS: Final = 0.300
MEMORY_MB: Final = 250.0
READY_SECONDS: Final = 10.0

_BAR = 48


@dataclass(frozen=True)
class Measured:
    """Everything. ``generator`` is what made the load, ``setting`` what else one must know to compare."""

    throughput: Throughput
    revocations: list[Revocation]
    scale: Scale
    generator: str
    setting: dict[str, Any]


def percentile(values: Sequence[float], part: float) -> float:
    """The smallest of ``values`` that at least ``part`` (0 to 1) of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def report(measured: Measured) -> dict[str, Any]:
    """The figures that are promised: rates a second and latencies as medians of the runs."""
    runs = measured.throughput.runs
    refused = [one.refused for one in measured.revocations]
    return {
        "runs": len(runs["bare"]),
        "rates": {name: round(_median([load.rate for load in some]), 1) for name, some in runs.items()},
        "p50_ms": {name: round(_median([load.p50_ms for load in some]), 3) for name, some in runs.items()},
        "p99_ms": {name: round(_median([load.p99_ms for load in some]), 3) for name, some in runs.items()},
        "ratios": {"product_to_bare": round(_median(ratios(measured)), 3)},
        "revocation_s": {
            "n": len(refused),
            "p50": round(percentile(refused, 0.5), 4),
            "p99": round(percentile(refused, 0.99), 4),
        },
        "memory_mb": round(measured.scale.memory_mb, 1),
        "ready_s": round(measured.scale.ready_s, 2),
    }


def ratios(measured: Measured) -> list[float]:
    """The product to bare Envoy, pair by pair."""
    runs = measured.throughput.runs
    return [mine.rate / bare.rate for mine, bare in zip(runs["product"], runs["bare"], strict=True)]


def details(measured: Measured) -> dict[str, Any]:
    """What the figures were made from."""
    return {
        "generator": measured.generator,
        "setting": measured.setting,
        "ratios": [round(one, 3) for one in ratios(measured)],
        "runs": {name: [asdict(load) for load in some] for name, some in measured.throughput.runs.items()},
        "cpu_us": {name: measured.throughput.cpu_us(name) for name in measured.throughput.runs},
        "revocations": [asdict(one) for one in measured.revocations],
        "scale": asdict(measured.scale),
    }


def write(measured: Measured, path: Path) -> None:
    """``path``, and its details beside it. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report(measured), indent=1) + "\n", encoding="utf-8")
    path.with_name(f"{path.stem}-details.json").write_text(json.dumps(details(measured), indent=1) + "\n")


def missed(figures: dict[str, Any]) -> list[str]:
    """Targets that the report misses, as sentences."""
    found = []
    if figures["ratios"]["product_to_bare"] < RATIO:
        found.append(f"the product reaches {figures['ratios']['product_to_bare']} of bare Envoy, not {RATIO}")
    if figures["revocation_s"]["p99"] > REVOCATION_SECONDS:
        found.append(f"p99 of refusals is {figures['revocation_s']['p99']} s, not {REVOCATION_SECONDS}")
    if figures["memory_mb"] > MEMORY_MB:
        found.append(f"a gateway holds {figures['memory_mb']} MB, not {MEMORY_MB:.0f}")
    if figures["ready_s"] > READY_SECONDS:
        found.append(f"a gateway is ready after {figures['ready_s']} s, not {READY_SECONDS:.0f}")
    return found


def text(measured: Measured) -> str:
    """Tables, and the refusals as a chart."""
    return "\n".join(_lines(measured))


def _lines(measured: Measured) -> Iterator[str]:
    figures = report(measured)
    yield f"{figures['runs']} pairs, load by {measured.generator}; medians"
    yield f"{'':10}{'requests/s':>12}{'p50 ms':>9}{'p99 ms':>9}   CPU in µs a request"
    for name in measured.throughput.runs:
        cpu = measured.throughput.cpu_us(name)
        spent = ", ".join(f"{program} {used:.0f}" for program, used in cpu.items() if used >= 2.5)
        yield (
            f"{name:10}{figures['rates'][name]:12.0f}{figures['p50_ms'][name]:9.2f}"
            f"{figures['p99_ms'][name]:9.2f}   {spent}"
        )
    each = sorted(ratios(measured))
    yield (
        f"product ÷ bare: {figures['ratios']['product_to_bare']:.3f}"
        f" ({each[0]:.3f} to {each[-1]:.3f}; at least {RATIO})"
    )
    yield ""
    yield from _revoked(measured.revocations)
    yield ""
    scale = measured.scale
    yield (
        f"{scale.tenants} tenants of {scale.users} users: a gateway is ready after {scale.ready_s:.1f} s"
        f" (at most {READY_SECONDS:.0f}) and holds {scale.memory_mb:.0f} MB (at most {MEMORY_MB:.0f};"
        f" {scale.peak_mb:.0f} for a moment)"
    )


def _revoked(found: list[Revocation]) -> Iterator[str]:
    milliseconds = [1000 * one.refused for one in found]
    yield (
        f"{len(found)} removals, sent by Talkdesk → refused at the edge: median"
        f" {percentile(milliseconds, 0.5):.0f} ms, p99 {percentile(milliseconds, 0.99):.0f} ms"
        f" (at most {1000 * REVOCATION_SECONDS:.0f}), worst {max(milliseconds):.0f} ms"
    )
    yield from chart(milliseconds)
    yield f"{'where the time goes, in ms':45}{'median':>8}{'p99':>8}"
    for name, seconds in steps(found).items():
        spent = [1000 * one for one in seconds]
        yield f"  {name:43}{percentile(spent, 0.5):8.0f}{percentile(spent, 0.99):8.0f}"


def chart(milliseconds: Sequence[float], *, step: int = 20, rows: int = 20) -> Iterator[str]:
    """How many took how long; the last row is all that took longer."""
    counts = [0] * rows
    for one in milliseconds:
        counts[min(rows - 1, int(max(0.0, one) // step))] += 1
    filled = [number for number, count in enumerate(counts) if count]
    for number in range(filled[0], filled[-1] + 1):
        upto = (
            f"{number * step:4}…{(number + 1) * step}" if number < rows - 1 else f"{number * step:4} and more"
        )
        bar = "█" * math.ceil(_BAR * counts[number] / max(counts))
        yield f"  {upto:14}{counts[number]:5} {bar}"


def _median(values: Sequence[float]) -> float:
    return statistics.median(values)
