from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from talkdesk_kube import EventRecorder, Kube, KubeSettings, RecorderLimits
from talkdesk_kube.events import NOTE_BYTES, Throttle, build
from talkdesk_kube.resources import CONFIG_MAPS, EVENTS, NAMESPACES, Obj

if TYPE_CHECKING:
    from pathlib import Path


def regarding(name: str = "a", **metadata: str) -> Obj:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}}


async def reported(kube: Kube, namespace: str) -> list[Obj]:
    return (await kube.list(EVENTS, namespace=namespace)).items


async def test_an_event_arrives_at_the_object_it_is_about(kube: Kube, namespace: str) -> None:
    made = await kube.create(CONFIG_MAPS, regarding(), namespace=namespace)
    about = {"apiVersion": "v1", "kind": "ConfigMap"} | made
    async with EventRecorder(kube, "operator", "elsewhere", instance="pod-1") as recorder:
        recorder.event(about, "Warning", "TemplateInvalid", "line é", "Render")
    (event,) = await reported(kube, namespace)
    assert event["regarding"] == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "a",
        "namespace": namespace,
        "uid": made["metadata"]["uid"],
        "resourceVersion": made["metadata"]["resourceVersion"],
    }
    assert {key: event[key] for key in ("type", "reason", "note", "action")} == {
        "type": "Warning",
        "reason": "TemplateInvalid",
        "note": "line é",
        "action": "Render",
    }
    assert event["reportingController"] == "talkdesk-operator.io/operator"
    assert event["reportingInstance"] == "pod-1"
    assert recorder.dropped == 0


async def test_what_is_too_long_is_cut_to_what_the_api_takes(kube: Kube, namespace: str) -> None:
    async with EventRecorder(kube, "webhook", namespace, instance="p" * 200) as recorder:
        recorder.event(regarding("n" * 253), "Normal", "R" * 200, "é" * 2000, "A" * 200)
    (event,) = await reported(kube, namespace)
    assert len(event["note"].encode()) <= NOTE_BYTES
    assert event["note"].endswith("é…")


async def test_an_event_about_a_namespace_goes_where_the_api_keeps_it(kube: Kube, namespace: str) -> None:
    about = {"apiVersion": "v1", "kind": "Namespace"} | await kube.get(NAMESPACES, namespace)
    async with EventRecorder(kube, "operator", namespace) as recorder:
        recorder.event(about, "Normal", "Made", "made", "Create")
    mine = [event for event in await reported(kube, "default") if event["regarding"]["name"] == namespace]
    assert [event["reason"] for event in mine] == ["Made"]
    assert recorder.dropped == 0


async def test_the_same_event_is_written_once_within_the_window(kube: Kube, namespace: str) -> None:
    now = 0.0
    async with EventRecorder(kube, "operator", namespace, clock=lambda: now) as recorder:
        for _ in range(10):
            recorder.event(regarding(), "Normal", "Ready", "it is", "Reconcile")
        recorder.event(regarding(), "Normal", "Ready", "it is again", "Reconcile")
        recorder.event(regarding("b"), "Normal", "Ready", "it is", "Reconcile")
        now = RecorderLimits().window
        recorder.event(regarding(), "Normal", "Ready", "it is", "Reconcile")
    assert sorted((e["regarding"]["name"], e["note"]) for e in await reported(kube, namespace)) == [
        ("a", "it is"),
        ("a", "it is"),
        ("a", "it is again"),
        ("b", "it is"),
    ]


async def test_a_flood_about_one_object_is_bounded_and_counted(kube: Kube, namespace: str) -> None:
    limits = RecorderLimits(burst=5)
    async with EventRecorder(kube, "operator", namespace, limits=limits) as recorder:
        for number in range(100):
            recorder.event(regarding(), "Normal", "Flood", f"note {number}", "Reconcile")
        recorder.event(regarding("b"), "Normal", "Calm", "note", "Reconcile")
    assert recorder.dropped == 95
    assert len(await reported(kube, namespace)) == 6


