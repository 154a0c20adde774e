"""``report.json``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from talkdesk_certify.result import Certification, CheckResult


def as_json(certification: Certification) -> str:
    """Items with their checks; ``status`` is pass, fail or skipped.

    ``{"items": [{"id", "title", "status", "checks": [{"id", "title", "status", "detail"}], "seconds"}]}``
    and more.
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
    if one.asks:
        told["asks"] = one.asks
    return told
