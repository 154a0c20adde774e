"""``report.json``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from talkdesk_certify.result import Certification, CheckResult


def as_json(certification: Certification) -> str:
    """Items with their checks; ``status`` is pass, fail or skipped.

    ``{"items": [{"id", "title", "status", "checks": [{"id", "title", "status", "detail"}], "seconds"}],
    "questions": [{"id", "asks", "sentences", "checks", "screenshots"}]}`` and more.
    """
    return json.dumps(
        {
            "app": certification.app,
            "target": certification.target,
            "began": certification.began.isoformat(timespec="seconds"),
            "seconds": certification.seconds,
            "passed": certification.passed,
            "items": [
                {
                    "id": item.id,
                    "title": item.title,
                    "status": item.status,
                    "checks": [_check(one) for one in item.checks],
                    "seconds": item.seconds,
                }
                for item in certification.items
            ],
            "questions": [
                {
                    "id": one.question.id,
                    "asks": one.question.asks,
                    "sentences": one.question.sentences,
                    "checks": one.question.checks,
                    "screenshots": [check.screenshot for check in one.shown_by],
                }
                for one in certification.questions
            ],
        },
        indent=2,
        ensure_ascii=False,
    )


def _check(one: CheckResult) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": one.id,
        "title": one.title,
        "status": one.status,
        "detail": one.detail,
        "seconds": one.seconds,
    }
    if one.screenshot:
        told["screenshot"] = one.screenshot
    return told
