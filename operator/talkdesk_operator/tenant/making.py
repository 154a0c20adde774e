"""What the objects of one tenant are made from, and what a module of children looks like."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from talkdesk_crds.blueprint import for_version, plan_of

if TYPE_CHECKING:
    from talkdesk_crds.app import TalkdeskApp
    from talkdesk_crds.blueprint import Blueprint, GeneratedKey, Plan
    from talkdesk_operator.tenant.facts import Facts
    from talkdesk_operator.tenant.identity import Tenant

Object = dict[str, Any]

#: The name of the plan where Talkdesk tells no subscription.
NO_PLAN = "default"


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
    #: Nobody is a customer any more: the workload stops, whatever the plan says about suspension.
    abandoned: bool = False
    #: Where the template stands in the TalkdeskApp: an app version may have its own.
    template_path: str = "spec.template"
    service_path: str = "spec.service"

    @property
    def plan_name(self) -> str:
        """Talkdesk's name of the plan, also of one that the app does not declare."""
        return self.facts.plan or NO_PLAN

    @property
    def plan_label(self) -> str:
        """Which of the app's plans is used, for people."""
        if self.plan_known:
            return f"plan {self.facts.plan}"
        return "the default plan" + (f" (for plan {self.facts.plan})" if self.facts.plan else "")

    @property
    def stopped(self) -> bool:
        """Nothing of the workload runs."""
        return self.suspended and (self.abandoned or self.plan.on_suspend == "ScaleToZero")


def making(
    tenant: Tenant,
    app: TalkdeskApp,
    blueprint: Blueprint,
    facts: Facts,
    *,
    suspended: bool = False,
    abandoned: bool = False,
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
        abandoned=abandoned,
        template_path=_path(blueprint, facts.app_version, "template"),
        service_path=_path(blueprint, facts.app_version, "service"),
    )


def _path(blueprint: Blueprint, app_version: str | None, field: str) -> str:
    """Where the TalkdeskApp says what installations of this version get as ``field``."""
    for index, variant in enumerate(blueprint.variants):
        if variant.app_version == app_version and getattr(variant, field) is not None:
            return f"spec.variants[{index}].{field}"
    return f"spec.{field}"


@dataclass(frozen=True)
class Generated:
    """A Secret whose values are drawn when it is made, and never again; ``obj`` is it without them."""

    obj: Object
    keys: Mapping[str, GeneratedKey]


@dataclass(frozen=True)
class Copied:
    """A copy of the object of the same kind and name in the operator's namespace; ``obj`` has no content."""

    obj: Object


@dataclass(frozen=True)
class Once:
    """A Job that runs once in a new tenant; after its success it is kept so long, None: for good."""

    obj: Object
    keep_seconds: int | None = None


#: One part of a tenant: an object as it should be, or what takes more than applying it.
Part = Object | Generated | Copied | Once
#: A kind of child: the parts of that kind that a tenant should have.
Child = Callable[[Making], Iterable[Part]]
