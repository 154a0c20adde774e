"""The app's own objects, from its template: references replaced, then fitted into the tenant."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from talkdesk_crds.template import template_json
from talkdesk_operator.render import Problem, RenderError, Scalar, render
from talkdesk_operator.tenant.adapt import adapt
from talkdesk_operator.tenant.placement import misplaced

if TYPE_CHECKING:
    from talkdesk_operator.tenant.making import Making, Object


def values_of(made: Making) -> dict[str, Scalar | None]:
    """A value, or None, for each of :data:`~talkdesk_operator.render.REFERENCES` and of the plans' values."""
    tenant, app, facts = made.tenant, made.app, made.facts
    links = app.spec.links
    return {
        "account.id": facts.account_id,
        "account.name": facts.account.name,
        "account.companyName": facts.account.company_name,
        "account.email": facts.account.email,
        "account.timezone": facts.account.timezone,
        "installation.id": facts.installation_id,
        "app.id": facts.app_id,
        "region.name": facts.region,
        "tenant.name": tenant.name,
        "tenant.host": tenant.host(app.spec.base_domain),
        "plan.name": made.plan_name,
        **_plan_values(made),
        **{f"gateway.{name}": url for name, url in tenant.gateway(app.spec.base_domain).items()},
        "links.terms": links.terms,
        "links.support": links.support,
        "links.upgrade": links.upgrade,
    }


def _plan_values(made: Making) -> dict[str, Scalar | None]:
    """The plan's values; those that only other plans have are None, so that the message can say so."""
    every = [made.blueprint.default_plan, *made.blueprint.plans.values()]
    found: dict[str, Scalar | None] = {}
    for kind in ("values", "numbers", "features"):
        mine = getattr(made.plan, kind)
        found |= {f"plan.{kind}.{name}": mine.get(name) for plan in every for name in getattr(plan, kind)}
    return found


def template_objects(made: Making) -> list[Object]:
    """The template's objects as they should be in the tenant. RenderError with every problem's path.

    A stopped tenant's Deployments and StatefulSets have no replicas, its Jobs and CronJobs are suspended.
    """
    path = made.template_path
    rendered = rendered_for(made, template_json(made.blueprint.template), path)
    if problems := misplaced(rendered, made.blueprint, path):
        raise RenderError(tuple(problems))
    return [adapt(item, made) for item in rendered]


def rendered_for(made: Making, source: Any, path: str) -> Any:
    """``source`` with the tenant's values. RenderError tells of paths that begin with ``path``."""
    try:
        return render(source, values_of(made), path=path)
    except RenderError as error:
        raise RenderError(tuple(_with_plan(problem, made) for problem in error.problems)) from None


def _with_plan(problem: Problem, made: Making) -> Problem:
    """A missing value of a plan is that plan's fault: the message says which one it is."""
    if problem.without_value is None or not problem.without_value.startswith("plan."):
        return problem
    return replace(problem, message=f"{problem.message} in {made.plan_label}")
