"""What a process remembers between two passes. All of it can be lost: it only spares calls to Talkdesk."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from talkdesk_crds import conditions as types
from talkdesk_operator.conditions import find
from talkdesk_operator.confirm import is_pending
from talkdesk_operator.resync import resync_token
from talkdesk_operator.rotation import KeyMemory
from talkdesk_operator.standing.talkdesk_state import TROUBLED_STATES

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from talkdesk_crds.installation import TalkdeskInstallation
    from talkdesk_operator.mail.verdict import Failing
    from talkdesk_operator.reading import Reading

#: Where Talkdesk's API shows a settled state that is older than the newest event, it is asked so many times
#: more: it may lag behind the events it sends.
RECHECKS = 3
_TROUBLED = 600.0


@dataclass
class InstallationMemory:
    """About one installation."""

    reading: Reading | None = None
    resync_due: float | None = None
    rechecks: int = 0
    #: Since when Talkdesk answers 404 for it, and how often it has.
    missing_since: float | None = None
    missing: int = 0
    #: When the next routine reading has its turn.
    turn: float | None = None
    #: Since when a newer installation is known to hold the tenant, where that is news to this process.
    overtaken_at: float | None = None
    #: A pending (state, updated_at) whose event has not arrived, and since when that is known.
    unannounced: tuple[tuple[str, str | None], datetime] | None = None
    #: Since when what is owed has been tried, by :func:`talkdesk_operator.patience.tried`.
    tried: datetime | None = None
    #: (state, updated_at) for which the users were listed.
    listed_for: tuple[str, str | None] | None = None
    #: Of its tenant what no watch shows (Secrets) has not been brought to what it should be since a whole
    #: reading.
    secrets_due: bool = False
    #: Why the oldest mail that is owed could not be sent yet.
    mail_failing: Failing | None = None
    keys: KeyMemory = field(default_factory=KeyMemory)

    def read_again(self) -> None:
        """What Talkdesk said could not be stored: the next pass reads all of it, and lists the users."""
        self.resync_due, self.listed_for = -math.inf, None


@dataclass
class ProbeMemory:
    """About the probe of one tenant: what was last found, when, and since when it fails."""

    at: float = float("-inf")
    #: It is not asked before then.
    not_before: float = float("-inf")
    passed: bool = False
    message: str = "not asked yet"
    failing_since: float | None = None
    #: What the answer was about: the installation and the moment it waits in.
    about: object = None


@dataclass
class Memory:
    """About everything, by name."""

    installations: dict[str, InstallationMemory] = field(default_factory=dict)
    probes: dict[str, ProbeMemory] = field(default_factory=dict)
    #: Tenants by the ConfigMap of the operator's namespace that they have, or should have, a copy of.
    copied: dict[str, set[str]] = field(default_factory=dict)
    #: (tenant, Secret) of copies whose source was not there when it was last asked for.
    missed: set[tuple[str, str]] = field(default_factory=set)

    def of(self, installation: TalkdeskInstallation) -> InstallationMemory:
        """What is remembered of ``installation``; by uid, so that a restored object starts afresh."""
        key = installation.metadata.uid or installation.metadata.name
        return self.installations.setdefault(key, InstallationMemory())

    def known(self, installation: TalkdeskInstallation) -> InstallationMemory | None:
        """What is remembered of ``installation``, without beginning to."""
        return self.installations.get(installation.metadata.uid or installation.metadata.name)

    def probe(self, tenant: str) -> ProbeMemory:
        """What is remembered of the probe of ``tenant``."""
        return self.probes.setdefault(tenant, ProbeMemory())

    def forget(self, uid: str) -> None:
        """The installation was deleted."""
        self.installations.pop(uid, None)


@dataclass(frozen=True)
class Cadence:
    """How often Talkdesk is asked, in seconds. A ``resync`` of 0: only when something else asks for it."""

    resync: float
    pending: float
    draw: Callable[[], float] = random.random

    @property
    def troubled(self) -> float:
        """For installations that Talkdesk has ended, or says it does not know: that may be a mistake."""
        return min(self.resync, _TROUBLED) if self.resync else math.inf

    def next_resync(self, now: float) -> float:
        """When everything is read again: the interval give or take a tenth."""
        return now + self.resync * (0.9 + 0.2 * self.draw()) if self.resync else math.inf

    def first_resync(self, now: float) -> float:
        """After a start, somewhere within the interval: not everybody at once."""
        return now + self.resync * self.draw() if self.resync else math.inf


def due(
    installation: TalkdeskInstallation,
    memory: InstallationMemory,
    *,
    now: float,
    cadence: Cadence,
    incomplete: bool,
    unsettled: bool,
    ruled_anew: bool = False,
    overtaken: bool = False,
) -> float:
    """Seconds until the installation should be read from Talkdesk; 0 or less: now.

    :param incomplete: something that only Talkdesk knows (account, users) is missing here.
    :param unsettled: removals wait for a trustworthy list.
    :param ruled_anew: the users have to be listed again, under other rules.
    :param overtaken: a newer installation holds the tenant, and Talkdesk was not asked since.
    """
    if overtaken:
        return 0.0
    status = installation.status
    generation = installation.metadata.generation
    confirmed = find(status.conditions, types.CONFIRMED)
    if memory.resync_due is None:
        memory.resync_due = cadence.first_resync(now)
    waits = [memory.resync_due - now]
    reading = memory.reading
    if reading is None:
        current = confirmed is not None and confirmed.observed_generation == generation
        confident = current and confirmed is not None and confirmed.status == "True"
        confident = confident and (status.impending is None or not cadence.resync)
        if not confident or incomplete or unsettled or resync_token(installation) != status.observed_resync:
            return 0.0
        return 0.0 if ruled_anew else min(waits)
    if ruled_anew or reading.generation != generation or reading.resync_token != resync_token(installation):
        return 0.0
    again = reading.begun + cadence.pending - now
    if incomplete or unsettled or memory.rechecks > 0 or is_pending(reading.state):
        waits.append(again)
    if reading.state in TROUBLED_STATES:
        waits.append(reading.begun + cadence.troubled - now)
    return min(waits)
