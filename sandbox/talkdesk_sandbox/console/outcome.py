"""What came of an admin's request: read from the ledger, as the dialogue's last page tells it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from talkdesk_sandbox.console.times import moment

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from talkdesk_sandbox.talkdesk.model import Installation

State = Literal["waiting", "succeeded", "failed", "expired", "replaced"]
Request = Literal["install", "update", "uninstall"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """``waiting`` until the app's server has answered, or seven days have passed (``expired``).

    ``seconds`` is from the request to its end, on Talkdesk's clock; ``deliveries`` are the attempts to tell
    the app of it; ``deadline`` is when Talkdesk stops waiting.
    """

    state: State
    request: Request
    reason: str | None = None
    seconds: float | None = None
    deadline: datetime | None = None
    deliveries: list[dict[str, Any]] = field(default_factory=list)


def outcome(installation: Installation, event_id: str, entries: Iterable[dict[str, Any]]) -> Outcome | None:
    """The outcome of the request that ``event_id`` announced; None: it was no request of this installation.

    :param entries: the ledger's.
    """
    mine = [
        entry
        for entry in entries
        if entry.get("event_id") == event_id and entry.get("installation_id") == installation.id
    ]
    steps = [one for one in mine if one["kind"] == "transition" and one["detail"]["effective"]]
    if not steps:
        return None
    deliveries = [one for one in mine if one["kind"] == "delivery"]
    begun, end = steps[0], steps[1] if len(steps) > 1 else None
    request = _request(begun["detail"]["to"])
    if end is None:
        pending = installation.pending
        waiting = pending is not None and pending.event_id == event_id
        return Outcome(
            state="waiting" if waiting else "replaced",
            request=request,
            deadline=pending.deadline if pending is not None and waiting else None,
            deliveries=deliveries,
        )
    said = [one["detail"].get("sent") for one in mine if one["kind"] == "api" and one["status"] == 200]
    return Outcome(
        state=_STATES.get(end["detail"]["answer"], "expired"),
        request=request,
        reason=next((one["reason"] for one in said if one and one.get("reason")), None),
        seconds=(moment(end["at"]) - moment(begun["at"])).total_seconds(),
        deliveries=deliveries,
    )


_STATES: dict[str | None, State] = {"approve": "succeeded", "reject": "failed", None: "expired"}


def _request(state: str) -> Request:
    return "install" if state == "installing" else "update" if state == "updating" else "uninstall"
