"""A short ``make bench-gateway``: all is measured and nobody refused wrongly; no figure is judged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from gateway_bench import report
from gateway_bench.__main__ import Plan, measure
from gateway_bench.load import Generator
from gateway_bench.report import REVOCATION_SECONDS, chart, missed, percentile
from gateway_bench.stage import Size

if TYPE_CHECKING:
    from pathlib import Path

    from talkdesk_sandbox.controlplane import ControlPlane

SHORT = Plan(
    size=Size(tenants=2, users=3), pairs=1, seconds=0.5, removals=4, tenants=20, users=5, connections=8
)


async def test_a_short_run_measures_everything_and_refuses_nobody_wrongly(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    told: list[str] = []
    # What CI has; wrk may be missing there.
    generator = Generator(tmp_path, wrk=None, connections=SHORT.connections)
    measured = await measure(control_plane, tmp_path, SHORT, generator, tell=told.append)
    path = tmp_path / "build" / "gateway.json"
    report.write(measured, path)
    written: dict[str, Any] = json.loads(path.read_text())
    assert set(written) == {
        "runs", "rates", "p50_ms", "p99_ms", "ratios", "revocation_s", "memory_mb", "ready_s"
    }  # fmt: skip
    assert written["runs"] == 1
    for figures in (written["rates"], written["p50_ms"], written["p99_ms"]):
        assert set(figures) == {"bare", "product", "endpoint"}
        assert all(figure > 0 for figure in figures.values())
    assert set(written["ratios"]) == {"product_to_bare"}
    assert written["revocation_s"]["n"] == SHORT.removals
    assert 0 < written["revocation_s"]["p50"] <= written["revocation_s"]["p99"]
    assert written["memory_mb"] > 10
    assert written["ready_s"] > 0
    # The parts of a removal are in their order, whatever they took. What a write leads to may show before the
    # write itself is on record, where the machine is busy.
    for one in measured.revocations:
        assert min(one.stored, one.begun) > 0
        assert one.begun <= min(one.written, one.refused + 0.001)
    assert "where the time goes" in report.text(measured)
    assert json.loads(path.with_name("gateway-details.json").read_text())["generator"] == "python"


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({}, None),
        ({"ratios": {"product_to_bare": 0.41}}, "0.41 of bare Envoy"),
        ({"revocation_s": {"n": 200, "p50": 0.1, "p99": 0.301}}, "p99 of refusals"),
        ({"memory_mb": 251.0}, "holds 251.0 MB"),
        ({"ready_s": 10.5}, "ready after 10.5 s"),
    ],
)
def test_a_missed_target_is_said(changed: dict[str, Any], sentence: str | None) -> None:
    figures: dict[str, Any] = {
        "ratios": {"product_to_bare": 0.42},
        "revocation_s": {"n": 200, "p50": 0.1, "p99": REVOCATION_SECONDS},
        "memory_mb": 250.0,
        "ready_s": 10.0,
    }
    found = missed({**figures, **changed})
    assert len(found) == (sentence is not None)
    assert sentence is None or sentence in found[0]


def test_the_99th_percentile_of_200_is_the_third_largest() -> None:
    assert percentile([float(number) for number in range(200)], 0.99) == 197.0
    assert percentile([1.0], 0.99) == 1.0


def test_the_chart_counts_every_removal_once_and_the_slow_ones_in_its_last_row() -> None:
    rows = list(chart([45.0, 46.0, 90.0, 5000.0], step=20, rows=10))
    assert [int(row[16:21]) for row in rows if int(row[16:21])] == [2, 1, 1]
    assert "180 and more" in rows[-1]
