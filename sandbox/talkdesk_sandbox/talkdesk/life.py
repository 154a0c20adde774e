"""The life of an installation: pure functions from a value and a moment to the next value.

Each answers a :class:`Change`: the new installation, the states it went through (for the ledger), and the
events that the partner must be sent. Nothing here reads a clock, a socket or a random number.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from talkdesk_sandbox.talkdesk.change import Announcement, Change, NotPossibleError, Step, later, then
from talkdesk_sandbox.talkdesk.model import (
    App,
    Credential,
    Installation,
    Pending,
    Plan,
    Settled,
    Subscription,
    Verdict,
)
from talkdesk_sandbox.talkdesk.rotation import revoked
from talkdesk_sandbox.talkdesk.trials import cut_off, end_trial, start_trial

if TYPE_CHECKING:
    from talkdesk_sandbox.talkdesk.switches import Switches

ANSWER_WITHIN = timedelta(days=7)


def licenses_for(plan: Plan, users: int) -> int:
    """How many licences ``users`` need on ``plan``: one each, or one for the whole account."""
    needed = users if plan.license_type == "individual" else 1
    return max(needed, plan.min_licenses)


def install(
    *,
    app: App,
    account_id: str,
    installation_id: str,
    event_id: str,
    subscription: Subscription,
    users: tuple[str, ...],
    created_by: str,
    credential: Credential,
    secrets: dict[str, Any],
    now: datetime,
) -> Change:
    """An admin installs. ``secrets`` is the part of the event's data that nobody keeps."""
    installation = Installation(
        id=installation_id,
        app_id=app.id,
        version=app.version,
        account_id=account_id,
        created_by=created_by,
        created_at=now,
        scopes=app.scopes,
        state="installing",
        updated_at=now,
        users=users,
        subscription=subscription,
        credentials=(credential,),
        pending=Pending(kind="install", event_id=event_id, deadline=now + ANSWER_WITHIN),
    )
    return Change(
        installation=installation,
        steps=(Step(before="", after="installing", event_id=event_id),),
        announcements=(Announcement(type="app.installed", data=secrets, event_id=event_id),),
    )


def update(
    installation: Installation,
    *,
    adding: tuple[str, ...],
    removing: tuple[str, ...],
    plan: Plan | None,
    event_id: str,
    now: datetime,
    switches: Switches,
) -> Change:
    """An admin changes users or plan. Removing users keeps their licences; adding beyond them buys more."""
    installation = _free(installation, for_="update", switches=switches, now=now)
    if installation.state not in {"completed", "suspended"}:
        raise NotPossibleError(
            f"installation {installation.id} is {installation.state}: it cannot be updated"
        )
    if installation.created_by in removing:
        raise NotPossibleError(
            f"user {installation.created_by} installed the app and cannot be removed from it"
        )
    kept = [user for user in installation.users if user not in removing]
    users = (*kept, *(user for user in adding if user not in kept))
    wanted = _subscription(installation.subscription, plan=plan, users=len(users))
    data = _update_data(
        adding=adding, removing=removing, before=installation.subscription, after=wanted, switches=switches
    )
    after = replace(
        installation,
        state="updating",
        reason=None,
        updated_at=later(installation, now),
        pending=Pending(
            kind="update",
            event_id=event_id,
            deadline=now + ANSWER_WITHIN,
            previous_state=installation.state,
            users=users,
            subscription=wanted,
        ),
    )
    change = Change(
        installation=after,
        steps=(Step(before=installation.state, after="updating", event_id=event_id),),
        announcements=(Announcement(type="app.updated", data=data, event_id=event_id),),
    )
    if switches.upgrade_ends_trial == "at-update" and wanted.plan.type == "paid":
        change = then(change, end_trial(after, reason="plan_upgraded", now=now))
    return change


