"""Which changes of an installation's conditions are worth an Event: outcomes, troubles, and their ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from talkdesk_crds.conditions import CONFIRMED, READY, Reason
from talkdesk_operator.conditions import find

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from talkdesk_crds.meta import Condition


@dataclass(frozen=True)
class News:
    """What an Event says; ``action`` is the type of the condition."""

    kind: Literal["Normal", "Warning"]
    reason: str
    note: str
    action: str


def news(before: Sequence[Condition], now: Sequence[Condition]) -> Iterator[News]:
    """What people are told when an installation's conditions change from ``before`` to ``now``.

    An object may have 25 Events at once and one more every five minutes, then they are dropped. So what comes
    good on its way without ever having been in trouble tells nothing: the conditions show it, and Ready sums
    it up.
    """
    for condition in now:
        old = find(before, condition.type)
        outcome = condition.type == CONFIRMED or condition.reason == Reason.INSTALLATION_READY
        if old is not None and (old.status, old.reason) == (condition.status, condition.reason):
            continue
        if condition.reason in _SILENT or (condition.type == READY and not outcome):
            continue
        if not outcome and not _is_trouble(condition) and (old is None or not _is_trouble(old)):
            continue
        good = condition.status == "True" or condition.type == CONFIRMED or condition.reason in _EXPECTED
        yield News(
            "Normal" if good and condition.reason not in _LACKING else "Warning",
            condition.reason,
            condition.message or f"{condition.type} is {condition.status}",
            condition.type,
        )


def _is_trouble(condition: Condition) -> bool:
    """It was, or would be, told of as something that is missing."""
    if condition.reason in _SILENT:
        return False
    return condition.status != "True" or condition.reason in _LACKING


#: They say that nothing is known, or only sum the others up.
_SILENT = frozenset(
    {
        Reason.NOT_CHECKED,
        Reason.AWAITING_ACCOUNT,
        Reason.WAITING_FOR_ACCESS,
        Reason.WAITING_FOR_TENANT,
        Reason.WAITING_FOR_USERS,
        Reason.NOTHING_TO_TELL,
        Reason.MAILS_NOT_CONFIGURED,
        Reason.MAILS_SWITCHED_OFF,
        Reason.MAIL_OWED,
        Reason.MAIL_SENT,
    }
)

#: True, and yet something is missing.
_LACKING = frozenset({Reason.ROLES_REFUSED, Reason.ROLES_UNKNOWN})

#: Not True, and yet nothing is wrong.
_EXPECTED = frozenset(
    {
        Reason.WORKLOAD_NOT_READY,
        Reason.PROBE_FAILING,
        Reason.AWAITING_REVISION,
        Reason.APPLY_RETRYING,
        Reason.UNINSTALLED,
        Reason.SUSPENDED,
        Reason.TRIAL_ENDED,
        Reason.SUPERSEDED,
        Reason.CREDENTIALS_REVOKED,
        Reason.CREDENTIALS_SPREADING,
    }
)
