"""An installation that Talkdesk no longer knows: 404, to a token that works. Pure.

One such answer may be a hiccup; it is believed after a while of nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_operator.confirm import NOT_FOUND_STATE
from talkdesk_operator.reading import Reading
from talkdesk_operator.resync import resync_token

if TYPE_CHECKING:
    from talkdesk_crds.installation import TalkdeskInstallation
    from talkdesk_operator.memory import Cadence, InstallationMemory

#: So many answers in a row, over twice the time between readings of what is pending.
_ANSWERS = 3


def believed(memory: InstallationMemory, now: float, cadence: Cadence) -> bool:
    """Note another 404; whether it counts as the truth by now."""
    memory.missing += 1
    if memory.missing_since is None:
        memory.missing_since = now
    if memory.reading is not None and memory.reading.state == NOT_FOUND_STATE:
        return True
    return memory.missing >= _ANSWERS and now - memory.missing_since >= 2 * cadence.pending


def known(memory: InstallationMemory) -> None:
    """Talkdesk knows it."""
    memory.missing, memory.missing_since = 0, None


def reading(installation: TalkdeskInstallation, before: Reading | None, now: float) -> Reading:
    """What the 404 says, as a reading; account, subscription and trial stay what they were ``before``."""
    return Reading(
        begun=now,
        generation=installation.metadata.generation,
        resync_token=resync_token(installation),
        seen=frozenset(),
        state=NOT_FOUND_STATE,
        updated_at=None,
        admin=None,
        account=before.account if before is not None else None,
        plan=before.plan if before is not None else None,
        subscription_type=before.subscription_type if before is not None else None,
        trial=before.trial if before is not None else None,
        whole=False,
        details_of=(NOT_FOUND_STATE, None),
    )
