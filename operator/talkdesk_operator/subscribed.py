"""Which plan an installation has: what Talkdesk's subscription shows, or what an update asks for. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from talkdesk_operator.confirm import is_pending
from talkdesk_operator.moments import moment as moment_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from talkdesk_crds.installation import FromTalkdesk, RecentEvent
    from talkdesk_operator.confirm import Given, Moment

#: An uninstallation asks as well, and is answered whatever the plan.
_ASKING = frozenset({"app.installed", "app.updated"})
#: Nothing can have been asked for before it.
_FIRST = "installing"
#: So long a newer event is waited for where the newest one here is from before the state in question.
NEWER_EVENT = timedelta(seconds=5)


def answered_events(given: Iterable[Given], moment: Moment) -> frozenset[str]:
    """The events that asked for what was answered before ``moment``: they say nothing about it."""
    return frozenset(one.event for one in given if one.event is not None and not one.covers(moment))


def asking_events(said: FromTalkdesk) -> list[str]:
    """The newest events that ask for an answer, newest first; several where they are of one time."""
    return [one.event for one in _asking(said)]


def _asking(said: FromTalkdesk) -> list[RecentEvent]:
    asking = [one for one in said.recent if one.type in _ASKING]
    return [one for one in asking if one.at == asking[0].at]


def event_patience(
    said: FromTalkdesk, moment: Moment, *, answered: frozenset[str], delivered_within: timedelta
) -> timedelta | None:
    """How long the event of what is pending is waited for; None where it is here.

    One that was answered is not about ``moment``. One that is older than ``moment`` may not be either: an
    update that was approved without our learning of it is followed by the next one. How Talkdesk's times of
    the two relate is not documented, so that is not worth more than a few seconds.

    :param answered: see :func:`answered_events`.
    :param delivered_within: how long Talkdesk goes on delivering an event.
    """
    newest = _asking(said)
    if not newest:
        return None
    if answered.issuperset(one.event for one in newest):
        return delivered_within
    state, updated_at = moment
    pending_since, asked = moment_of(updated_at), moment_of(newest[0].at)
    if state == _FIRST or pending_since is None or asked is None:
        return None
    return NEWER_EVENT if asked < pending_since.replace(microsecond=0) else None


def plan_name(
    said: FromTalkdesk, *, state: str, shown: str | None, answered: frozenset[str] = frozenset()
) -> str | None:
    """The plan's name, None where there is no subscription.

    While an update waits for its answer Talkdesk may show the old plan or the new one, which is not
    documented: then the plan that the newest update names counts, if it names one. At all other times, and so
    after a rejection, it is the plan that is shown.

    :param state: Talkdesk's state, read together with ``shown``.
    :param shown: the name of the subscription as read.
    :param answered: see :func:`answered_events`.
    """
    asked, updated, installed = said.subscription, said.updated, said.installed
    if asked is None or updated is None or not is_pending(state):
        return shown
    if asked.event in answered:
        return shown  # another update waits by now, whose event is on its way
    if asked.order() != updated.order() and updated.event not in answered:
        return shown  # the newest update is about users alone
    if installed is not None and installed.order() > asked.order():
        return shown  # said about an earlier installation
    return asked.name
