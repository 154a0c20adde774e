"""Whether the users of an installation may enter. Pure; the gateway obeys what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_crds.conditions import Reason
from talkdesk_crds.installation import Access
from talkdesk_operator.confirm import ENDED_STATES, NOT_FOUND_STATE, UNINSTALLED_STATE

if TYPE_CHECKING:
    from talkdesk_operator.standing import Suspension

#: Access that was refused for one of these was granted before: lifting the cause restores it.
_LIFTED = frozenset(
    {
        Reason.SUSPENDED.value,
        Reason.TRIAL_ENDED.value,
        Reason.UNKNOWN_TO_TALKDESK.value,
        Reason.CREDENTIALS_REFUSED.value,
        Reason.CREDENTIALS_SPREADING.value,
        Reason.CREDENTIALS_MISSING.value,
        Reason.CREDENTIALS_INVALID.value,
        Reason.ACCESS_BLOCKED.value,
    }
)

#: In these nobody is served by an earlier approval. All others are of an update, or words nobody knows.
_UNSERVED = frozenset({"installing", "pending", "suspended", "revoked", UNINSTALLED_STATE, NOT_FOUND_STATE})

ALLOWED = Access(state="Allowed", reason=Reason.INSTALLATION_READY)


def access(
    *,
    suspension: Suspension | None,
    state: str | None,
    approved: bool,
    previous: Access | None,
    served: bool = False,
) -> Access:
    """Allowed from the approval on, unless something takes it away again.

    :param suspension: what the rules of :mod:`talkdesk_operator.standing` say.
    :param state: Talkdesk's state as last read, None where it never was.
    :param approved: our approval of exactly this state was accepted.
    :param previous: what status says so far; an update in progress, or a failed one, changes nothing of it.
    :param served: our answers so far say that it was installed.
    """
    if suspension is not None:
        return _refused(suspension.reason)
    was_allowed = previous is not None and previous.state == "Allowed"
    if state == "completed" or approved or was_allowed:
        return ALLOWED
    lifted = previous is None or previous.reason in _LIFTED
    # Who is updated was approved before, and a failed update leaves what was; the status that said so was
    # lost, or a switch was lifted.
    if lifted and (state == "updating" or (served and state is not None and state not in _UNSERVED)):
        return ALLOWED
    if state in ENDED_STATES:
        return _refused(Reason.REJECTED if state == "rejected" else Reason.ENDED_BY_TALKDESK)
    return _refused(Reason.INSTALLING)


def _refused(reason: Reason) -> Access:
    return Access(state="Refused", reason=reason.value)
