"""In which order a tenant's objects are applied: by wave, and within a wave by kind. Pure.

What pods need is there before pods are, the NetworkPolicy above all. A wave is the annotation
``talkdesk-operator.io/wave`` of a template object; a later one waits until the workloads of those before it
are ready.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from talkdesk_crds.names import WAVE_ANNOTATION

if TYPE_CHECKING:
    from collections.abc import Iterable

    from talkdesk_operator.tenant.making import Object

LAST_WAVE = 99
_WAVE = re.compile(r"[0-9]{1,2}\Z")
#: Everything else comes before these.
_RANKS = {
    "Deployment": 1,
    "StatefulSet": 1,
    "Job": 1,
    "CronJob": 1,
    "HorizontalPodAutoscaler": 2,
    "PodDisruptionBudget": 2,
}

#: Objects that do not depend on each other.
Tier = tuple[dict[str, Any], ...]


def wave_of(obj: Object) -> int | None:
    """The object's wave, 0 where it states none; None where what it states is no wave."""
    stated = (obj["metadata"].get("annotations") or {}).get(WAVE_ANNOTATION, "0")
    return int(stated) if isinstance(stated, str) and _WAVE.match(stated) else None


def waves(objects: Iterable[Object]) -> tuple[tuple[Tier, ...], ...]:
    """The objects by wave, each wave by tiers of kinds; nothing is empty, and each keeps its order."""
    found: dict[int, dict[int, list[Object]]] = {}
    for obj in objects:
        tiers = found.setdefault(wave_of(obj) or 0, {})
        tiers.setdefault(_RANKS.get(obj["kind"], 0), []).append(obj)
    return tuple(
        tuple(tuple(items) for _, items in sorted(tiers.items())) for _, tiers in sorted(found.items())
    )
