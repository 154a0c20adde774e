"""How an installation's trial stands, from the events about it and from what Talkdesk's API showed. Pure.

Both may be behind: an event can be lost, and the API may show what was before the newest event. A trial only
ever moves one way (started, extended, ended; then perhaps another one starts), so the two are compared by
Talkdesk's own times and nothing hangs on when either arrived:

* two views of a running trial: the later end counts, so that no extension is overlooked, unless the API shows
  one that started after the event;
* two views of an ended one: the one that ended later;
* an end and a running one: the running one counts where it is newer than that end (a trial started or
  extended after it), else it is a view from before the end.

What is older than the installation's newest ``app.installed`` belongs to an earlier life and does not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from talkdesk_crds.installation import FromTalkdesk
    from talkdesk_operator.tenant.facts import TrialFacts

#: ``ended_reason`` of a trial whose time ran out; the others are an uninstallation and an upgrade.
EXPIRED = "trial_expired"
_ENDED_STATE = "ended"
#: ``subscription.type`` of what is paid for.
PAID = "paid"


@dataclass(frozen=True)
class Trial:
    """One trial. ``ends`` is when it ends or would have ended; ``ended`` is when it was ended.

    ``since`` is the newest of Talkdesk's times in it that says it was running: its start, or the event.
    """

    is_over: bool
    ends: datetime | None = None
    ended: datetime | None = None
    reason: str | None = None
    since: datetime | None = None
    plan: str | None = None

    @property
    def expired(self) -> bool:
        """It is over because its time ran out; an end without any reason counts if the time had come."""
        if not self.is_over:
            return False
        if self.reason is not None:
            return self.reason == EXPIRED
        return self.ended is not None and self.ends is not None and self.ended >= self.ends


def current(said: FromTalkdesk, read: TrialFacts | None) -> Trial | None:
    """The trial as it stands; None where there is none that anybody knows of.

    :param said: the registers that events wrote.
    :param read: what Talkdesk's API showed last, at whatever time; None for no trial.
    """
    installed = _moment(said.installed.at) if said.installed is not None else None
    views = [view for view in (_of_register(said), _of_reading(read)) if view is not None]
    views = [view for view in views if not _before(view, installed)]
    if not views:
        return None
    return views[0] if len(views) == 1 else _newer(*views)


def _of_register(said: FromTalkdesk) -> Trial | None:
    register = said.trial
    if register is None:
        return None
    at = _moment(register.at)
    if register.state == _ENDED_STATE:
        return Trial(
            is_over=True,
            ends=_moment(register.expires_at),
            ended=_moment(register.ended_at) or at,
            reason=register.ended_reason,
        )
    return Trial(is_over=False, ends=_moment(register.expires_at), since=at)


def _of_reading(read: TrialFacts | None) -> Trial | None:
    if read is None or not read.to_json():
        return None
    ended = _moment(read.ended_at)
    return Trial(
        is_over=ended is not None or read.state == _ENDED_STATE,
        ends=_moment(read.expires_at),
        ended=ended,
        reason=read.ended_reason,
        since=_moment(read.started_at),
        plan=read.subscription_name,
    )


def _before(view: Trial, installed: datetime | None) -> bool:
    """Of an earlier life. Whole seconds: Talkdesk writes its times with and without fractions."""
    last = view.ended if view.is_over else view.since
    if installed is None or last is None:
        return False
    return last.replace(microsecond=0) < installed.replace(microsecond=0)


def _newer(said: Trial, read: Trial) -> Trial:
    """Of an event's view and the API's the one that is further on."""
    if said.is_over and read.is_over:
        # The API has both moments; the event's end counts where it is later.
        return said if _later(said.ended, read.ended) else read
    if said.is_over:
        return read if _started_again(said, read) or (said.expired and _later(read.ends, said.ends)) else said
    if read.is_over:
        return said if _later(said.since, read.ended) else read
    if _later(read.since, said.since):
        return read  # another trial, that started after the event
    return said if _later(said.ends, read.ends) else read


def _started_again(over: Trial, running: Trial) -> bool:
    """``running`` is another trial than the one that is over.

    Times have whole seconds: of a start and an end in the same one, the time that both would have lasted to
    tells whether it was one trial.
    """
    if running.since is not None and running.since == over.ended:
        return over.ends is None or running.ends != over.ends
    return not _later(over.ended, running.since, unknown=True)


def _later(one: datetime | None, other: datetime | None, *, unknown: bool = False) -> bool:
    return unknown if one is None or other is None else one > other


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
