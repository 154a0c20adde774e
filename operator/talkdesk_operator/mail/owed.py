"""Which mail is owed: by the answer just given, and by what Talkdesk says where no answer tells. Pure.

Level-based: an answer whose record was lost (the process ended between Talkdesk's acceptance and our note),
or whose outcome was unknown, is told of once the state shows how it ended, and so is what Talkdesk ended.

The end of an installation whose tenant a newer one holds is not told of: the company has access by that one,
and its data stays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from talkdesk_crds.meta import time
from talkdesk_operator.confirm import INSTALL_STATES
from talkdesk_operator.deadlines import ANSWER_WITHIN
from talkdesk_operator.mail.outcome import Outcome, outcome
from talkdesk_operator.mail.record import Mail
from talkdesk_operator.moments import moment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from talkdesk_crds.installation import FromTalkdesk, Stamp
    from talkdesk_operator.confirm import Given
    from talkdesk_operator.mail.outcome import Request

#: Talkdesk ended the request itself.
_FAILED_STATES = frozenset({"timeout", "failed"})
#: What it may show of an update that it has ended: the state before.
_RESTORED_STATES = frozenset({"completed", "suspended"})
#: So much less than :data:`ANSWER_WITHIN` may lie between its times of the event and of the end; so much may
#: our clock be behind its.
_SKEW = timedelta(minutes=10)
_TOOK_TOO_LONG = "It took too long, and Talkdesk ended it."


@dataclass(frozen=True)
class Standing:
    """How an installation stands after a pass.

    ``confirmed`` where Talkdesk waits for nothing, ``superseded`` where a newer one holds the tenant.
    """

    said: FromTalkdesk
    given: tuple[Given, ...]
    state: str | None
    updated_at: str | None
    leaving: bool
    confirmed: bool
    superseded: bool = False


def by_answer(given: Given, said: FromTalkdesk, *, superseded: bool = False) -> Mail | None:
    """The mail that an answer owes; None while it is not known what became of the answer.

    :param superseded: a newer installation holds the tenant.
    """
    if given.result_state is None:
        return None
    if given.is_uninstallation or (said.is_uninstalled and given.state not in INSTALL_STATES):
        if given.answer != "approve" or superseded:
            return None
        left = said.uninstalled if said.is_uninstalled else None
        return Mail(Outcome.UNINSTALLED, left.event if left is not None else _moment(given), at=given.at)
    request: Request = "update" if given.state == "updating" else "install"
    if given.state not in INSTALL_STATES:
        request = _asked(said, given.event)
    succeeded = given.answer == "approve" and given.result_state not in _FAILED_STATES
    reason = given.reason or (_TOOK_TOO_LONG if given.answer == "approve" else None)
    return Mail(
        outcome(request, succeeded=succeeded),
        given.event or _moment(given),
        at=given.at,
        reason=None if succeeded else reason,
    )


def by_state(standing: Standing, mails: Sequence[Mail], *, now: datetime, within: timedelta) -> Mail | None:
    """The mail about the newest request that no answer tells of; None where there is none.

    :param within: what ended longer ago is news to nobody any more: an operator that has just learnt to
        write, or a restored backup, must not begin with last year's installations.
    """
    if not standing.confirmed or standing.state is None:
        return None
    told = frozenset(one.request for one in mails)
    found = _left(standing, told) if standing.leaving else _settled(standing, told)
    if found is None or any(one.same(found) for one in mails):
        return None
    if standing.leaving and any(one.request == found.request for one in mails):
        return None  # it is gone, whatever the state reads afterwards
    if now - found.owed_since >= within:
        return None
    return replace(found, at=time(now))


def _left(standing: Standing, told: frozenset[str]) -> Mail | None:
    left = standing.said.uninstalled
    at = moment(left.at) if left is not None else None
    if left is None or at is None or standing.superseded:
        return None
    if any(_approves(one, since=at - _SKEW) and _moment(one) in told for one in standing.given):
        return None  # its event came after the answer, which was told of under its moment
    if standing.state in _FAILED_STATES:
        return Mail(Outcome.UNINSTALL_FAILED, left.event, at=time(at), reason=_TOOK_TOO_LONG)
    return Mail(Outcome.UNINSTALLED, left.event, at=time(at))


def _approves(given: Given, *, since: datetime) -> bool:
    """Talkdesk took it as the approval of an uninstallation, not before ``since``."""
    at = moment(given.at)
    accepted = given.answer == "approve" and given.is_uninstallation and given.result_state is not None
    return accepted and at is not None and at >= since


def _settled(standing: Standing, told: frozenset[str]) -> Mail | None:
    asking, settled_at = _asking(standing.said), moment(standing.updated_at)
    asked_at = moment(asking.at) if asking is not None else None
    if asking is None or asked_at is None or settled_at is None or settled_at < asked_at:
        return None  # what Talkdesk shows may be from before the request
    shown = (standing.state or "", standing.updated_at)
    request, at = _asked(standing.said, asking.event), time(settled_at)
    failed = Mail(outcome(request, succeeded=False), asking.event, at=at)
    timed_out = request == "update" and _timed_out(standing, asking.event, asked_at)
    if timed_out or standing.state in _FAILED_STATES:
        known = timed_out and asking.event in told  # whatever has changed since
        return replace(failed, reason=_TOOK_TOO_LONG) if not known else None
    mine = next((one for one in reversed(standing.given) if one.event == asking.event), None)
    if mine is None and any(one.event is None and one.covers(shown) for one in standing.given):
        return None  # its event came after the answer, which was told of under its moment
    rejected = mine is not None and mine.answer == "reject"
    if standing.state == "rejected" or (standing.state == "completed" and rejected):
        return replace(failed, reason=mine.reason if mine is not None else None)
    if standing.state == "completed":
        return Mail(outcome(request, succeeded=True), asking.event, at=at)
    return None


def _timed_out(standing: Standing, event: str, asked_at: datetime) -> bool:
    """Talkdesk ended the update itself: it has settled after its week, and by no answer of ours."""
    settled_at = moment(standing.updated_at)
    if standing.state not in _RESTORED_STATES or settled_at is None:
        return False
    telling = (one for one in standing.given if one.result_state is not None or one.answer == "reject")
    answered = any(one.event == event or (moment(one.at) or asked_at) >= asked_at for one in telling)
    return settled_at - asked_at >= ANSWER_WITHIN - _SKEW and not answered


def _asking(said: FromTalkdesk) -> Stamp | None:
    stamps: list[Stamp] = [one for one in (said.installed, said.updated) if one is not None]
    return max(stamps, key=lambda one: one.order(), default=None)


def _asked(said: FromTalkdesk, event: str | None) -> Request:
    return "update" if said.updated is not None and said.updated.event == event else "install"


def _moment(given: Given) -> str:
    return f"{given.state} {given.updated_at or ''}".strip()
