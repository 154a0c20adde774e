"""Replicas that are somebody else's: remembered while a tenant is suspended, and given back afterwards.

A Deployment or StatefulSet whose template leaves ``replicas`` out has them set by a HorizontalPodAutoscaler
or a person. To suspend it the operator takes the field over; giving the field up again would leave the API
server's default. So the number found before is kept in the inventory, and put back under a field manager of
its own, from which whoever sets the field next takes it over. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from talkdesk_operator.inventory import ObjectId, Record, object_id
from talkdesk_operator.owned import owns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

#: Holds ``replicas`` from their return until somebody sets them.
FIELD_MANAGER = "talkdesk-operator-replicas"
SCALABLE = frozenset({"Deployment", "StatefulSet"})


def scale_of(obj: Mapping[str, Any]) -> dict[str, Any]:
    """What the watch cache keeps of a stored object: how many, and whether it was us who said so."""
    replicas = (obj.get("spec") or {}).get("replicas")
    return {"replicas": 1 if replicas is None else int(replicas), "ours": owns(obj, "spec", "replicas")}


def _spec(wanted: Mapping[str, Any]) -> Mapping[str, Any]:
    """Empty where it is no object: that is for the API server to refuse."""
    spec = wanted.get("spec")
    return spec if isinstance(spec, dict) else {}


def is_stopped(wanted: Mapping[str, Any]) -> bool:
    """It will be applied with no replicas."""
    return wanted["kind"] in SCALABLE and _spec(wanted).get("replicas") == 0


def remembered(
    wanted: Mapping[str, Any], record: Record | None, live: Mapping[str, Any] | None, *, suspended: bool
) -> int | None:
    """The number to remember for ``wanted``, as it will be applied; ``live`` is the object as cached."""
    if wanted["kind"] not in SCALABLE:
        return None
    known = record.replicas if record is not None else None
    if not (suspended and is_stopped(wanted)) or known is not None:
        # Also while it runs: it is forgotten only once it was given back.
        return known
    if live is None or live["scale"]["ours"]:
        return None
    replicas: int = live["scale"]["replicas"]
    return replicas


def to_remember(
    children: Iterable[Mapping[str, Any]],
    records: Mapping[ObjectId, Record],
    live: Callable[[Mapping[str, Any]], Mapping[str, Any] | None],
    *,
    suspended: bool,
) -> dict[ObjectId, int | None]:
    """The numbers to remember before ``children`` are applied: afterwards nobody knows them any more."""
    return {
        object_id(item): remembered(item, records.get(object_id(item)), live(item), suspended=suspended)
        for item in children
        if item["kind"] in SCALABLE
    }


def owed(
    wanted: Mapping[str, Any], record: Record | None, live: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """What gives the number back, as an object to apply under FIELD_MANAGER; None where none is owed.

    Nobody gets it who has set the field meanwhile.
    """
    if record is None or record.replicas is None or "replicas" in _spec(wanted):
        return None
    if live is not None and not live["scale"]["ours"]:
        return None
    metadata = {name: wanted["metadata"][name] for name in ("name", "namespace")}
    if live is not None:
        metadata["uid"] = live["metadata"]["uid"]
    return {
        "apiVersion": wanted["apiVersion"],
        "kind": wanted["kind"],
        "metadata": metadata,
        "spec": {"replicas": record.replicas},
    }
