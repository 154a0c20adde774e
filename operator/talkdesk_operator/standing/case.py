"""What the rules look at, and what they say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from talkdesk_crds.app import TalkdeskApp
    from talkdesk_crds.conditions import Reason
    from talkdesk_crds.installation import TalkdeskInstallation
    from talkdesk_operator.conditions import Verdict
    from talkdesk_operator.incumbent import Role
    from talkdesk_operator.reading import Reading
    from talkdesk_operator.tenant.facts import TrialFacts


@dataclass(frozen=True)
class Case:
    """One installation, as a pass sees it.

    ``app`` is None where nobody declared it; ``reading`` is the newest of the present generation, None where
    Talkdesk has not been read since. ``state``, ``trial`` and ``subscription_type`` are what Talkdesk said of
    this installation last, at whatever time.
    """

    installation: TalkdeskInstallation
    role: Role
    app: TalkdeskApp | None
    reading: Reading | None
    state: str | None
    now: datetime
    trial: TrialFacts | None = None
    subscription_type: str | None = None
    #: What this pass found out about the credentials, None where it did not try.
    credentials: Verdict | None = None


@dataclass(frozen=True)
class Suspension:
    """Users are refused, for this reason; the workload is stopped as the plan says."""

    reason: Reason
    message: str
    #: Talkdesk's API alone says so, and no event or person does: the brake may hold it back.
    read: bool = False


@dataclass(frozen=True)
class Judgement:
    """What one rule says; ``look_at`` is when it may say something else without being woken.

    ``ask``: what Talkdesk says now would decide it; it has to be read.
    """

    suspension: Suspension | None = None
    look_at: datetime | None = None
    ask: bool = False


NO_OBJECTION = Judgement()
