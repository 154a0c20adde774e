"""A person's switch: ``spec.suspend``."""

from __future__ import annotations

from talkdesk_crds.conditions import Reason
from talkdesk_operator.standing.case import NO_OBJECTION, Case, Judgement, Suspension


def rule(case: Case) -> Judgement:
    """Suspended for as long as the switch says so."""
    if case.installation.spec.suspend:
        return Judgement(Suspension(Reason.SUSPENDED, "spec.suspend is set"))
    return NO_OBJECTION
