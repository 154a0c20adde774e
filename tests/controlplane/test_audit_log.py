"""The audit log is read while the API server writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_sandbox.controlplane.audit_log import entries

if TYPE_CHECKING:
    from pathlib import Path


def test_an_entry_that_was_half_there_at_the_position_is_none_since(tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"
    log.write_bytes(b'{"n": 1}\n{"n":')
    half = log.stat().st_size
    assert list(entries(log)) == [{"n": 1}]
    with log.open("ab") as more:
        more.write(b' 2}\n{"n": 3}\n{"n": 4')
    assert list(entries(log, since=half)) == [{"n": 3}]
    assert list(entries(log)) == [{"n": 1}, {"n": 2}, {"n": 3}]


def test_a_position_between_two_entries_leaves_none_of_them_out(tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"
    log.write_bytes(b'{"n": 1}\n')
    end = log.stat().st_size
    assert list(entries(log, since=end)) == []
    with log.open("ab") as more:
        more.write(b'{"n": 2}\n')
    assert list(entries(log, since=end)) == [{"n": 2}]


def test_only_entries_that_say_what_is_asked_for_are_read(tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"
    log.write_bytes(b'{"n": "ours"}\nno JSON, and nobody\'s\n{"n": "ours as well"}\n{"n": "ours, half')
    assert [entry["n"] for entry in entries(log, saying=(b"ours",))] == ["ours", "ours as well"]
