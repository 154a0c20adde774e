"""Talkdesk refuses the credentials, or us: access stays for the app's grace, for it may be a mistake."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from talkdesk_crds import conditions as types
from talkdesk_crds.conditions import Reason
from talkdesk_operator.conditions import find
from talkdesk_operator.incumbent import Role
from talkdesk_operator.standing.case import NO_OBJECTION, Case, Judgement, Suspension

if TYPE_CHECKING:
    from talkdesk_crds.installation import TalkdeskInstallation
    from talkdesk_operator.conditions import Verdict

#: The credentials do not open Talkdesk's door, whosever fault it is.
REFUSALS = frozenset(
    {
        Reason.CREDENTIALS_REFUSED,
        Reason.CREDENTIALS_SPREADING,
        Reason.CREDENTIALS_MISSING,
        Reason.CREDENTIALS_INVALID,
        Reason.ACCESS_BLOCKED,
    }
)


def rule(case: Case) -> Judgement:
    """Refused once the grace is over."""
    if case.role is not Role.INCUMBENT or case.app is None:
        return NO_OBJECTION
    since = refused_since(case.installation, case.credentials, case.now)
    if since is None:
        return NO_OBJECTION
    end = since + timedelta(seconds=case.app.spec.credentials.grace_seconds)
    if case.now < end:
        return Judgement(look_at=end)
    reason = _reason(case.installation, case.credentials)
    message = (
        f"Talkdesk could not be asked with this installation's credentials since {since:%Y-%m-%dT%H:%M:%SZ}"
    )
    return Judgement(Suspension(reason, message, read=True))


def refused_since(
    installation: TalkdeskInstallation, verdict: Verdict | None, now: datetime
) -> datetime | None:
    """Since when the credentials do not work, by this pass's verdict or the stored condition; else None."""
    stored = find(installation.status.conditions, types.CREDENTIALS_VALID)
    status = verdict.status if verdict is not None else stored.status if stored is not None else "Unknown"
    reason = verdict.reason if verdict is not None else stored.reason if stored is not None else ""
    if status != "False" or reason not in REFUSALS:
        return None
    if stored is None or stored.status != "False":
        return now
    since = datetime.fromisoformat(stored.last_transition_time)
    return since if since.tzinfo else since.replace(tzinfo=UTC)


def _reason(installation: TalkdeskInstallation, verdict: Verdict | None) -> Reason:
    if verdict is not None:
        return verdict.reason
    stored = next(one for one in installation.status.conditions if one.type == types.CREDENTIALS_VALID)
    return Reason(stored.reason)
