"""Since when we try to fulfil what Talkdesk waits for. Pure.

An outage of ours, or credentials that are not accepted yet, use nobody's patience up. Nor does a pause, or a
person who has yet to decide: while they last no deadline is shown, and afterwards patience begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_crds import conditions as types
from talkdesk_crds.conditions import Reason
from talkdesk_operator.conditions import find
from talkdesk_operator.moments import moment

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from talkdesk_crds.installation import TalkdeskInstallation

#: Why ``Confirmed`` is False where it is the tenant, or a person, that is waited for.
_WAITING = frozenset({Reason.WAITING_FOR_TENANT, Reason.WAITING_FOR_USERS, Reason.WAITING_FOR_PERSON})


def tried(
    installation: TalkdeskInstallation, *, patience: timedelta, known: datetime | None, now: datetime
) -> datetime:
    """Since when something owed has been tried without a break; ``now`` where nothing was.

    ``Confirmed`` turns False when a pass first finds something to answer.

    :param patience: of the app, at this moment.
    :param known: what this said at the pass before; None where a process has just started.
    """
    confirmed = find(installation.status.conditions, types.CONFIRMED)
    if confirmed is None or confirmed.status != "False":
        return now
    shown = moment(installation.status.deadlines.patience)
    if shown is None and confirmed.reason in _WAITING:
        return now  # it stood still until this pass
    if known is not None:
        return known
    since = moment(confirmed.last_transition_time) or now
    return since if shown is None else max(since, shown - patience)


def patience_began(updated_at: str | None, *, tried: datetime, now: datetime) -> datetime:
    """Since when patience runs: not before it was tried, nor before it was asked for.

    A time of Talkdesk's that lies ahead of our clock is not believed.
    """
    asked = moment(updated_at)
    return asked if asked is not None and tried < asked <= now else tried
