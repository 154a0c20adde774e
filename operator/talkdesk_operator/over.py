"""Whether Talkdesk waits for nothing more about an installation, by its stored status. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_crds import conditions as types
from talkdesk_crds.conditions import Reason
from talkdesk_operator.conditions import find
from talkdesk_operator.confirm import ENDED_STATES

if TYPE_CHECKING:
    from talkdesk_crds.installation import TalkdeskInstallation

#: What follows one of these is another installation. A suspended one may still be uninstalled.
_LAST_STATES = ENDED_STATES - {"suspended"}


def answered(installation: TalkdeskInstallation) -> bool:
    """Talkdesk waits for nothing of what was said last."""
    confirmed = find(installation.status.conditions, types.CONFIRMED)
    return (
        confirmed is not None
        and confirmed.status == "True"
        and confirmed.observed_generation == installation.metadata.generation
    )


def is_over(installation: TalkdeskInstallation) -> bool:
    """It was uninstalled or has ended, and is never heard of again.

    Of one that no event has uninstalled, ``Confirmed`` alone tells nothing: it may be about its installation.
    """
    if installation.spec.talkdesk.is_uninstalled:
        return answered(installation)
    confirmed, shown = find(installation.status.conditions, types.CONFIRMED), installation.status.talkdesk
    state = shown.state if shown is not None else None
    if state in _LAST_STATES:
        return True
    if confirmed is None or not answered(installation):
        return False
    return confirmed.reason in (Reason.UNINSTALL_APPROVED, Reason.CREDENTIALS_REVOKED)
