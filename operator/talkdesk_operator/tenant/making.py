"""What the objects of one tenant are made from, and what a module of children looks like."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from talkdesk_crds.blueprint import for_version, plan_of

if TYPE_CHECKING:
    from talkdesk_crds.app import TalkdeskApp
    from talkdesk_crds.blueprint import Blueprint, Plan
    from talkdesk_operator.tenant.facts import Facts
    from talkdesk_operator.tenant.identity import Tenant

Object = dict[str, Any]


@dataclass(frozen=True)
class Making:
    """One tenant to be made, from the ``blueprint`` of a revision as its app version gets it.

    ``app`` is for what is not part of a revision: regions, links, egress. ``plan`` is the blueprint's plan of
    the name that ``facts`` have, or the default where ``plan_known`` is False.
    """

    tenant: Tenant
    app: TalkdeskApp
    blueprint: Blueprint
    plan: Plan
    plan_known: bool
    facts: Facts
    suspended: bool = False


def making(
    tenant: Tenant, app: TalkdeskApp, blueprint: Blueprint, facts: Facts, *, suspended: bool = False
) -> Making:
    """The Making of a tenant of ``facts`` from the ``blueprint`` of a revision."""
    effective = for_version(blueprint, facts.app_version)
    plan, known = plan_of(effective, facts.plan)
    return Making(
        tenant=tenant,
        app=app,
        blueprint=effective,
        plan=plan,
        plan_known=known,
        facts=facts,
        suspended=suspended,
    )


#: A kind of child: the objects of that kind that a tenant should have.
Child = Callable[[Making], Iterable[Object]]
