"""docs/security.md names tests that exist, and every requirement of the chapters that it is about."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)))
#: OWASP ASVS 5.0.0: how many requirements each section of V7, and of V10's parts for clients, has.
SECTIONS = {
    "7.1": 3, "7.2": 4, "7.3": 2, "7.4": 5, "7.5": 3, "7.6": 2, "10.1": 2, "10.2": 3, "10.5": 5,
}  # fmt: skip


@pytest.mark.parametrize(("file", "test"), NAMED, ids=lambda part: part)
def test_each_test_that_the_page_names_exists(file: str, test: str) -> None:
    source = (ROOT / "tests" / file).read_text(encoding="utf-8")
    assert re.search(rf"^(async )?def {test}\(", source, re.MULTILINE), f"{file} has no {test}"


def test_every_threat_has_a_test() -> None:
    threats = PAGE.partition("## Threats and answers")[2].partition("## What is not protected")[0]
    rows = [line for line in threats.splitlines() if line.startswith("| ") and not line.startswith("| ---")]
    rows = [line for line in rows if not line.startswith("| threat ")]
    assert len(rows) > 30
    assert [row for row in rows if "::" not in row] == []


def test_every_requirement_for_sessions_and_oauth_clients_is_answered() -> None:
    asked = {f"{section}.{number}" for section, most in SECTIONS.items() for number in range(1, most + 1)}
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.splitlines() if "|" in line]
    answered = {row[0]: row[2:] for row in rows if re.fullmatch(r"\d+\.\d+\.\d+", row[0])}
    assert asked - answered.keys() == set()
    for number in asked:
        met, how = answered[number]
        assert met in {"yes", "partly", "no", "not applicable", "Talkdesk's", "the app's"}, number
        assert how, number
