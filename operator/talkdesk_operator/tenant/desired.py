"""Everything that should exist for a tenant, in the order of its making."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from talkdesk_operator.tenant.account_record import account_record
from talkdesk_operator.tenant.limits import limit_range
from talkdesk_operator.tenant.namespace import namespace
from talkdesk_operator.tenant.network import network_policy
from talkdesk_operator.tenant.quota import resource_quota
from talkdesk_operator.tenant.rolebinding import role_binding
from talkdesk_operator.tenant.service_account import service_account
from talkdesk_operator.tenant.template import template_objects

if TYPE_CHECKING:
    from talkdesk_operator.tenant.making import Child, Making, Object

#: Every kind of child: one module each, one line here.
CHILDREN: tuple[Child, ...] = (
    service_account,
    resource_quota,
    limit_range,
    network_policy,
    account_record,
    template_objects,
)


@dataclass(frozen=True)
class Desired:
    """The namespace, the binding in it, then all others, which do not depend on each other."""

    namespace: Object
    binding: Object
    children: tuple[Object, ...]

    def everything(self) -> tuple[Object, ...]:
        """All of them, in order."""
        return (self.namespace, self.binding, *self.children)


def desired(made: Making) -> Desired:
    """The tenant's objects. RenderError where the template cannot be rendered."""
    return Desired(
        namespace=namespace(made),
        binding=role_binding(made.tenant),
        children=tuple(item for child in CHILDREN for item in child(made)),
    )
