"""Whether the users of an installation may enter. Pure; the gateway obeys what comes of it."""

from __future__ import annotations

from talkdesk_crds.conditions import Reason
from talkdesk_crds.installation import Access
from talkdesk_operator.confirm import ENDED_STATES
from talkdesk_operator.incumbent import Role

_BY_ROLE = {
    Role.SUPERSEDED: Reason.SUPERSEDED,
    Role.UNINSTALLED: Reason.UNINSTALLED,
    Role.AWAITED: Reason.INSTALLING,
}
#: States that take access away even from who had it; the others end an update and leave what was before.
_TAKEN = frozenset({"suspended", "revoked"})

ALLOWED = Access(state="Allowed", reason=Reason.INSTALLATION_READY)


def access(
    *, role: Role, suspended: bool, state: str | None, approved: bool, previous: Access | None
) -> Access:
    """Allowed from the approval on, unless something takes it away again.

    :param state: Talkdesk's state as last read, None where it never was.
    :param approved: our approval of exactly this state was accepted.
    :param previous: what status says so far; an update in progress changes nothing about it.
    """
    if role in _BY_ROLE:
        return _refused(_BY_ROLE[role])
    if suspended:
        return _refused(Reason.SUSPENDED)
    was_allowed = previous is not None and previous.state == "Allowed"
    if state == "completed" or approved or (was_allowed and state not in _TAKEN):
        return ALLOWED
    if state == "updating" and (previous is None or previous.reason == Reason.SUSPENDED):
        # Who is updated was approved before; the status that said so was lost, or a switch was lifted.
        return ALLOWED
    if state in ENDED_STATES:
        return _refused(Reason.REJECTED if state == "rejected" else Reason.ENDED_BY_TALKDESK)
    return _refused(Reason.INSTALLING)


def _refused(reason: Reason) -> Access:
    return Access(state="Refused", reason=reason.value)
