"""What is wrong with a TalkdeskApp for its tenants, found before there are any. Pure.

The template is rendered for every app version with every plan: a value that one of them lacks would otherwise
show first when a customer has bought just that one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from talkdesk_operator.keys import TenantKey
from talkdesk_operator.render import Problem, RenderError
from talkdesk_operator.tenant.desired import desired
from talkdesk_operator.tenant.facts import AccountFacts, Facts
from talkdesk_operator.tenant.fit import misfits
from talkdesk_operator.tenant.identity import Release
from talkdesk_operator.tenant.making import making
from talkdesk_operator.tenant.network import address_range

if TYPE_CHECKING:
    from collections.abc import Iterator

    from talkdesk_crds.app import TalkdeskApp
    from talkdesk_operator.tenant.desired import Desired
    from talkdesk_operator.tenant.making import Making

#: Stands for what a real account will have; it is a name as well as a number's text.
_SOMETHING = "0"


@dataclass(frozen=True)
class Review:
    """What was found, each once.

    :ivar problems: what no tenant, or none of some plan or app version, can be made from.
    :ivar misfits: plans whose own quota is too small for what their tenants are made of.
    """

    problems: tuple[Problem, ...] = ()
    misfits: tuple[Problem, ...] = ()


def review(app: TalkdeskApp) -> Review:
    """Look at every app version with every plan."""
    problems: dict[Problem, None] = dict.fromkeys(_unreachable(app))
    unfit: dict[Problem, None] = {}
    for made in _makings(app):
        try:
            objects = desired(made)
        except RenderError as error:
            problems |= dict.fromkeys(error.problems)
            continue
        problems |= dict.fromkeys(_without_service(made, objects))
        unfit |= dict.fromkeys(_unfit(made, objects))
    return Review(tuple(problems), tuple(unfit))


def problems_of(app: TalkdeskApp) -> tuple[Problem, ...]:
    """See :class:`Review`."""
    return review(app).problems


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


def _unreachable(app: TalkdeskApp) -> Iterator[Problem]:
    for number, one in enumerate(app.spec.egress):
        if address_range(one.cidr) is None:
            message = f"{one.cidr} is no range of IPv4 or IPv6 addresses; no tenant's pods can reach it"
            yield Problem(f"spec.egress[{number}].cidr", message)


def _unfit(made: Making, objects: Desired) -> Iterator[Problem]:
    where = f"spec.plans[{made.facts.plan!r}].quota" if made.plan_known else "spec.defaultPlan.quota"
    sample = [objects.sample.obj] if objects.sample is not None else []
    for misfit in misfits([*objects.everything(), *sample], made.plan):
        yield Problem(where, f"{made.template_path} does not fit: {misfit}; nobody can be given this plan")


def _without_service(made: Making, objects: Desired) -> Iterator[Problem]:
    name = made.blueprint.service.name
    services = {item["metadata"]["name"] for item in objects.children if item["kind"] == "Service"}
    if made.app.spec.approval.probe is not None and name not in services:
        message = f"the probe asks Service {name}, which {made.template_path} does not have"
        yield Problem(f"{made.service_path}.name", message)
