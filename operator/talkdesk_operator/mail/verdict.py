"""The condition ``Notified``: was the installing admin told of everything there is to tell? Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from talkdesk_crds.conditions import Reason
from talkdesk_operator.conditions import false, true

if TYPE_CHECKING:
    from collections.abc import Sequence

    from talkdesk_operator.conditions import Verdict
    from talkdesk_operator.mail.record import Mail


_NOTHING = true(Reason.NOTHING_TO_TELL, "nothing has happened yet that the admin is to be told")


@dataclass(frozen=True)
class Failing:
    """Why a mail does not go out at present."""

    reason: Reason
    message: str


def verdict(mails: Sequence[Mail], *, configured: bool, enabled: bool, failing: Failing | None) -> Verdict:
    """By the record; ``failing`` is what the mailer met last."""
    if not configured:
        return true(Reason.MAILS_NOT_CONFIGURED, "the chart names no SMTP server (smtp.host)")
    if not enabled:
        return true(Reason.MAILS_SWITCHED_OFF, "the app's spec.email.enabled is false")
    waiting = next((one for one in mails if one.state == "owed"), None)
    if waiting is not None:
        if failing is not None:
            return false(failing.reason, f"{waiting.outcome.value}: {failing.message}")
        return false(Reason.MAIL_OWED, f"{waiting.outcome.value}: about to be sent")
    return _ended(mails[-1]) if mails else _NOTHING


def _ended(last: Mail) -> Verdict:
    if last.state == "givenUp":
        return false(_reason(last.cause), f"{last.outcome.value}: {last.message or 'no cause kept'}")
    return true(Reason.MAIL_SENT, f"{last.outcome.value}, {last.ended or last.at}")


def _reason(cause: str | None) -> Reason:
    try:
        return Reason(cause or "")
    except ValueError:
        return Reason.MAIL_GIVEN_UP
