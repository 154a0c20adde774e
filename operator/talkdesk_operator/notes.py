"""What one pass finds out about one installation, gathered step by step and published once at its end."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from talkdesk_operator.confirm import (
    INSTALL_STATES,
    NOT_FOUND_STATE,
    UNINSTALLED_STATE,
    may_leave,
    uninstall_approved,
)
from talkdesk_operator.incumbent import Role
from talkdesk_operator.moments import moment
from talkdesk_operator.queue import Outcome
from talkdesk_operator.user_rules import UserRules

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from talkdesk_client import InstallationRef
    from talkdesk_crds.installation import Impending, TalkdeskInstallation, Users
    from talkdesk_operator.conditions import Verdict
    from talkdesk_operator.confirm import Given
    from talkdesk_operator.credentials import Unusable
    from talkdesk_operator.credentials_search import Found
    from talkdesk_operator.memory import InstallationMemory
    from talkdesk_operator.reading import Reading
    from talkdesk_operator.standing import Suspension
    from talkdesk_operator.tenant.facts import Facts, TrialFacts

_NOT_LIVE = frozenset({None, UNINSTALLED_STATE, NOT_FOUND_STATE})
#: Whoever is in one of these has not left, whatever was answered before.
_HERE = frozenset({"completed", *INSTALL_STATES})


@dataclass
class Notes:
    """About ``installation``, which is replaced by the API server's answer to each write."""

    installation: TalkdeskInstallation
    memory: InstallationMemory
    given: tuple[Given, ...]
    role: Role = Role.AWAITED
    #: Who holds the tenant; None where nobody does.
    holder: TalkdeskInstallation | None = None
    #: Who may enter, and as what: by the app and the installation.
    rules: UserRules = field(default_factory=UserRules)
    #: Why it is not served at present, None where nothing is against it.
    suspension: Suspension | None = None
    #: An end of access that Talkdesk's API alone tells of, whether it has come or is held back.
    impending: Impending | None = None
    #: Why it is served although Talkdesk's API says otherwise, as Ready shows it.
    held: Verdict | None = None
    #: A rule wants to know what Talkdesk says now.
    ask: bool = False
    #: What the tenant was last made from, if it was for this installation.
    stored: Facts | None = None
    ref: InstallationRef | Unusable | None = None
    #: The Secret whose credentials Talkdesk accepted in this very pass.
    worked: str | None = None
    #: The Secret that was acknowledged, and when we asked for new credentials: news of this very pass.
    acknowledged: str | None = None
    rotation_requested_at: str | None = None
    #: Read in this very pass; ``memory.reading`` is the newest of any pass.
    fresh: Reading | None = None
    users: Users | None = None
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    #: Its credentials' Secret, found by label, where no register names one.
    located: Found | None = None
    #: When it is deleted with all that was its own; None while nothing of the kind is due.
    retained_until: datetime | None = None
    #: That was judged in this pass.
    kept: bool = False
    #: The list of users was read and stored after ``fresh``.
    listed: bool = False
    #: Digest of the rules that the list was brought under, where ``listed``.
    user_rules: str | None = None
    #: How long access stays while the credentials are refused, None where no app says.
    grace: timedelta | None = None
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
    def trial(self) -> TrialFacts | None:
        """The trial as last read, from whatever time."""
        terms = self._terms
        return terms.trial if terms is not None else None

    @property
    def subscription_type(self) -> str | None:
        """Whether the plan is a trial's or paid for, as last read, from whatever time."""
        terms = self._terms
        return terms.subscription_type if terms is not None else None

    @property
    def _terms(self) -> Reading | Facts | None:
        """What tells of trial and subscription; a 404 does only where this process has read them before."""
        reading = self.reading
        if reading is None:
            return self.stored
        mute = reading.trial is None and reading.subscription_type is None
        return self.stored if reading.state == NOT_FOUND_STATE and mute else reading

    @property
    def live_since(self) -> str | None:
        """Since when Talkdesk has it, where no event says that it was installed; "" if that is unknown.

        Its object was deleted and made again by a later event. None where Talkdesk does not have it.
        """
        if self.installation.spec.talkdesk.installed is not None or self.state in _NOT_LIVE:
            return None
        return (self.located.created_at or "") if self.located is not None else ""

    @property
    def left(self) -> bool:
        """Uninstalled by what Talkdesk's API says, while no event says so.

        Once that was answered Talkdesk may have any word for who is gone: only a word for who is there counts
        against it, or an ``app.installed`` from after what was answered.
        """
        said = self.installation.spec.talkdesk
        if said.is_uninstalled:
            return False
        if self.state == UNINSTALLED_STATE:
            return True
        last = self.given[-1] if self.given else None
        if last is None or not last.is_uninstallation or self.state in _HERE:
            return False
        # Both times are Talkdesk's.
        asked, installed = moment(last.updated_at), moment(said.installed.at if said.installed else None)
        return asked is None or installed is None or installed <= asked

    @property
    def leaving(self) -> bool:
        """Uninstalled, by the event or by what Talkdesk says.

        Of an incumbent what Talkdesk says counts only once its access has ended (its role then says so).
        Of a superseded one it may have any word for it: nobody installs twice without uninstalling.
        """
        if self.installation.spec.talkdesk.is_uninstalled or self.role is Role.UNINSTALLED:
            return True
        return self.role is Role.SUPERSEDED and (may_leave(self.state) or uninstall_approved(self.given))


@dataclass
class Agenda:
    """When to look again, and whether anything failed; :meth:`outcome` sums it up for the queue."""

    waits: list[float] = field(default_factory=list)
    failed: bool = False
    retry_after: float | None = None
    #: Seconds until the clock decides something, whatever fails until then.
    deadlines: list[float] = field(default_factory=list)

    def look_in(self, seconds: float) -> None:
        """Look again in so many seconds at the latest; infinity asks for nothing."""
        if math.isfinite(seconds):
            self.waits.append(max(0.0, seconds))

    def decide_in(self, seconds: float) -> None:
        """Look again in so many seconds, for then the clock decides something: failures do not put it off."""
        self.look_in(seconds)
        if math.isfinite(seconds) and seconds > 0:
            self.deadlines.append(seconds)

    def fail(self, retry_after: float | None = None) -> None:
        """Something failed that is worth repeating."""
        self.failed = True
        if retry_after is not None:
            self.retry_after = max(retry_after, self.retry_after or 0.0)

    def outcome(self) -> Outcome:
        """What the pass came to."""
        deadline = min(self.deadlines, default=None)
        if self.failed:
            return Outcome(after=self.retry_after, failed=True, deadline=deadline)
        return Outcome(after=min(self.waits, default=None))
