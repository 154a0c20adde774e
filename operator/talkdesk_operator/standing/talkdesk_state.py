"""States of Talkdesk's that come without an event. The table is in ``docs/resync-and-repair.md``.

Talkdesk's states are open strings. Two of them end a customer's access although no event says so, and so does
an installation that Talkdesk no longer knows; everything else, words nobody has heard of included, leaves
access as it was.
"""

from __future__ import annotations

from talkdesk_crds.conditions import Reason
from talkdesk_operator.confirm import NOT_FOUND_STATE
from talkdesk_operator.standing.case import NO_OBJECTION, Case, Judgement, Suspension

_SAID = {
    "suspended": Suspension(
        Reason.SUSPENDED_BY_TALKDESK, "Talkdesk says suspended; the tenant is kept", read=True
    ),
    "revoked": Suspension(Reason.REVOKED_BY_TALKDESK, "Talkdesk says revoked; the tenant is kept", read=True),
    NOT_FOUND_STATE: Suspension(
        Reason.UNKNOWN_TO_TALKDESK,
        "Talkdesk answers 404 for this installation; nothing is deleted, and it is served again once known",
        read=True,
    ),
}

#: Worth asking again soon: whoever is in one of these by mistake is locked out.
TROUBLED_STATES = frozenset(_SAID)


def rule(case: Case) -> Judgement:
    """Suspended for as long as Talkdesk's state says so."""
    if case.state in _SAID:
        return Judgement(_SAID[case.state])
    return NO_OBJECTION
