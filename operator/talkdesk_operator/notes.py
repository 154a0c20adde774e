"""What one pass finds out about one installation, gathered step by step and published once at its end."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from talkdesk_operator.incumbent import Role

if TYPE_CHECKING:
    from datetime import datetime

    from talkdesk_client import InstallationRef
    from talkdesk_crds.installation import Impending, TalkdeskInstallation, Users
    from talkdesk_operator.conditions import Verdict
    from talkdesk_operator.confirm import Given
    from talkdesk_operator.credentials import Unusable
    from talkdesk_operator.memory import InstallationMemory
    from talkdesk_operator.reading import Reading
    from talkdesk_operator.standing import Suspension


@dataclass
class Notes:
    """About ``installation``, which is replaced by the API server's answer to each write."""

    installation: TalkdeskInstallation
    memory: InstallationMemory
    given: tuple[Given, ...]
    role: Role = Role.AWAITED
    #: Why it is not served at present, None where nothing is against it.
    suspension: Suspension | None = None
    #: An end of access that Talkdesk's API alone tells of, whether it has come or is held back.
    impending: Impending | None = None
    #: Why it is served although Talkdesk's API says otherwise, as Ready shows it.
    held: Verdict | None = None
    ref: InstallationRef | Unusable | None = None
    #: Read in this very pass; ``memory.reading`` is the newest of any pass.
    fresh: Reading | None = None
    users: Users | None = None
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    #: The list of users was read and stored after ``fresh``.
    listed: bool = False
    #: When patience with what Talkdesk waits for ends, None where nobody waits for that.
    patience: datetime | None = None

    @property
    def name(self) -> str:
        """The installation's object name."""
        return self.installation.metadata.name

    @property
    def reading(self) -> Reading | None:
        """The newest reading, if it is of the present generation."""
        reading = self.fresh or self.memory.reading
        if reading is None or reading.generation != self.installation.metadata.generation:
            return None
        return reading

    @property
    def state(self) -> str | None:
        """Talkdesk's state as last known, from whatever time."""
        if self.reading is not None:
            return self.reading.state
        stored = self.installation.status.talkdesk
        return stored.state if stored is not None else None

    @property
    def leaving(self) -> bool:
        """Uninstalled, by the event or by what Talkdesk says."""
        return self.installation.spec.talkdesk.is_uninstalled or self.role is Role.UNINSTALLED


@dataclass
class Agenda:
    """When to look again, and whether anything failed."""

    waits: list[float] = field(default_factory=list)
    failed: bool = False
    retry_after: float | None = None

    def look_in(self, seconds: float) -> None:
        """Look again in so many seconds at the latest; infinity asks for nothing."""
        if math.isfinite(seconds):
            self.waits.append(max(0.0, seconds))

    def fail(self, retry_after: float | None = None) -> None:
        """Something failed that is worth repeating."""
        self.failed = True
        if retry_after is not None:
            self.retry_after = max(retry_after, self.retry_after or 0.0)
