"""The app's own objects, from its template: references replaced, then fitted into the tenant."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from talkdesk_crds.template import template_json
from talkdesk_operator.render import Problem, RenderError, Scalar, render
from talkdesk_operator.tenant import account_record, limits, network, quota, rolebinding, service_account

if TYPE_CHECKING:
    from talkdesk_operator.tenant.identity import Tenant
    from talkdesk_operator.tenant.making import Making, Object

#: Names that the operator uses itself; a template may not have them.
RESERVED = {
    ("ConfigMap", account_record.NAME),
    ("ServiceAccount", service_account.NAME),
    ("ServiceAccount", "default"),
    ("NetworkPolicy", network.NAME),
    ("ResourceQuota", quota.NAME),
    ("LimitRange", limits.NAME),
    ("RoleBinding", rolebinding.NAME),
}
#: Where each kind keeps the specification of its pods.
_POD_SPECS = {
    "Deployment": ("spec", "template", "spec"),
    "StatefulSet": ("spec", "template", "spec"),
    "Job": ("spec", "template", "spec"),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
}
_SCALABLE = {"Deployment", "StatefulSet"}


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

    A stopped tenant's Deployments and StatefulSets have no replicas, its CronJobs are suspended.
    """
    try:
        rendered = render(template_json(made.blueprint.template), values_of(made), path=made.template_path)
    except RenderError as error:
        raise RenderError(tuple(_with_plan(problem, made) for problem in error.problems)) from None
    if problems := _misplaced(rendered, made.template_path):
        raise RenderError(tuple(problems))
    return [_fit(item, made.tenant, stopped=made.stopped) for item in rendered]


def _with_plan(problem: Problem, made: Making) -> Problem:
    """A missing value of a plan is that plan's fault: the message says which one it is."""
    if problem.without_value is None or not problem.without_value.startswith("plan."):
        return problem
    return replace(problem, message=f"{problem.message} in {made.plan_label}")


def _misplaced(items: list[dict[str, Any]], where: str) -> list[Problem]:
    """Objects with a name that the operator, or another object of the template, has already."""
    problems = []
    seen: set[tuple[str, str]] = set()
    for index, item in enumerate(items):
        name = (item["kind"], item["metadata"]["name"])
        path = f"{where}[{index}].metadata.name"
        if name in RESERVED:
            problems.append(Problem(path, f"{name[0]} {name[1]} is the operator's own"))
        elif name in seen:
            problems.append(Problem(path, f"{name[0]} {name[1]} is there twice"))
        seen.add(name)
    return problems


def _fit(item: dict[str, Any], tenant: Tenant, *, stopped: bool) -> dict[str, Any]:
    metadata = {name: value for name, value in item["metadata"].items() if value not in ({}, None)}
    labels = {**metadata.get("labels", {}), **tenant.object_labels}
    fitted = {**item, "metadata": {**metadata, "namespace": tenant.name, "labels": labels}}
    kind = item["kind"]
    if path := _POD_SPECS.get(kind):
        fitted = _update(fitted, path, _with_service_account)
    if stopped and kind in _SCALABLE:
        fitted = _update(fitted, ("spec",), lambda spec: {**spec, "replicas": 0})
    if stopped and kind == "CronJob":
        fitted = _update(fitted, ("spec",), lambda spec: {**spec, "suspend": True})
    return fitted


def _with_service_account(pod: dict[str, Any]) -> dict[str, Any]:
    defaults = {"serviceAccountName": service_account.NAME, "automountServiceAccountToken": False}
    return {**defaults, **pod}


def _update(node: dict[str, Any], path: tuple[str, ...], change: Any) -> dict[str, Any]:
    """``node`` with the object at ``path`` changed; untouched where a part of the path is no object."""
    head, *rest = path
    child = node.get(head)
    if not isinstance(child, dict):
        return node
    return {**node, head: _update(child, tuple(rest), change) if rest else change(child)}