async def test_a_full_queue_drops_at_once(kube: Kube, namespace: str) -> None:
    recorder = EventRecorder(kube, "operator", namespace, limits=RecorderLimits(queue=3))
    for number in range(10):
        recorder.event(regarding(f"o{number}"), "Normal", "R", "n", "A")
    assert recorder.dropped == 7
    async with recorder:
        pass
    assert len(await reported(kube, namespace)) == 3


async def test_an_event_that_was_dropped_is_no_repetition(kube: Kube, namespace: str) -> None:
    recorder = EventRecorder(kube, "operator", namespace, limits=RecorderLimits(queue=1))
    recorder.event(regarding("first"), "Normal", "R", "n", "A")
    recorder.event(regarding("second"), "Normal", "R", "n", "A")
    async with recorder:
        await recorder._queue.join()
        recorder.event(regarding("second"), "Normal", "R", "n", "A")
    assert {event["regarding"]["name"] for event in await reported(kube, namespace)} == {"first", "second"}


async def test_a_failing_api_is_counted_and_raises_nothing(answering: Any) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=403, text="no")

    recorder = EventRecorder(await answering(handler), "operator", "n")
    async with recorder:
        for number in range(5):
            recorder.event(regarding(f"o{number}"), "Normal", "R", "n", "A")
    assert recorder.dropped == 5


async def test_an_api_that_does_not_answer_delays_neither_the_report_nor_the_end(answering: Any) -> None:
    async def handler(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        return web.Response()

    recorder = EventRecorder(await answering(handler), "operator", "n")
    await recorder.__aenter__()
    for number in range(5):
        recorder.event(regarding(f"o{number}"), "Normal", "R", "n", "A")
    began = time.monotonic()
    await recorder.close(seconds=0.05)
    assert time.monotonic() - began < 5
    assert recorder.dropped == 5


async def test_an_api_that_is_away_for_a_moment_loses_nothing(
    kube: Kube, namespace: str, relay: Any, eventually: Any
) -> None:
    async with await Kube.connect(KubeSettings(kubeconfig=relay.kubeconfig), user_agent="test") as through:
        relay.go_down()
        async with EventRecorder(through, "operator", namespace) as recorder:
            recorder.event(regarding(), "Normal", "R", "n", "A")
            await eventually(lambda: bool(relay.requests))
            relay.down = False
    assert len(await reported(kube, namespace)) == 1
    assert recorder.dropped == 0


@pytest.mark.parametrize(
    "about", [{}, {"metadata": {}}, {"metadata": None}, {"kind": "X", "metadata": {"name": "a"}}]
)
async def test_what_is_no_object_is_dropped(about: Any, tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").write_text(
        '{"clusters":[{"name":"c","cluster":{"server":"http://127.0.0.1:9"}}],"contexts":'
        '[{"name":"x","context":{"cluster":"c"}}],"current-context":"x"}'
    )
    async with await Kube.connect(
        KubeSettings(kubeconfig=tmp_path / "kubeconfig"), user_agent="test"
    ) as kube:
        recorder = EventRecorder(kube, "operator", "n")
        recorder.event(about, "Normal", "R", "n", "A")
        assert recorder.dropped == 1


def test_names_of_events_differ() -> None:
    made = [
        build(
            regarding(),
            type_="Normal",
            reason="R",
            note="n",
            action="A",
            controller="c",
            instance="i",
            namespace="n",
            now=datetime(2026, 1, 5, tzinfo=UTC),
        )
        for _ in range(50)
    ]
    assert len({event["metadata"]["name"] for event in made}) == 50
    assert made[0]["eventTime"] == "2026-01-05T00:00:00.000000Z"


def test_an_object_that_was_flooded_may_report_again_later() -> None:
    throttle = Throttle(RecorderLimits(burst=2, refill=60, window=1))
    assert [throttle.admits("o", "R", str(n), 0) for n in range(3)] == ["yes", "yes", "flood"]
    assert throttle.admits("o", "R", "3", 59) == "flood"
    assert throttle.admits("o", "R", "4", 61) == "yes"
    assert throttle.admits("o", "R", "5", 61) == "flood"
