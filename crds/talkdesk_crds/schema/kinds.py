"""What a CustomResourceDefinition says of a kind beside its schema: names, columns and selectable fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from talkdesk_crds.app import TalkdeskApp
from talkdesk_crds.installation import TalkdeskInstallation
from talkdesk_crds.revocation import TalkdeskRevocation
from talkdesk_crds.user_slice import TalkdeskUserSlice

if TYPE_CHECKING:
    from talkdesk_crds.meta import Model


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A column of ``kubectl get``.

    :param path: JSONPath below the object; where it finds nothing the cell is empty.
    :param wide: only with ``-o wide``.
    """

    name: str
    path: str
    type: Literal["string", "integer", "date"] = "string"
    wide: bool = False
    description: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """A kind of the product.

    :param selectable: paths that ``kubectl get --field-selector`` knows, beside name and namespace.
    """

    model: type[Model]
    short_name: str
    columns: tuple[Column, ...]
    selectable: tuple[str, ...]

    @property
    def name(self) -> str:
        """The kind, e.g. ``TalkdeskApp``."""
        return self.model.__name__

    @property
    def singular(self) -> str:
        """E.g. ``talkdeskapp``."""
        return self.name.lower()

    @property
    def plural(self) -> str:
        """The resource's name in paths and RBAC, e.g. ``talkdeskapps``."""
        return f"{self.singular}s"

    @property
    def has_status(self) -> bool:
        """Whether the model has a ``status``; then it is a subresource."""
        return "status" in self.model.model_fields


def _condition(of: str, part: str) -> str:
    return f'.status.conditions[?(@.type=="{of}")].{part}'


_AGE: Final = Column(name="Age", path=".metadata.creationTimestamp", type="date")

KINDS: Final[tuple[Kind, ...]] = (
    Kind(
        model=TalkdeskApp,
        short_name="tda",
        columns=(
            Column(name="AppId", path=".spec.appId"),
            Column(name="Accepted", path=_condition("Accepted", "status")),
            Column(name="RolledOut", path=_condition("RolledOut", "status")),
            Column(
                name="Revision",
                path=".status.rollout.revision",
                description="the revision that tenants are getting, or have got",
            ),
            Column(
                name="Updated",
                path=".status.rollout.updated",
                type="integer",
                description="tenants that have it",
            ),
            Column(name="Tenants", path=".status.rollout.tenants", type="integer"),
            _AGE,
            Column(name="Reason", path=_condition("Accepted", "reason"), wide=True),
            Column(name="Rollout", path=_condition("RolledOut", "message"), wide=True),
            Column(name="BaseDomain", path=".spec.baseDomain", wide=True),
            Column(name="Gate", path=".spec.approval.gate", wide=True),
            Column(name="Message", path=_condition("Accepted", "message"), wide=True),
        ),
        selectable=(".spec.appId",),
    ),
    Kind(
        model=TalkdeskInstallation,
        short_name="tdi",
        columns=(
            Column(name="Account", path=".spec.talkdesk.accountName.name"),
            Column(name="Plan", path=".status.plan"),
            Column(name="Users", path=".status.users.count", type="integer"),
            Column(name="Access", path=".status.access.state", description="whether users may enter"),
            Column(name="Ready", path=_condition("Ready", "status")),
            Column(name="Reason", path=_condition("Ready", "reason")),
            _AGE,
            Column(name="Tenant", path=".status.tenant", wide=True, description="the tenant's namespace"),
            Column(name="Message", path=_condition("Ready", "message"), wide=True),
            Column(name="Region", path=".spec.region", wide=True),
            Column(
                name="LastEvent",
                path=".spec.talkdesk.recent[0].type",
                wide=True,
                description="the newest event of Talkdesk's that was kept",
            ),
        ),
        selectable=(".spec.appId", ".spec.accountId", ".spec.installationId", ".spec.region"),
    ),
    Kind(
        model=TalkdeskUserSlice,
        short_name="tdus",
        columns=(
            Column(name="Installation", path=".spec.installation"),
            Column(name="Bucket", path=".spec.bucket", type="integer"),
            Column(name="Buckets", path=".spec.buckets", type="integer"),
            _AGE,
        ),
        selectable=(".spec.installation",),
    ),
    Kind(
        model=TalkdeskRevocation,
        short_name="tdr",
        columns=(
            Column(name="Kind", path=".spec.kind"),
            Column(name="Installation", path=".spec.installationId"),
            Column(name="Applied", path=".status.appliedAt", type="date"),
            Column(name="Settled", path=".status.settledAt", type="date"),
            _AGE,
            Column(name="Cause", path=".spec.cause", wide=True),
            Column(name="Part", path=".spec.part", type="integer", wide=True),
        ),
        selectable=(".spec.installationId",),
    ),
)
