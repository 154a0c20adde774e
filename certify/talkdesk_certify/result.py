"""What came of the checks, and what is left to a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - a field's type
from typing import Literal

from talkdesk_certify.questions import QUESTIONS, Question

Status = Literal["pass", "fail", "skipped"]


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """What came of a check; ``detail`` is what was seen, or why it was not looked at.

    ``screenshot`` is a path in the report's folder.
    """

    id: str
    title: str
    status: Status
    detail: str
    how: str = ""
    fix: str = ""
    seconds: float = 0.0
    screenshot: str | None = None


@dataclass(frozen=True, kw_only=True)
class ItemResult:
    """An item with its checks, in order."""

    id: str
    title: str
    checks: tuple[CheckResult, ...]
    seconds: float = 0.0

    @property
    def status(self) -> Status:
        """``fail`` if a check failed; ``skipped`` if none was made."""
        found = {one.status for one in self.checks}
        if "fail" in found:
            return "fail"
        return "pass" if "pass" in found else "skipped"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question, with the checks whose screenshots show what is meant."""

    question: Question
    shown_by: tuple[CheckResult, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Certification:
    """A whole run, against ``target``, begun at ``began`` (UTC)."""

    app: str
    target: str
    began: datetime
    seconds: float
    items: tuple[ItemResult, ...]

    @property
    def passed(self) -> bool:
        """No check failed, and at least one was made."""
        return {"pass"} <= {one.status for one in self.items} <= {"pass", "skipped"}

    def count(self, status: Status) -> int:
        """How many checks ended so."""
        return sum(check.status == status for item in self.items for check in item.checks)

    @property
    def questions(self) -> list[Asked]:
        """What a person has to look at: everything, with pictures where the checks of it passed."""
        return [Asked(question=one, shown_by=self._shown_by(one)) for one in QUESTIONS]

    def _shown_by(self, question: Question) -> tuple[CheckResult, ...]:
        found = [
            one
            for item in self.items
            for one in item.checks
            if question.is_about(one.id) and one.status == "pass" and one.screenshot
        ]
        # A reseller's pictures are for runs that looked at resellers alone.
        return tuple([one for one in found if one.id in question.checks] or found)