def uninstall(
    installation: Installation, *, reason: dict[str, Any], event_id: str, now: datetime, switches: Switches
) -> Change:
    """An admin uninstalls: the state says so at once, the credentials live until the answer or 7 days."""
    installation = _free(installation, for_="uninstall", switches=switches, now=now)
    if not installation.live:
        raise NotPossibleError(
            f"installation {installation.id} is {installation.state}: nothing to uninstall"
        )
    after = replace(
        installation,
        state="uninstalled",
        reason=None,
        updated_at=later(installation, now),
        pending=Pending(
            kind="uninstall",
            event_id=event_id,
            deadline=now + ANSWER_WITHIN,
            previous_state=installation.state,
        ),
    )
    change = Change(
        installation=after,
        steps=(Step(before=installation.state, after="uninstalled", event_id=event_id),),
        announcements=(Announcement(type="app.uninstalled", data={"reason": reason}, event_id=event_id),),
    )
    return then(change, end_trial(after, reason="app_uninstalled", now=now))


def answer(
    installation: Installation, *, verdict: Verdict, reason: str | None, now: datetime, switches: Switches
) -> Change:
    """The partner answers. The same answer again changes nothing; a contrary one is not possible."""
    pending = installation.pending
    if pending is None:
        if installation.settled is None or installation.settled.verdict != verdict:
            raise NotPossibleError(f"nothing waits for {verdict!r}: the installation is {installation.state}")
        if switches.repeated_answer == 409:
            raise NotPossibleError(f"{verdict!r} was given already")
        again = Step(
            before=installation.state,
            after=installation.state,
            event_id=installation.settled.event_id,
            answer=verdict,
            effective=False,
        )
        return Change(installation=installation, steps=(again,))
    settled = replace(
        installation,
        reason=reason,
        pending=None,
        settled=Settled(verdict=verdict, event_id=pending.event_id),
        updated_at=later(installation, now),
    )
    if pending.kind == "install":
        change = _installed(settled, verdict=verdict, now=now, switches=switches)
    elif pending.kind == "update":
        change = _updated(settled, pending=pending, verdict=verdict, now=now, switches=switches)
    elif (
        verdict == "reject"
        and switches.rejected_uninstall == "restored"
        and pending.previous_state in {"completed", "suspended"}
    ):
        change = Change(installation=replace(settled, state=pending.previous_state))
    else:
        change = Change(installation=_uninstalled(settled, switches=switches))
    step = Step(
        before=installation.state,
        after=change.installation.state,
        event_id=pending.event_id,
        answer=verdict,
    )
    return replace(change, steps=(step, *change.steps))


def next_due(installation: Installation) -> datetime | None:
    """The next moment at which time alone changes this installation."""
    moments = [one.ends_at for one in installation.credentials if one.status == "old" and one.ends_at]
    if installation.pending:
        moments.append(installation.pending.deadline)
    if installation.trial and not installation.trial.ended_at:
        moments.append(installation.trial.expires_at)
    return min(moments, default=None)


def elapse(installation: Installation, *, now: datetime, switches: Switches) -> Change:
    """What the passing of time does: answers that never came, trials that ran out, old credentials."""
    change = Change(installation=installation)
    pending = installation.pending
    if pending and pending.deadline <= now:
        waited = replace(installation, pending=None, settled=None, updated_at=later(installation, now))
        if pending.kind == "install":
            after = _closed(replace(waited, state="timeout", reason="not answered"), switches=switches)
        elif pending.kind == "update":
            after = replace(waited, state=pending.previous_state, reason="not answered")
        elif switches.unanswered_uninstall == "timeout":
            after = replace(waited, state="timeout", reason="not answered")
        else:
            after = _uninstalled(waited, switches=switches)
        step = Step(before=installation.state, after=after.state, event_id=pending.event_id)
        change = Change(installation=after, steps=(step,))
    trial = change.installation.trial
    if trial and not trial.ended_at and trial.expires_at <= now:
        ended = end_trial(change.installation, reason="trial_expired", now=now)
        change = then(change, cut_off(ended, now=now, switches=switches))
    kept = tuple(
        replace(one, status="revoked") if one.status == "old" and one.ends_at and one.ends_at <= now else one
        for one in change.installation.credentials
    )
    return replace(change, installation=replace(change.installation, credentials=kept))


