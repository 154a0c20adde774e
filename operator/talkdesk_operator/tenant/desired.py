"""Everything that should exist for a tenant, in the order of its making."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from talkdesk_operator.tenant.account_record import account_record
from talkdesk_operator.tenant.copies import copies
from talkdesk_operator.tenant.default_service_account import default_service_account
from talkdesk_operator.tenant.generated_secrets import generated_secrets
from talkdesk_operator.tenant.limits import limit_range
from talkdesk_operator.tenant.making import Copied, Generated, Once
from talkdesk_operator.tenant.namespace import namespace
from talkdesk_operator.tenant.network import network_policy
from talkdesk_operator.tenant.order import waves
from talkdesk_operator.tenant.quota import resource_quota
from talkdesk_operator.tenant.rolebinding import role_binding
from talkdesk_operator.tenant.sample_data import sample_data
from talkdesk_operator.tenant.service_account import service_account
from talkdesk_operator.tenant.template import template_objects

if TYPE_CHECKING:
    from talkdesk_operator.tenant.making import Child, Making, Object
    from talkdesk_operator.tenant.order import Tier

#: Every kind of child: one module each, one line here.
CHILDREN: tuple[Child, ...] = (
    service_account,
    default_service_account,
    resource_quota,
    limit_range,
    network_policy,
    account_record,
    generated_secrets,
    copies,
    template_objects,
    sample_data,
)


@dataclass(frozen=True)
class Desired:
    """The namespace, the binding in it, then all others.

    ``children`` are applied as they are; what ``generated`` and ``copied`` hold is drawn or read on the way.
    ``sample`` runs last, once in the tenant's life.
    """

    namespace: Object
    binding: Object
    children: tuple[Object, ...]
    generated: tuple[Generated, ...] = ()
    copied: tuple[Copied, ...] = ()
    sample: Once | None = None
    suspended: bool = False

    def everything(self) -> tuple[Object, ...]:
        """All of them but the sample data, in order."""
        others = [*(one.obj for one in self.generated), *(one.obj for one in self.copied)]
        return (self.namespace, self.binding, *self.children, *others)

    def waves(self) -> tuple[tuple[Tier, ...], ...]:
        """``children`` in the order of applying them; a suspended tenant's have nothing to wait for."""
        found = waves(self.children)
        return (tuple(tier for wave in found for tier in wave),) if self.suspended else found


def desired(made: Making) -> Desired:
    """The tenant's objects. RenderError where the template cannot be rendered."""
    parts = [part for child in CHILDREN for part in child(made)]
    return Desired(
        namespace=namespace(made),
        binding=role_binding(made.tenant),
        children=tuple(part for part in parts if isinstance(part, dict)),
        generated=tuple(part for part in parts if isinstance(part, Generated)),
        copied=tuple(part for part in parts if isinstance(part, Copied)),
        sample=next((part for part in parts if isinstance(part, Once)), None),
        suspended=made.stopped,
    )
