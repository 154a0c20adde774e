"""What came of the checks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - a field's type
from typing import Literal

Status = Literal["pass", "fail", "skipped"]


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """What came of a check; ``detail`` is what was seen, or why it was not looked at.

    ``screenshot`` is a path in the report's folder, ``asks`` the question that is left to a person.
    """

    id: str
    title: str
    status: Status
    detail: str
    how: str = ""
    fix: str = ""
    seconds: float = 0.0
    screenshot: str | None = None
    asks: str | None = None


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
    def questions(self) -> list[CheckResult]:
        """What a person has to look at: only where there is something to see."""
        return [one for item in self.items for one in item.checks if one.asks and one.status == "pass"]