def listed_users(installation: Installation, *, switches: Switches) -> tuple[str, ...]:
    """The users that GET users shows."""
    pending = installation.pending
    if pending and pending.kind == "update" and switches.update_shows == "new":
        return pending.users
    return installation.users


def listed_subscription(installation: Installation, *, switches: Switches) -> Subscription:
    """The subscription that GET subscription shows."""
    pending = installation.pending
    if pending and pending.subscription and switches.update_shows == "new":
        return pending.subscription
    return installation.subscription


def _free(
    installation: Installation, *, for_: Literal["update", "uninstall"], switches: Switches, now: datetime
) -> Installation:
    """The installation with nothing pending, or NotPossibleError. Only an uninstall replaces an install."""
    pending = installation.pending
    if pending is None:
        return installation
    replaceable = pending.kind == "update" or (pending.kind == "install" and for_ == "uninstall")
    if switches.overlap == "refuse" or not replaceable:
        raise NotPossibleError(
            f"installation {installation.id}: {pending.kind} (event {pending.event_id}) waits for an answer"
        )
    state = pending.previous_state or installation.state
    return replace(installation, pending=None, state=state, updated_at=later(installation, now))


def _subscription(current: Subscription, *, plan: Plan | None, users: int) -> Subscription:
    chosen = plan or current.plan
    needed = licenses_for(chosen, users)
    total = max(needed, current.total_licenses) if chosen == current.plan else needed
    if chosen.max_licenses is not None and total > chosen.max_licenses:
        raise NotPossibleError(
            f"plan {chosen.name} allows {chosen.max_licenses} licences, {total} are needed"
        )
    return replace(current, plan=chosen, total_licenses=total)


def _update_data(
    *,
    adding: tuple[str, ...],
    removing: tuple[str, ...],
    before: Subscription,
    after: Subscription,
    switches: Switches,
) -> dict[str, Any]:
    """``users`` and ``subscription`` of app.updated; licences are those newly bought."""
    data: dict[str, Any] = {}
    empty = switches.unchanged_keys == "empty"
    users = {
        key: list(value) for key, value in (("adding", adding), ("removing", removing)) if value or empty
    }
    if users:
        data["users"] = users
    same_plan = before.plan == after.plan
    bought = after.total_licenses - (before.total_licenses if same_plan else 0)
    if bought or not same_plan:
        count = str(bought) if switches.licenses == "string" else bought
        data["subscription"] = {"adding": {"name": after.plan.name, "licenses": count}}
    elif empty:
        data["subscription"] = {}
    return data


def _installed(installation: Installation, *, verdict: Verdict, now: datetime, switches: Switches) -> Change:
    if verdict == "reject":
        return Change(installation=_closed(replace(installation, state="rejected"), switches=switches))
    completed = replace(installation, state="completed")
    if completed.subscription.plan.type == "trial":
        return start_trial(completed, now=now)
    return Change(installation=completed)


def _updated(
    installation: Installation, *, pending: Pending, verdict: Verdict, now: datetime, switches: Switches
) -> Change:
    if verdict == "reject" or pending.subscription is None:
        return Change(installation=replace(installation, state=pending.previous_state))
    paid = pending.subscription.plan.type == "paid"
    state = "completed" if paid else pending.previous_state
    applied = replace(installation, state=state, users=pending.users, subscription=pending.subscription)
    if paid and switches.upgrade_ends_trial == "at-approval":
        return end_trial(applied, reason="plan_upgraded", now=now)
    return Change(installation=applied)


def _uninstalled(installation: Installation, *, switches: Switches) -> Installation:
    state = "revoked" if switches.after_uninstall == "revoked" else "uninstalled"
    return replace(revoked(installation), state=state, gone=switches.after_uninstall == "gone")


def _closed(installation: Installation, *, switches: Switches) -> Installation:
    return revoked(installation) if switches.rejected_install == "revoked" else installation
