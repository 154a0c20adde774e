"""Whether Talkdesk waits for nothing more about an installation, by its stored status. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_crds import conditions as types
from talkdesk_crds.conditions import Reason
from talkdesk_operator.confirm import ENDED_STATES, UNINSTALLED_STATE

if TYPE_CHECKING:
    from talkdesk_crds.installation import TalkdeskInstallation
    from talkdesk_crds.meta import Condition

#: What follows one of these is another installation. A suspended one may still be uninstalled.
_LAST_STATES = ENDED_STATES - {"suspended"}
_LEFT = frozenset({Reason.UNINSTALL_APPROVED.value, Reason.CREDENTIALS_REVOKED.value})


def answered(installation: TalkdeskInstallation) -> bool:
    """Talkdesk waits for nothing of what was said last."""
    confirmed = _confirmed(installation)
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
    confirmed, shown = _confirmed(installation), installation.status.talkdesk
    left = confirmed is not None and confirmed.reason in _LEFT and answered(installation)
    state = shown.state if shown is not None else None
    return state in _LAST_STATES or (left and (state == UNINSTALLED_STATE or _is_revoked(confirmed)))


def _is_revoked(confirmed: Condition | None) -> bool:
    return confirmed is not None and confirmed.reason == Reason.CREDENTIALS_REVOKED


def _confirmed(installation: TalkdeskInstallation) -> Condition | None:
    return next((one for one in installation.status.conditions if one.type == types.CONFIRMED), None)
