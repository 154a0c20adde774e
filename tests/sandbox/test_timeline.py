"""What a person sees of the sandbox: no entry of the ledger is too odd to be told."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from talkdesk_sandbox.talkdesk.ledger import Ledger
from talkdesk_sandbox.timeline import Timeline


def _told(entry: dict[str, Any]) -> str:
    file = io.StringIO()
    Timeline(Console(file=file)).ledger(entry)
    return " ".join(file.getvalue().split())


def test_an_event_without_a_type_is_told_as_an_event() -> None:
    ledger = Ledger(lambda: datetime.now(UTC))
    ledger.add("delivery", status=200, seconds=0.1, event_type=None, detail={"attempt": 1})
    assert "Talkdesk sent an event 0.10s answered 200" in _told(ledger.since(0)[0])


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"kind": "delivery", "event_type": "app.x", "status": 202}, "Talkdesk sent app.x answered 202"),
        ({"kind": "delivery", "event_type": "[/x]", "detail": {"error": "lost"}}, "sent [/x] answered lost"),
        ({"kind": "delivery"}, "Talkdesk sent an event answered no answer"),
        ({"kind": "transition", "detail": {"answer": "approve"}}, "answered approve None → None (no effect)"),
        ({"kind": "transition"}, ""),
        ({}, ""),
    ],
)
def test_an_entry_that_lacks_something_is_told_as_far_as_it_goes(entry: dict[str, Any], told: str) -> None:
    assert told in _told(entry)
    assert bool(told) == bool(_told(entry))


@pytest.mark.parametrize(
    "text",
    ["command: [/bin/sh, -c]", "quota[requests.cpu] is used up", "[red]x[/red]", "a:cat:b", "ends with \\"],
)
def test_what_is_said_is_plain_text_whatever_it_looks_like(text: str) -> None:
    file = io.StringIO()
    timeline = Timeline(Console(file=file))
    timeline.say(text)
    timeline.up(text, 0.5)
    timeline.heading(text)
    said, up, *_, heading = file.getvalue().splitlines()
    assert said == heading == text
    assert " ".join(text.partition(": ")[::2]).strip() in re.sub(r"\s+[\d.]+s\s+", " ", up)
