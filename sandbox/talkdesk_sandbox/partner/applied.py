"""Applying the partner's TalkdeskApp, and waiting for what the operator says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from talkdesk_crds.conditions import ACCEPTED, ROLLED_OUT
from talkdesk_kube import resources as kinds
from talkdesk_sandbox.story.observe import NotYet, eventually

if TYPE_CHECKING:
    from talkdesk_kube.client import Kube

#: How long the operator may take to judge a TalkdeskApp, and a roll-out to reach every tenant (seconds).
_JUDGED, _ROLLED = 30.0, 300.0


class NotAccepted(Exception):  # noqa: N818 - what the operator says of it
    """The condition Accepted is False; the text is its message."""


async def apply(kube: Kube, app: dict[str, Any]) -> int:
    """Apply ``app`` as ``kubectl apply`` would, unknown fields refused: the number of tenants that have it.

    Raises KubeError where the API server refuses it, NotAccepted where the operator does, NotObserved where
    a roll-out does not come to its end.
    """
    stored = await kube.apply(app, field_manager="talkdesk-sandbox", field_validation="Strict")
    name, namespace = stored["metadata"]["name"], stored["metadata"]["namespace"]
    generation = stored["metadata"]["generation"]

    async def judged(kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """The condition of this generation, and the status that it stands in."""
        status = (await kube.get(kinds.APPS, name, namespace=namespace)).get("status") or {}
        for one in status.get("conditions") or ():
            if one["type"] == kind and one.get("observedGeneration", 0) >= generation:
                return dict(one), status
        raise NotYet(f"the operator has not said {kind} of TalkdeskApp {name}")

    async def rolled_out() -> int:
        said, status = await judged(ROLLED_OUT)
        if said["status"] != "True":
            raise NotYet(f"{ROLLED_OUT} is {said['status']}, {said['reason']}: {said['message']}")
        return int((status.get("rollout") or {}).get("updated", 0))

    accepted, _ = await eventually(lambda: judged(ACCEPTED), within=_JUDGED)
    if accepted["status"] != "True":
        raise NotAccepted(f"{accepted['reason']}: {accepted['message']}")
    return await eventually(rolled_out, within=_ROLLED)
