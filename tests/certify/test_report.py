"""The report: what programs and people read of a run."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from markupsafe import escape

from talkdesk_certify.questions import QUESTIONS
from talkdesk_certify.report import as_json, as_junit, page, write
from talkdesk_certify.result import Certification, CheckResult, ItemResult, Status
from talkdesk_certify.run import SECTIONS, sections

if TYPE_CHECKING:
    from pathlib import Path


def _check(name: str, status: Status = "pass", **values: str) -> CheckResult:
    return CheckResult(
        id=name,
        title=f"title of {name}",
        status=status,
        detail=values.get("detail", "what was seen"),
        how="how it is looked at",
        fix=f"what to do about {name}",
        seconds=1.25,
        screenshot=values.get("screenshot"),
    )


def _run(*checks: CheckResult) -> Certification:
    item = ItemResult(id="2", title="First launch", checks=checks, seconds=3.5)
    began = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
    return Certification(app="Callboard", target="here", began=began, seconds=4.0, items=(item,))


def test_json_has_items_with_their_checks_statuses_details_and_seconds() -> None:
    told = json.loads(as_json(_run(_check("2.a"), _check("2.b", "fail", detail="no bar"))))
    assert told["passed"] is False
    (item,) = told["items"]
    assert {name: item[name] for name in ("id", "title", "status", "seconds")} == {
        "id": "2",
        "title": "First launch",
        "status": "fail",
        "seconds": 3.5,
    }
    assert [(one["id"], one["status"], one["detail"]) for one in item["checks"]] == [
        ("2.a", "pass", "what was seen"),
        ("2.b", "fail", "no bar"),
    ]


@pytest.mark.parametrize(
    ("statuses", "item", "passed"),
    [
        (["pass", "skipped"], "pass", True),
        (["pass", "fail"], "fail", False),
        (["skipped", "skipped"], "skipped", False),
        ([], "skipped", False),
    ],
)
def test_an_item_fails_by_one_check_and_a_run_that_looked_at_nothing_has_not_passed(
    statuses: list[Status], item: str, passed: bool
) -> None:
    run = _run(*(_check(f"2.{number}", status) for number, status in enumerate(statuses)))
    assert run.items[0].status == item
    assert run.passed is passed


def test_junit_counts_failures_and_skips_and_bears_whatever_an_app_says() -> None:
    run = _run(_check("2.a"), _check("2.b", "fail", detail="it said \x00\x1b <b>&"), _check("2.c", "skipped"))
    root = ET.fromstring(as_junit(run))  # noqa: S314 - our own
    (suite,) = root
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")
    failure = root.find(".//failure")
    assert failure is not None
    assert failure.get("message") == "it said \ufffd\ufffd <b>&"
    assert "what to do about 2.b" in (failure.text or "")


def test_the_page_says_what_failed_and_what_to_do_and_escapes_what_apps_say() -> None:
    text = page(_run(_check("2.a"), _check("2.b", "fail", detail="<script>alert(1)</script>")))
    assert "what to do about 2.b" in text
    assert "what to do about 2.a" not in text
    assert "<script>" not in text
    assert not re.search(r'(src|href)="(https?:)?//', text)


@pytest.mark.parametrize("status", ["pass", "fail", "skipped"])
def test_every_question_is_asked_with_its_picture_where_the_check_passed(status: Status) -> None:
    run = _run(_check("2.purpose", status, screenshot="screenshots/2.purpose.jpeg"))
    text, told = page(run), json.loads(as_json(run))["questions"]
    assert [one["id"] for one in told] == [one.id for one in QUESTIONS]
    for one in QUESTIONS:
        assert str(escape(one.asks)) in text
        assert f'id="{one.id}"' in text
    shown = {one["id"]: one["screenshots"] for one in told if one["screenshots"]}
    passed = status == "pass"
    assert shown == ({"ask.purpose": ["screenshots/2.purpose.jpeg"]} if passed else {})
    # Beside the check it is asked once more.
    assert text.count("For you:") == int(passed)
    assert text.count('src="screenshots/2.purpose.jpeg"') == 1 + int(passed)


def test_a_reseller_is_shown_where_nobody_else_was_looked_at() -> None:
    def shown(*names: str) -> list[str]:
        run = _run(*(_check(name, screenshot=name) for name in names))
        return [one.id for asked in run.questions for one in asked.shown_by]

    assert shown("2.purpose", "8.2.purpose") == ["2.purpose"]
    assert shown("8.2.purpose") == ["8.2.purpose"]


def test_all_three_are_written_into_the_folder(tmp_path: Path) -> None:
    write(_run(_check("2.a")), tmp_path / "new")
    assert {one.name for one in (tmp_path / "new").iterdir()} == {"index.html", "report.json", "junit.xml"}


def test_items_are_named_by_number_and_item_8_by_its_parts_too() -> None:
    assert sections([]) == frozenset(SECTIONS)
    assert sections(["8"]) == {f"8.{number}" for number in range(1, 7)}
    assert sections(["8.2", "9"]) == {"8.2", "9"}
    for wrong in ("10", "8.7", "x", ""):
        with pytest.raises(ValueError, match="there is no item"):
            sections([wrong])
