"""A trial that has run out: users are refused until the customer pays or the trial is extended.

Talkdesk's event ends it at once. Should that be lost, the operator's own clock ends it, but only once
Talkdesk was asked after the end and knows of no extension; while Talkdesk cannot be asked, access stays for
``spec.trial.graceSeconds`` of the app.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from talkdesk_crds.conditions import Reason
from talkdesk_crds.meta import parse_time, time
from talkdesk_operator import trial as trials
from talkdesk_operator.confirm import is_pending
from talkdesk_operator.standing.case import NO_OBJECTION, Case, Judgement, Suspension

if TYPE_CHECKING:
    from datetime import datetime


def rule(case: Case) -> Judgement:
    """Suspended while the trial is over and nothing is paid for."""
    trial = trials.current(case.installation.spec.talkdesk, case.trial)
    if trial is None or case.subscription_type == trials.PAID or _upgrading(case, trial):
        return NO_OBJECTION
    if trial.is_over:
        return Judgement(_over(case, trial)) if trial.expired else NO_OBJECTION
    return NO_OBJECTION if trial.ends is None else _by_the_clock(case, trial, trial.ends)


def _by_the_clock(case: Case, trial: trials.Trial, ends: datetime) -> Judgement:
    """Nobody has said that the trial ended."""
    if case.now < ends:
        return Judgement(look_at=ends)
    if _asked_since(case, ends):
        return Judgement(_over(case, trial))
    if _refused_already(case):
        return Judgement(_over(case, trial), ask=True)  # an extension may still come to light
    if case.app is None:
        return Judgement(ask=True)
    grace = ends + timedelta(seconds=case.app.spec.trial.grace_seconds)
    return Judgement(look_at=grace, ask=True) if case.now < grace else Judgement(_over(case, trial), ask=True)


def _over(case: Case, trial: trials.Trial) -> Suspension:
    said = case.installation.spec.talkdesk.trial
    told = said is not None and (said.state == "ended" or _has_come(said.expires_at, case.now))
    ended = trial.ended if trial.is_over else trial.ends
    when = f" at {time(ended)}" if ended is not None else ""
    return Suspension(Reason.TRIAL_ENDED, f"the trial ended{when}; data is kept", read=not told)


def _has_come(text: str | None, now: datetime) -> bool:
    return text is not None and parse_time(text) <= now


def _asked_since(case: Case, ends: datetime) -> bool:
    """Talkdesk was asked after the end, and said something that tells."""
    reading = case.reading
    if reading is None or reading.details_read_at is None:
        return False
    tells = reading.trial is not None or reading.subscription_type is not None
    return tells and reading.details_read_at >= ends


def _refused_already(case: Case) -> bool:
    """It was decided before; what was read for it may be forgotten since, and nothing says otherwise."""
    access = case.installation.status.access
    return access is not None and access.reason == Reason.TRIAL_ENDED


def _upgrading(case: Case, trial: trials.Trial) -> bool:
    """Another plan waits for our answer: the tenant has to run to be approved."""
    wanted = case.installation.spec.talkdesk.subscription
    if wanted is None or case.state is None or not is_pending(case.state):
        return False
    said = case.installation.spec.talkdesk.trial
    newer = said is None or wanted.order() > said.order()
    # Where Talkdesk does not tell of the trial, its subscription does, as long as it shows what was before.
    before = trial.plan or (case.reading.plan if case.reading is not None else None)
    return newer and before is not None and wanted.name != before
