"""Who does not hold the tenant, or was uninstalled, is not served."""

from __future__ import annotations

from talkdesk_crds.conditions import Reason
from talkdesk_operator.incumbent import Role
from talkdesk_operator.standing.case import NO_OBJECTION, Case, Judgement, Suspension

_SAID = {
    Role.SUPERSEDED: Suspension(Reason.SUPERSEDED, "a newer installation holds this account's tenant"),
    Role.UNINSTALLED: Suspension(Reason.UNINSTALLED, "uninstalled; the tenant is kept"),
    Role.AWAITED: Suspension(Reason.INSTALLING, "no event has said yet that it was installed"),
}


def rule(case: Case) -> Judgement:
    """Only the incumbent is served."""
    return Judgement(_SAID[case.role]) if case.role in _SAID else NO_OBJECTION
