"""A tenant's inventory: what was applied for it, and the facts it was made from. Pure.

It is written as a superset *before* anything is applied, so that whatever we ever made can be found again,
and once more afterwards with uids and digests. It lives in the operator's own namespace, out of the tenant's
reach.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from talkdesk_operator.owned import digest_of
from talkdesk_operator.tenant.facts import Facts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from talkdesk_operator.tenant.identity import Tenant

PREFIX = "inventory-"
_OBJECTS = "objects.json"
_FACTS = "facts.json"
_SEEDED = "seeded"
_REVISION = "revision"
_COMPLETE = "complete"

#: ``Record.use`` of a Secret that was generated, and of a Job that loads sample data.
GENERATED = "generated"
SAMPLE = "sample"

#: apiVersion, kind, name: unique inside one tenant.
ObjectId = tuple[str, str, str]

#: Never deleted by pruning: what they hold cannot be made again.
KEPT_KINDS = frozenset({"Namespace", "PersistentVolumeClaim"})


@dataclass(frozen=True)
class Record:
    """One applied object. Digests: ``wanted`` of what we applied, ``owned`` of what was then ours."""

    uid: str | None = None
    wanted: str | None = None
    owned: str | None = None
    #: What is special about it, if anything: GENERATED ones cannot be made again and are never deleted.
    use: str | None = None
    #: How many replicas somebody else had set before the tenant was suspended.
    replicas: int | None = None


@dataclass(frozen=True)
class Inventory:
    """Everything that was, or is about to be, applied for a tenant."""

    records: Mapping[ObjectId, Record] = field(default_factory=dict)
    facts: Facts | None = None
    #: The tenant has its sample data, or was made without; None where nobody knows any more.
    seeded: bool | None = None
    #: The revision it was, or is about to be, made from.
    revision: str | None = None
    #: Everything was applied once, at some time: the tenant is one that a change may break.
    complete: bool = False

    def superset(
        self, wanted: Mapping[ObjectId, str | None], facts: Facts, revision: str | None
    ) -> Inventory:
        """With a place for everything that will be applied, by its use, and nothing taken out."""
        added = {name: Record(use=use) for name, use in wanted.items() if name not in self.records}
        return replace(self, records={**self.records, **added}, facts=facts, revision=revision)

    def remembering(self, replicas: Mapping[ObjectId, int | None]) -> Inventory:
        """With these numbers of replicas in the records of these objects."""
        changed = {name: replace(self.records[name], replicas=number) for name, number in replicas.items()}
        return replace(self, records={**self.records, **changed})

    def emptied(self) -> Inventory:
        """For a namespace that is not the one it speaks of: of what was in that nothing is left."""
        kept = {name: Record(use=record.use) for name, record in self.records.items()}
        return replace(self, records=kept, seeded=None, complete=False)

    def prunable(self, wanted: Iterable[ObjectId]) -> dict[ObjectId, Record]:
        """What was applied once, is wanted no more, and may be deleted."""
        keep = set(wanted)
        return {
            name: record
            for name, record in self.records.items()
            if name not in keep and name[1] not in KEPT_KINDS and record.use != GENERATED
        }


def object_id(obj: Mapping[str, Any]) -> ObjectId:
    """The object's id inside its tenant."""
    return (obj["apiVersion"], obj["kind"], obj["metadata"]["name"])


def unchanged(record: Record | None, wanted: Mapping[str, Any], live: Mapping[str, Any] | None) -> bool:
    """True where applying ``wanted`` would change nothing; ``live`` is the compacted object as cached.

    Kinds that are not watched (Secrets) have no ``live``: pass what the record itself says.
    """
    if record is None or live is None or record.wanted != digest_of(wanted):
        return False
    return record.uid == live["metadata"].get("uid") and record.owned == live.get("owned")


def stored_in(config_map: Mapping[str, Any] | None) -> Inventory:
    """The inventory that a ConfigMap holds; empty where there is none."""
    return parse(config_map.get("data") if config_map is not None else None)


def parse(data: Mapping[str, str] | None) -> Inventory:
    """The inventory in a ConfigMap's data; what is missing or unreadable counts as empty."""
    data = data or {}
    try:
        entries = json.loads(data.get(_OBJECTS, "[]"))
        records = {
            (entry["apiVersion"], entry["kind"], entry["name"]): Record(
                uid=entry.get("uid"),
                wanted=entry.get("wanted"),
                owned=entry.get("owned"),
                use=entry.get("use"),
                replicas=entry.get("replicas"),
            )
            for entry in entries
        }
    except (ValueError, TypeError, KeyError):
        records = {}
    try:
        facts = Facts.model_validate_json(data[_FACTS])
    except (KeyError, ValidationError):
        facts = None
    seeded = {"true": True, "false": False}.get(data.get(_SEEDED, ""))
    return Inventory(
        records=records,
        facts=facts,
        seeded=seeded,
        revision=revision_of(data),
        complete=data.get(_COMPLETE) == "true",
    )


def revision_of(data: Mapping[str, str] | None) -> str | None:
    """The revision alone, without reading all the rest."""
    return (data or {}).get(_REVISION) or None


def config_map(inventory: Inventory, tenant: Tenant) -> dict[str, Any]:
    """The ConfigMap that holds it; the same inventory gives the same object."""
    entries = [
        {"apiVersion": api_version, "kind": kind, "name": name}
        | {key: value for key, value in asdict(record).items() if value is not None}
        for (api_version, kind, name), record in sorted(inventory.records.items())
    ]
    data = {_OBJECTS: json.dumps(entries, sort_keys=True)}
    if inventory.facts is not None:
        data[_FACTS] = json.dumps(inventory.facts.to_json(), sort_keys=True)
    if inventory.seeded is not None:
        data[_SEEDED] = str(inventory.seeded).lower()
    if inventory.revision is not None:
        data[_REVISION] = inventory.revision
    if inventory.complete:
        data[_COMPLETE] = "true"
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": tenant.inventory,
            "namespace": tenant.release.namespace,
            "labels": tenant.object_labels,
        },
        "data": data,
    }
