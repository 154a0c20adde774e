"""One run over a tenant's objects: what is known at its begin, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from talkdesk_operator import inventory
from talkdesk_operator.failures import Failure, Kind
from talkdesk_operator.inventory import Inventory, ObjectId, Record, object_id
from talkdesk_operator.owned import digest_of

if TYPE_CHECKING:
    from talkdesk_kube import Obj
    from talkdesk_operator.gate import Verdict
    from talkdesk_operator.tenant import Desired, Tenant


@dataclass
class Applied:
    """What came of it."""

    failures: list[Failure] = field(default_factory=list)
    #: (kind, name) of what was written or deleted; empty where everything was as it should be.
    written: list[str] = field(default_factory=list)
    pruned: list[str] = field(default_factory=list)
    #: Generated Secrets that were lost and have new values now.
    remade: list[str] = field(default_factory=list)
    created_namespace: bool = False
    #: A Service that was there before was changed: nodes send requests where it led for a moment longer.
    rerouted: bool = False
    #: What has to be ready before the rest is applied, or why it never will be.
    waiting: Verdict | None = None

    @property
    def failure(self) -> Failure | None:
        """The one to show: a permanent one first, for it needs somebody."""
        return min(self.failures, key=lambda one: one.kind is not Kind.PERMANENT, default=None)


@dataclass
class Round:
    """One run over a tenant's objects: ``before`` is the inventory as found, ``known`` what of it holds."""

    tenant: Tenant
    known: Inventory
    before: Inventory
    applied: Applied
    again: bool
    records: dict[ObjectId, Record]

    @property
    def unhindered(self) -> bool:
        """Everything so far could be applied, and is ready where something hangs on it."""
        return not self.applied.failures and self.applied.waiting is None

    def as_recorded(self, item: Obj) -> bool:
        """``item`` was applied before, just as it is wanted now."""
        record = self.known.records.get(object_id(item))
        return record is not None and record.wanted == digest_of(item)


def wanted_ids(desired: Desired, before: Inventory) -> dict[ObjectId, str | None]:
    """Everything that may be there, with its use; the sample data where it is still due, or is there."""
    wanted: dict[ObjectId, str | None] = {object_id(item): None for item in desired.everything()}
    wanted |= {object_id(one.obj): inventory.GENERATED for one in desired.generated}
    if desired.sample is not None:
        name = object_id(desired.sample.obj)
        if name in before.records or not (before.seeded or desired.suspended):
            wanted[name] = inventory.SAMPLE
    return wanted
