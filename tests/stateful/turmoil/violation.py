"""What the machine finds: an invariant, by its name, and how it was broken."""

from __future__ import annotations

from enum import Enum


class Invariant(Enum):
    """What must hold, whatever happens in whatever order."""

    USABLE = "never approved before usable"
    TOLD = "never approved before the workload was told whom it serves"
    NEVER_REJECTED = "nothing is rejected while patience lasts"
    REFUSED_FIRST = "an uninstall is never approved before access is refused"
    STAYS_OUT = "never accessible after removal"
    SIGNED_OUT = "never signed in after a logout"
    ONE_TENANT = "at most one tenant per app, region and account"
    ANSWERED = "every pending request is answered in the end"
    AS_TALKDESK_SAYS = "users and access end as Talkdesk says"
    REPAIRED = "what was changed by hand is repaired in the end"
    NO_ORPHAN = "no orphan object after retention"
    QUIET = "no write when nothing changed"


class Violation(AssertionError):  # noqa: N818 - what a test is told, not an error of ours
    """An invariant was broken."""

    def __init__(self, invariant: Invariant, message: str) -> None:
        super().__init__(f"{invariant.value}: {message}")
        self.invariant = invariant
