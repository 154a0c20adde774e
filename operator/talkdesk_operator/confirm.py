"""The answer owed to Talkdesk: approve, reject, wait or nothing. Pure.

Talkdesk's states are open strings. What is not known to be settled counts as waiting for an answer, and each
observed (state, updated_at) is answered once. Nothing is approved that is not usable; an uninstallation is
never rejected.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Literal

from talkdesk_crds.conditions import Reason
from talkdesk_crds.meta import parse_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Not a word of Talkdesk's: it answers 404 where the installation was, to a token that works.
NOT_FOUND_STATE = "(not found)"
#: Talkdesk waits for nothing in these states.
SETTLED_STATES = frozenset(
    {"completed", "failed", "rejected", "timeout", "suspended", "revoked", NOT_FOUND_STATE}
)
#: An installation in these was ended by Talkdesk or by our rejection; it serves nobody.
ENDED_STATES = frozenset({"failed", "rejected", "timeout", "suspended", "revoked", NOT_FOUND_STATE})
#: Certainly about installing or updating: seen beside an uninstalled register, the reading is an old one.
INSTALL_STATES = frozenset({"installing", "updating"})
UNINSTALLED_STATE = "uninstalled"

#: How many answers are remembered.
REMEMBERED = 10

#: Talkdesk still waits for what we have answered: it is answered once more after so long. The first where
#: Talkdesk said that nothing waits (its own view was behind), the second where it took the answer.
REPEATED_AFTER_CONFLICT = timedelta(minutes=2)
REPEATED_AFTER_SUCCESS = timedelta(hours=1)

#: So often at the most an approval of an uninstallation is given while Talkdesk says that nothing waits.
CONTRADICTIONS = 4

Moment = tuple[str, str | None]


class Readiness(Enum):
    """Whether the tenant is usable."""

    USABLE = "Usable"
    NOT_YET = "NotYet"
    #: It will not become usable by waiting.
    FAILED = "Failed"


@dataclass(frozen=True)
class Given:
    """An answer that Talkdesk accepted (or refused because nothing was pending), and the state it led to."""

    state: str
    updated_at: str | None
    answer: Literal["approve", "reject"]
    at: str
    reason: str | None = None
    result_state: str | None = None
    result_updated_at: str | None = None
    #: Why it was rejected, in our words; ``reason`` has the customer's.
    cause: str | None = None
    #: The newest event known then that asked for an answer.
    event: str | None = None
    #: How often the same was given before, each time contradicted.
    contradicted: int | None = None
    #: It was about the uninstallation, which may wait in a state of another name; None where it was not.
    uninstalling: bool | None = None

    @property
    def is_uninstallation(self) -> bool:
        """It was about the uninstallation."""
        return self.uninstalling is True or self.state == UNINSTALLED_STATE

    def covers(self, moment: Moment) -> bool:
        """True where ``moment`` is what was answered, or what the answer itself led to."""
        if moment == (self.state, self.updated_at):
            return True
        return self.result_state is not None and moment == (self.result_state, self.result_updated_at)

    @property
    def again_at(self) -> datetime:
        """When to give it once more, should Talkdesk still wait then."""
        wait = REPEATED_AFTER_CONFLICT if self.result_state is None else REPEATED_AFTER_SUCCESS
        try:
            return parse_time(self.at) + wait
        except ValueError:  # an annotation that somebody else wrote
            return datetime.max.replace(tzinfo=UTC)


def uninstall_approved(given: Sequence[Given]) -> bool:
    """Talkdesk took our approval of the uninstallation, and nothing was answered since."""
    if not given:
        return False
    last = given[-1]
    return last.answer == "approve" and last.is_uninstallation and last.result_state is not None


def was_served(given: Sequence[Given]) -> bool:
    """By our answers it was installed, and nothing that was answered since has ended that."""
    if not given:
        return False
    last = given[-1]
    if last.state == "updating":
        return True  # whatever came of the update: only what was approved before is updated
    if last.answer != "approve" or last.result_state is None or last.result_state in ENDED_STATES:
        return False
    return last.state == "installing" or last.result_state == "completed"


@dataclass(frozen=True)
class Person:
    """A person decides (``spec.approval: Manual``). ``answer`` is what they said about this very moment."""

    #: How they are asked: what waits, until when, and what to type.
    question: str
    answer: Literal["approve", "reject"] | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Situation:
    """All that the decision hangs on. ``since`` is when patience began."""

    state: str
    updated_at: str | None
    uninstalled: bool
    access_refused: bool
    readiness: Readiness
    #: What the tenant waits for, or why it failed, in our words.
    detail: str
    users_listed: bool
    given: tuple[Given, ...]
    since: datetime
    patience: timedelta
    #: A person keeps us from writing to the tenant: nobody is rejected for that.
    paused: bool = False
    #: What the customer is told with a rejection.
    apology: str = ""
    #: None where the operator answers by itself.
    person: Person | None = None
    #: What is asked for is known from Talkdesk's API alone; its event is given until then to arrive.
    unannounced_until: datetime | None = None
    #: An event has changed the state since, and Talkdesk's API, which lags, is asked again.
    behind: bool = False


@dataclass(frozen=True)
class Nothing:
    """No answer is owed."""

    reason: Reason
    message: str = ""


@dataclass(frozen=True)
class Wait:
    """An answer is owed, but not yet; ``until`` is when to decide anew (None: something else wakes us)."""

    reason: Reason
    message: str
    until: datetime | None = None


@dataclass(frozen=True)
class Say:
    """Give this answer now."""

    answer: Literal["approve", "reject"]
    reason: str | None = None
    cause: str | None = None


Decision = Nothing | Wait | Say


def is_pending(state: str) -> bool:
    """True where Talkdesk may be waiting for an answer."""
    return state not in SETTLED_STATES


def may_leave(state: str | None) -> bool:
    """True where Talkdesk may be waiting for an answer to an uninstallation, whatever its word for that."""
    return state is not None and is_pending(state) and state not in INSTALL_STATES


def decide(situation: Situation, now: datetime) -> Decision:
    """What to tell Talkdesk about the state it is in."""
    moment = (situation.state, situation.updated_at)
    last = next((given for given in reversed(situation.given) if given.covers(moment)), None)
    if situation.uninstalled or situation.state == UNINSTALLED_STATE:
        return _uninstall(situation, last, now)
    if not is_pending(situation.state):
        return _settled(situation)
    if last is not None and now < last.again_at:
        message = f"answered {last.answer}; Talkdesk still says {situation.state}"
        return Wait(Reason.WAITING_FOR_TALKDESK, message, until=last.again_at)
    person = situation.person
    if person is not None and person.answer is None:
        return Wait(Reason.WAITING_FOR_PERSON, person.question)
    if person is not None and person.answer == "reject":
        return Say("reject", person.reason or situation.apology, "a person decided so")
    return _by_usability(situation, now)


def _by_usability(situation: Situation, now: datetime) -> Decision:
    """Approve what is usable; wait for it; reject it once patience ends, unless a person has approved it."""
    usable = situation.readiness is Readiness.USABLE
    if usable and situation.users_listed:
        if situation.unannounced_until is not None and now < situation.unannounced_until:
            message = "the event that says what is asked for has not arrived yet"
            return Wait(Reason.WAITING_FOR_EVENT, message, until=situation.unannounced_until)
        return Say("approve")
    reason = Reason.WAITING_FOR_USERS if usable else Reason.WAITING_FOR_TENANT
    detail = "the users have not been listed yet" if usable else situation.detail
    if situation.person is not None:
        return Wait(reason, f"approved by a person; {detail}")
    if situation.paused:
        return Wait(reason, detail)
    deadline = situation.since + situation.patience
    if now >= deadline:
        return Say("reject", situation.apology, detail)
    return Wait(reason, detail, until=deadline)


def _uninstall(situation: Situation, last: Given | None, now: datetime) -> Decision:
    if not is_pending(situation.state):
        return _uninstall_settled(situation)
    # An answer about something else may have led to the state that the uninstallation waits in.
    about_it = last is not None and (last.is_uninstallation or last.state == situation.state)
    if last is not None and about_it and last.state not in INSTALL_STATES:
        done = _uninstall_answered(last, now)
        if done is not None:
            return done
    if situation.state in INSTALL_STATES:
        # The event says uninstalled, the reading is older than that: approving it would approve an install.
        return Wait(Reason.WAITING_FOR_TALKDESK, f"uninstalled, but Talkdesk still says {situation.state}")
    if not situation.access_refused:
        return Wait(Reason.WAITING_FOR_ACCESS, "approved once access is stored as refused")
    return Say("approve")


def _uninstall_answered(last: Given, now: datetime) -> Decision | None:
    """What the approval came to, of which Talkdesk shows no change; None where it is to be given again."""
    if last.result_state is not None:
        return Nothing(Reason.UNINSTALL_APPROVED, "Talkdesk accepted the approval of the uninstallation")
    message = f"approved; Talkdesk said that nothing waits, and still says {last.state}"
    if (last.contradicted or 0) + 1 >= CONTRADICTIONS:
        return Nothing(Reason.UNINSTALL_APPROVED, message)
    return Wait(Reason.WAITING_FOR_TALKDESK, message, until=last.again_at) if now < last.again_at else None


def _uninstall_settled(situation: Situation) -> Decision:
    """Talkdesk waits for nothing, unless what it shows is from before the uninstallation."""
    if situation.behind:
        message = f"uninstalled, but Talkdesk still says {situation.state}, from before that"
        return Wait(Reason.WAITING_FOR_TALKDESK, message)
    answered = any(given.state not in INSTALL_STATES for given in situation.given)
    reason = Reason.UNINSTALL_APPROVED if answered else Reason.NOTHING_PENDING
    return Nothing(reason, f"Talkdesk says {situation.state}")


def _settled(situation: Situation) -> Decision:
    if situation.state == "completed":
        newest = situation.given[-1] if situation.given else None
        if newest is not None and newest.answer == "reject" and newest.state != "installing":
            return Nothing(Reason.UPDATE_REJECTED, f"the settings before are in use; {_rejected(newest)}")
        approved = any(given.answer == "approve" for given in situation.given)
        return Nothing(Reason.APPROVED if approved else Reason.NOTHING_PENDING, "Talkdesk says completed")
    rejected = next((given for given in reversed(situation.given) if given.answer == "reject"), None)
    if situation.state == "rejected" and rejected is not None:
        return Nothing(Reason.REJECTED, _rejected(rejected))
    return Nothing(Reason.ENDED_BY_TALKDESK, f"Talkdesk says {situation.state}")


def _rejected(given: Given) -> str:
    return f"rejected: {given.cause or 'no cause kept'}; the customer was told: {given.reason or 'nothing'}"


def remember(given: Iterable[Given], new: Given) -> tuple[Given, ...]:
    """``given`` and ``new``, newest last, bounded by :data:`REMEMBERED`.

    A repetition replaces the first; contradictions are counted.
    """
    given = tuple(given)

    def same(one: Given) -> bool:
        return (one.state, one.updated_at, one.answer) == (new.state, new.updated_at, new.answer)

    before = next((one for one in given if same(one)), None)
    if before is not None and before.result_state is None and new.result_state is None:
        new = replace(new, contradicted=(before.contradicted or 0) + 1)
    return (*(one for one in given if not same(one)), new)[-REMEMBERED:]
