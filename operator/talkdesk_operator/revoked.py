"""Whether an uninstallation is over that cannot be read any more, for we are refused. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from talkdesk_crds.meta import parse_time
from talkdesk_operator.confirm import UNINSTALLED_STATE, may_leave
from talkdesk_operator.retention import own_start
from talkdesk_operator.standing.credentials import refused_since

if TYPE_CHECKING:
    from datetime import datetime

    from talkdesk_crds.installation import TalkdeskInstallation

#: Talkdesk revokes an uninstalled app's credentials after a week, answered or not.
_REVOKED_AFTER = timedelta(days=7)


def until_over(
    installation: TalkdeskInstallation,
    *,
    superseded: bool,
    holder: TalkdeskInstallation | None = None,
    approved: bool,
    told: bool,
    refused: bool,
    now: datetime,
    lasting: timedelta,
) -> timedelta | None:
    """How long until it is certain that an uninstallation, which can no longer be read, is over.

    Zero: it is certain. None: what happened tells nothing, however long it lasts.

    Talkdesk revokes the credentials once it has our answer, which may have reached it although nobody wrote
    that down. But a refusal may also be a mistake of Talkdesk's, or about a token that ended in between, and
    then the answer is still waited for: a refusal counts where it lasts.

    :param superseded: a newer installation has the tenant: ``holder``.
    :param approved: Talkdesk took our approval of the uninstallation.
    :param told: Talkdesk has no such installation.
    :param refused: Talkdesk refuses the credentials, whatever is asked.
    :param lasting: how long a refusal has to last.
    """
    said, status = installation.spec.talkdesk, installation.status
    began = None
    if said.uninstalled is not None:
        began = parse_time(said.uninstalled.at) if said.uninstalled.at is not None else None
    elif superseded:
        began = own_start(installation, now, holder=holder)
    if began is not None and now - began > _REVOKED_AFTER:
        return timedelta(0)
    if approved and (told or refused):
        return timedelta(0)
    state = status.talkdesk.state if status.talkdesk is not None else None
    left = superseded or said.is_uninstalled
    waited = state == UNINSTALLED_STATE or (left and may_leave(state))
    if not (waited and status.access is not None and status.access.state == "Refused"):
        return None
    if told:
        return timedelta(0)
    if not refused:
        return None
    since = refused_since(installation, None, now) or now
    return max(timedelta(0), since + lasting - now)
