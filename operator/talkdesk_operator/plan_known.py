"""What PlanKnown says about the plan that a tenant is made for. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_crds.conditions import Reason
from talkdesk_operator.conditions import Verdict, false, true

if TYPE_CHECKING:
    from talkdesk_operator.tenant import Making


def plan_known(made: Making) -> Verdict:
    """True where the app declares the plan, or no plans at all; otherwise what to do about it."""
    name, plans = made.facts.plan, made.blueprint.plans
    if made.plan_known:
        return true(Reason.PLAN_FOUND, made.plan_label)
    if not plans:
        return true(Reason.ONE_PLAN_FOR_ALL, "the app declares no plans: spec.defaultPlan is used for all")
    if name is None:
        message = "Talkdesk shows no subscription; spec.defaultPlan is used"
        return false(Reason.NO_SUBSCRIPTION, message)
    known = ", ".join(repr(one) for one in sorted(plans))
    message = (
        f"plan {name!r} is not in spec.plans ({known}); spec.defaultPlan is used until"
        f" spec.plans[{name!r}] is added to TalkdeskApp {made.app.metadata.name}"
    )
    return false(Reason.PLAN_UNKNOWN, message)
