"""Everything that should exist for a tenant, in the order of its making."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from talkdesk_operator.tenant.account_record import account_record
from talkdesk_operator.tenant.limits import limit_range
from talkdesk_operator.tenant.namespace import namespace
from talkdesk_operator.tenant.network import network_policy
from talkdesk_operator.tenant.quota import resource_quota
from talkdesk_operator.tenant.rolebinding import role_binding
from talkdesk_operator.tenant.service_account import service_account
from talkdesk_operator.tenant.template import template_objects

if TYPE_CHECKING:
    from talkdesk_crds.app import TalkdeskApp
    from talkdesk_operator.tenant.facts import Facts
    from talkdesk_operator.tenant.identity import Tenant

Object = dict[str, Any]


@dataclass(frozen=True)
class Desired:
    """The namespace, the binding in it, then all others, which do not depend on each other."""

    namespace: Object
    binding: Object
    children: tuple[Object, ...]

    def everything(self) -> tuple[Object, ...]:
        """All of them, in order."""
        return (self.namespace, self.binding, *self.children)


def desired(tenant: Tenant, app: TalkdeskApp, facts: Facts, *, suspended: bool) -> Desired:
    """The tenant's objects. RenderError where the template cannot be rendered."""
    plan = app.spec.default_plan
    return Desired(
        namespace=namespace(tenant),
        binding=role_binding(tenant),
        children=(
            service_account(tenant),
            resource_quota(tenant, plan),
            limit_range(tenant, plan),
            network_policy(tenant, app),
            account_record(tenant, app, facts),
            *template_objects(tenant, app, facts, suspended=suspended),
        ),
    )
