"""Trials: they start after the partner's approval, run 30 days, may be extended, and end once."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from talkdesk_sandbox.talkdesk.change import Announcement, Change, NotPossibleError, Step, later
from talkdesk_sandbox.talkdesk.model import Installation, Trial

if TYPE_CHECKING:
    from talkdesk_sandbox.talkdesk.switches import Switches

TRIAL_LASTS = timedelta(days=30)


def start_trial(installation: Installation, *, now: datetime, expires_at: datetime | None = None) -> Change:
    """The trial really starts: after the partner's approval."""
    if installation.trial and not installation.trial.ended_at:
        raise NotPossibleError(f"installation {installation.id} has a trial already")
    if installation.state not in {"completed", "suspended"}:
        raise NotPossibleError(f"installation {installation.id} is {installation.state}: no trial can start")
    trial = Trial(
        started_at=now,
        expires_at=expires_at or now + TRIAL_LASTS,
        subscription_name=installation.subscription.plan.name,
    )
    back: tuple[Step, ...] = ()
    if installation.state == "suspended":
        # Whom an expired trial had cut off.
        installation = replace(installation, state="completed", updated_at=later(installation, now))
        back = (Step(before="suspended", after="completed"),)
    return Change(
        installation=replace(installation, trial=trial),
        steps=back,
        announcements=(Announcement(type="app.trial_started", data={"expires_at": trial.expires_at}),),
    )


def extend_trial(installation: Installation, *, expires_at: datetime) -> Change:
    """Talkdesk's staff move the end of a running trial; only while it runs."""
    trial = installation.trial
    if not trial or trial.ended_at:
        raise NotPossibleError(f"installation {installation.id} has no running trial to extend")
    return Change(
        installation=replace(installation, trial=replace(trial, expires_at=expires_at)),
        announcements=(Announcement(type="app.trial_extended", data={"expires_at": expires_at}),),
    )


def end_trial(
    installation: Installation,
    *,
    reason: Literal["trial_expired", "app_uninstalled", "plan_upgraded"],
    now: datetime,
) -> Change:
    """End the running trial, if there is one; without one nothing changes."""
    trial = installation.trial
    if not trial or trial.ended_at:
        return Change(installation=installation)
    by: Literal["system", "user"] = "system" if reason == "trial_expired" else "user"
    ended = replace(trial, ended_at=now, ended_reason=reason, ended_by=by)
    data = {
        "ended_at": now,
        "expires_at": trial.expires_at,
        "ended_reason": reason,
        "ended_by": by,
    }
    return Change(
        installation=replace(installation, trial=ended),
        announcements=(Announcement(type="app.trial_ended", data=data),),
    )


def expire_trial(installation: Installation, *, now: datetime, switches: Switches) -> Change:
    """The trial ends on its own, as if its time had come."""
    return cut_off(end_trial(installation, reason="trial_expired", now=now), now=now, switches=switches)


def cut_off(change: Change, *, now: datetime, switches: Switches) -> Change:
    """After an expiry the customer is cut off; an update in flight comes back to that."""
    installation = change.installation
    if switches.after_trial != "suspended":
        return change
    if installation.state == "completed":
        after = replace(installation, state="suspended", updated_at=later(installation, now))
        step = Step(before="completed", after="suspended")
        return replace(change, installation=after, steps=(*change.steps, step))
    if installation.pending and installation.pending.kind == "update":
        pending = replace(installation.pending, previous_state="suspended")
        return replace(change, installation=replace(installation, pending=pending))
    return change
