"""How long an install takes from Talkdesk's event to the approval, and whose time that is.

Watched from the outside: our own share is what passes before the tenant's Deployment exists and after it is
available; what lies between is the workload's start.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from talkdesk_crds.names import ACCOUNT_LABEL, label_value
from talkdesk_kube import resources as kinds
from talkdesk_sandbox.story.observe import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from talkdesk_sandbox.story.cluster import Cluster
    from talkdesk_sandbox.story.script import Story


@dataclass(frozen=True, slots=True)
class InstallTime:
    """Seconds of one install: event sent → Deployment made → available → approval accepted."""

    made: float
    started: float
    approved: float

    @property
    def total(self) -> float:
        """Event to approval."""
        return self.made + self.started + self.approved

    @property
    def ours(self) -> float:
        """Without the workload's start."""
        return self.made + self.approved


async def time_installs(story: Story, *, number: int) -> AsyncIterator[InstallTime]:
    """Install the app in ``number`` new accounts, one after another.

    Raises NotObserved where one is not approved within a minute.
    """
    for count in range(number):
        yield await _time_install(story, name=f"timed-{count}")


async def _time_install(story: Story, *, name: str) -> InstallTime:
    marketplace, cluster = story.marketplace, story.cluster
    account = await marketplace.post("/control/accounts", {"name": name, "region": story.region})
    user = await marketplace.post(
        f"/control/accounts/{account['id']}/users", {"email": f"admin@{name}.example", "name": "Admin"}
    )
    deployments = await cluster.kube.list(kinds.DEPLOYMENTS)
    moments: dict[str, float] = {}
    watching = asyncio.create_task(_watch(cluster, account["id"], deployments.resource_version, moments))
    began = time.monotonic()
    answer = await marketplace.post(
        "/control/install",
        {
            "app_id": story.app_id,
            "account_id": account["id"],
            "plan": story.plan,
            "users": [user["id"]],
            "created_by": user["id"],
        },
    )
    try:
        await eventually(lambda: marketplace.approved(answer["installation_id"]), within=60)
        moments["approved"] = time.monotonic()
        await asyncio.wait_for(watching, timeout=5)
    finally:
        watching.cancel()
    return InstallTime(
        made=moments["made"] - began,
        started=moments["available"] - moments["made"],
        approved=max(0.0, moments["approved"] - moments["available"]),
    )


async def _watch(cluster: Cluster, account_id: str, version: str, moments: dict[str, float]) -> None:
    selector = f"{ACCOUNT_LABEL}={label_value(account_id)}"
    changes = cluster.kube.watch(kinds.DEPLOYMENTS, resource_version=version, labels=selector)
    async for event in changes:
        if event.type not in {"ADDED", "MODIFIED"}:
            continue
        moments.setdefault("made", time.monotonic())
        if _available(event.object):
            moments["available"] = time.monotonic()
            return


def _available(deployment: dict[str, Any]) -> bool:
    conditions = (deployment.get("status") or {}).get("conditions") or ()
    return any(item["type"] == "Available" and item["status"] == "True" for item in conditions)


def summary(times: list[InstallTime]) -> str:
    """One line: the medians of the parts, in seconds."""
    median = statistics.median
    return (
        f"{len(times)} installs, median from event to approval {median(t.total for t in times):.2f} s: "
        f"ours {median(t.ours for t in times):.2f} s, "
        f"the workload's start {median(t.started for t in times):.2f} s"
    )
