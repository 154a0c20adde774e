"""From what a pass found out to a status's conditions. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from talkdesk_crds import conditions as types
from talkdesk_crds.conditions import Reason
from talkdesk_crds.meta import Condition, time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

_MESSAGE_LIMIT = 1024
_NOT_CHECKED = "an earlier step has to succeed first"

#: The order in which an installation comes to life; the first that is not True explains Ready.
STEPS = (
    types.APP_KNOWN,
    types.CREDENTIALS_VALID,
    types.TENANT_READY,
    types.USERS_SYNCED,
    types.CONFIRMED,
)


@dataclass(frozen=True)
class Verdict:
    """What a pass found out about one condition."""

    status: Literal["True", "False", "Unknown"]
    reason: Reason
    message: str = ""


def true(reason: Reason, message: str = "") -> Verdict:
    """The condition holds."""
    return Verdict("True", reason, message)


def false(reason: Reason, message: str = "") -> Verdict:
    """The condition does not hold."""
    return Verdict("False", reason, message)


def unknown(reason: Reason, message: str = "") -> Verdict:
    """It cannot be said."""
    return Verdict("Unknown", reason, message)


def find(existing: Iterable[Condition], kind: str) -> Condition | None:
    """The stored condition of that type."""
    return next((one for one in existing if one.type == kind), None)


def conditions(
    existing: Sequence[Condition],
    verdicts: Mapping[str, Verdict],
    *,
    wanted: Iterable[str],
    generation: int | None,
    now: datetime,
) -> list[Condition]:
    """The new list. What no verdict was found about stays as it is, generation included.

    ``lastTransitionTime`` moves only with the status; a condition that never was is Unknown.
    """
    before = {condition.type: condition for condition in existing}
    result = []
    for name in wanted:
        verdict, old = verdicts.get(name), before.get(name)
        if verdict is None:
            if old is not None:
                result.append(old)
                continue
            verdict = unknown(Reason.NOT_CHECKED, _NOT_CHECKED)
        changed = old is None or old.status != verdict.status
        result.append(
            Condition(
                type=name,
                status=verdict.status,
                reason=verdict.reason.value,
                message=_bounded(verdict.message),
                observed_generation=generation,
                last_transition_time=time(now) if old is None or changed else old.last_transition_time,
            )
        )
    return result


def summary(
    found: Sequence[Condition], *, overruled: Verdict | None = None, generation: int | None = None
) -> Verdict:
    """Ready, from the other conditions; ``overruled`` where the installation is not meant to serve anyone."""
    if overruled is not None:
        return overruled
    by_type = {condition.type: condition for condition in found}
    for name in STEPS:
        condition = by_type.get(name)
        if condition is None:
            return unknown(Reason.NOT_CHECKED, f"{name}: {_NOT_CHECKED}")
        if condition.status != "True":
            return Verdict(condition.status, Reason(condition.reason), f"{name}: {condition.message}")
        if name == types.CONFIRMED and condition.observed_generation != generation:
            return unknown(Reason.NOT_CHECKED, "the newest event has not been held against Talkdesk yet")
        if name == types.CONFIRMED and condition.reason in (Reason.REJECTED, Reason.ENDED_BY_TALKDESK):
            return false(Reason(condition.reason), condition.message)
    return true(Reason.INSTALLATION_READY)


def _bounded(message: str) -> str:
    one_line = " ".join(message.split())
    return one_line if len(one_line) <= _MESSAGE_LIMIT else one_line[: _MESSAGE_LIMIT - 1] + "…"
