"""What is wrong with a TalkdeskApp for its tenants, found before there are any. Pure.

The template is rendered for every app version with every plan: a value that one of them lacks would otherwise
show first when a customer has bought just that one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_operator.keys import TenantKey
from talkdesk_operator.render import Problem, RenderError
from talkdesk_operator.tenant.desired import desired
from talkdesk_operator.tenant.facts import AccountFacts, Facts
from talkdesk_operator.tenant.fit import misfits
from talkdesk_operator.tenant.identity import Release
from talkdesk_operator.tenant.making import making

if TYPE_CHECKING:
    from collections.abc import Iterator

    from talkdesk_crds.app import TalkdeskApp
    from talkdesk_operator.tenant.desired import Desired
    from talkdesk_operator.tenant.making import Making

#: Stands for what a real account will have; it is a name as well as a number's text.
_SOMETHING = "0"


def problems_of(app: TalkdeskApp) -> tuple[Problem, ...]:
    """What no tenant, or none of some plan or app version, could be made from; each problem once."""
    found: dict[tuple[str, str], Problem] = {}
    for made in _makings(app):
        for problem in _problems(made):
            found.setdefault((problem.path, problem.message), problem)
    return tuple(found.values())


def _makings(app: TalkdeskApp) -> Iterator[Making]:
    """One tenant of each app version and plan; None is any version without a variant, or the default plan."""
    release = Release(_SOMETHING, _SOMETHING, _SOMETHING, _SOMETHING)
    tenant = release.tenant(TenantKey(app.spec.app_id, _SOMETHING, _SOMETHING))
    account = AccountFacts(name=_SOMETHING, company_name=_SOMETHING, email=_SOMETHING, timezone=_SOMETHING)
    for version in (None, *(variant.app_version for variant in app.spec.variants)):
        for plan in (None, *app.spec.plans):
            facts = Facts(
                app_id=app.spec.app_id,
                region=_SOMETHING,
                account_id=_SOMETHING,
                installation_id=_SOMETHING,
                account=account,
                plan=plan,
                app_version=version,
            )
            yield making(tenant, app, app.spec, facts)


def _problems(made: Making) -> Iterator[Problem]:
    try:
        objects = desired(made)
    except RenderError as error:
        yield from error.problems
        return
    yield from _without_service(made, objects)
    where = f"spec.plans[{made.facts.plan!r}].quota" if made.plan_known else "spec.defaultPlan.quota"
    for misfit in misfits(objects.children, made.plan):
        yield Problem(where, f"{made.template_path} does not fit: {misfit}")


def _without_service(made: Making, objects: Desired) -> Iterator[Problem]:
    name = made.blueprint.service.name
    services = {item["metadata"]["name"] for item in objects.children if item["kind"] == "Service"}
    if made.app.spec.approval.probe is not None and name not in services:
        message = f"the probe asks Service {name}, which {made.template_path} does not have"
        yield Problem(f"{made.service_path}.name", message)
