"""Two sets of credentials side by side: which to use, when to acknowledge, when to ask for new ones. Pure.

No field of Talkdesk's tells a routine rotation (both sets work for a week) from a compromise (the old one is
dead at once). So the newest set is tried first, the one in use serves until then, and it is dropped for good
at its first refusal or once the newest has worked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from talkdesk_operator.moments import moment

if TYPE_CHECKING:
    from talkdesk_crds.installation import TalkdeskInstallation

#: Without an acknowledgement Talkdesk ends the old set after so long.
OLD_SET_LASTS = timedelta(days=7)
#: A request of ours whose event never came is repeated after this part of the interval between two.
REPEATED_AFTER = 0.2
#: The longest pause between two attempts with a newest set that is refused while the old one works.
LONGEST_PAUSE = 900.0


@dataclass
class KeyMemory:
    """What a process remembers of an installation's sets; lost with it, and found out again."""

    #: Refused, or replaced by one that worked: never tried again.
    dropped: set[str] = field(default_factory=set)
    #: The newest set was refused so many times while the old one worked, and is tried again then (monotonic).
    refusals: int = 0
    retry_at: float = 0.0
    #: Which Secret ``status.credentials`` has named since when (monotonic).
    settled: tuple[str, float] | None = None


def in_order(
    newest: str | None, in_use: str | None, memory: KeyMemory, *, now: float, first: bool = False
) -> tuple[str, ...]:
    """The Secrets to try, one after the other.

    :param first: the newest first, however recently it was refused: there is news about the installation.
    """
    if newest is None:
        return (in_use,) if in_use is not None and in_use not in memory.dropped else ()
    if in_use is None or in_use == newest or in_use in memory.dropped:
        return (newest,)
    tried_lately = memory.refusals > 0 and now < memory.retry_at and not first
    return (in_use, newest) if tried_lately else (newest, in_use)


def refused(memory: KeyMemory, name: str, *, newest: str | None, now: float, pause: float) -> None:
    """Note that Talkdesk refused the set ``name`` (401): an old one is dropped, the newest tried later."""
    if name != newest:
        memory.dropped.add(name)
        return
    memory.refusals += 1
    memory.retry_at = now + min(LONGEST_PAUSE, pause * 2.0 ** min(memory.refusals - 1, 20))


def worked(memory: KeyMemory, name: str, *, newest: str | None, in_use: str | None) -> None:
    """Note that the set ``name`` worked: where it is the newest, the one before is dropped."""
    if name != newest:
        return
    memory.refusals, memory.retry_at = 0, 0.0
    memory.dropped.discard(name)
    if in_use is not None and in_use != newest:
        memory.dropped.add(in_use)


def came_by_rotation(installation: TalkdeskInstallation) -> bool:
    """The newest set came after the one of the installation, which nobody has to acknowledge."""
    said = installation.spec.talkdesk
    if said.credentials is None:
        return False
    return said.installed is None or said.credentials.event != said.installed.event


def owes_acknowledgement(installation: TalkdeskInstallation) -> bool:
    """The newest set is in use, for whoever reads status, and Talkdesk has not been told."""
    said, status = installation.spec.talkdesk, installation.status
    return (
        said.credentials is not None
        and came_by_rotation(installation)
        and status.credentials == said.credentials.secret
        and status.acknowledged != said.credentials.secret
    )


def old_set_ends(installation: TalkdeskInstallation, *, acknowledged: str | None) -> datetime | None:
    """When the set before the newest ends by itself; None where there is none, or it was given up."""
    register = installation.spec.talkdesk.credentials
    if register is None or not came_by_rotation(installation) or acknowledged == register.secret:
        return None
    began = moment(register.at)
    return began + OLD_SET_LASTS if began is not None else None


def request_at(installation: TalkdeskInstallation, *, every: timedelta) -> datetime | None:
    """When to ask for new credentials; None for never.

    A rotation whose event was lost shows nowhere, and its old set, ours, dies after a week. A set of ours
    that is younger than that cannot have been replaced for so long.

    :param every: the age at which a set is replaced; zero switches it off.
    """
    said, status = installation.spec.talkdesk, installation.status
    if every <= timedelta(0) or said.credentials is None or status.credentials != said.credentials.secret:
        return None
    born = moment(said.credentials.at) or moment(installation.metadata.creation_timestamp)
    if born is None:
        return None
    asked = moment(status.rotation_requested_at)
    due = born + every
    # Asked for already, and nothing came: once more.
    return due if asked is None or asked < due else asked + every * REPEATED_AFTER
