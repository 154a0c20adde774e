"""One reading of an installation from Talkdesk: everything a pass needs, asked for together."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from talkdesk_client import Forbidden, NotFound, TalkdeskError
from talkdesk_crds.meta import stamp_time
from talkdesk_operator.resync import resync_token
from talkdesk_operator.subscribed import answered_events, plan_name
from talkdesk_operator.tenant.facts import AccountFacts, Facts, TrialFacts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence
    from datetime import datetime

    from talkdesk_client import Account, InstallationRef, Subscription, TalkdeskClient, Trial
    from talkdesk_crds.installation import TalkdeskInstallation
    from talkdesk_operator.confirm import Given
    from talkdesk_operator.keys import TenantKey

T = TypeVar("T")

#: What a TalkdeskInstallation's status has room for.
_MAX_PLAN = 256

#: What a state is called where Talkdesk's installation carries none.
NO_STATE = "unknown"


@dataclass(frozen=True)
class Reading:
    """What Talkdesk said. ``begun`` is monotonic; ``seen`` names the removals known before it began."""

    begun: float
    generation: int | None
    resync_token: str | None
    seen: frozenset[str]
    state: str
    updated_at: str | None
    admin: str | None
    account: AccountFacts | None = None
    plan: str | None = None
    subscription_type: str | None = None
    trial: TrialFacts | None = None
    #: Account, plan and trial were asked for as well.
    whole: bool = True
    #: The moment in which those three were read; for another moment they may have changed.
    details_of: tuple[str, str | None] | None = None
    #: When those three were asked for, by the wall clock.
    details_read_at: datetime | None = None

    @property
    def moment(self) -> tuple[str, str | None]:
        """The (state, updated_at) that one answer is for."""
        return (self.state, self.updated_at)

    @property
    def outdated(self) -> bool:
        """Account, plan and trial were read before Talkdesk's state became what it is."""
        return self.details_of != self.moment

    def with_details_of(self, other: Reading) -> Reading:
        """This reading, with account, plan and trial as ``other`` has them."""
        return replace(
            self,
            account=other.account,
            plan=other.plan,
            subscription_type=other.subscription_type,
            trial=other.trial,
            details_of=other.details_of,
            details_read_at=other.details_read_at,
        )

    def facts(
        self,
        key: TenantKey,
        installation: TalkdeskInstallation,
        given: Sequence[Given] = (),
        *,
        known: Facts | None = None,
    ) -> Facts:
        """What the tenant is made from; ``given`` are the answers so far.

        :param known: what it was last made from, if for this installation: it stays where Talkdesk tells no
            account.
        """
        answered = answered_events(given, self.moment)
        name, version = installation.spec.talkdesk.account_name, installation.spec.talkdesk.app_version
        account = self.account or AccountFacts()
        if account.name is None and name is not None:
            account = account.model_copy(update={"name": name.name})
        found = Facts(
            app_id=key.app_id,
            region=key.region,
            account_id=key.account_id,
            installation_id=installation.spec.installation_id,
            account=account,
            plan=plan_name(installation.spec.talkdesk, state=self.state, shown=self.plan, answered=answered),
            subscription_type=self.subscription_type,
            app_version=version.id if version is not None else None,
            trial=self.trial,
        )
        if self.account is not None or known is None:
            return found
        if self.plan is not None or self.subscription_type is not None:
            return found.model_copy(update={"account": known.account})
        # Nothing is told: that is somebody who keeps us out rather than a customer without a subscription.
        return known.model_copy(
            update={"plan": found.plan or known.plan, "app_version": found.app_version or known.app_version}
        )


async def read(
    client: TalkdeskClient,
    ref: InstallationRef,
    installation: TalkdeskInstallation,
    *,
    seen: frozenset[str],
    now: float,
    at: datetime,
    whole: bool,
) -> Reading:
    """Read the installation and, if ``whole``, account, plan and trial after it. Raises TalkdeskError.

    In this order, so that they are never older than the state: a plan from before an update that the state
    shows already would be approved without having been applied. Newer ones are read again with their state.
    ``now`` is monotonic, ``at`` the same moment by the wall clock.
    """
    found = await client.installation(ref)
    subscription: Subscription | None = None
    account, trial = None, None
    if whole:
        async with asyncio.TaskGroup() as group:
            account_task = group.create_task(_caught(client.account(ref)))
            subscription_task = group.create_task(_caught(client.subscription(ref)))
            trial_task = group.create_task(_caught(client.trial(ref)))
        account = _account(_optional(account_task.result()))
        subscription = _optional(subscription_task.result())
        trial = _trial(_optional(trial_task.result()))
    state = found.state
    shown = state.state if state is not None else NO_STATE
    updated_at = state.updated_at if state is not None else None
    return Reading(
        begun=now,
        generation=installation.metadata.generation,
        resync_token=resync_token(installation),
        seen=seen,
        state=shown,
        updated_at=updated_at,
        admin=found.created_by.id if found.created_by is not None else None,
        account=account,
        plan=_plan(subscription),
        subscription_type=subscription.type if subscription is not None else None,
        trial=trial,
        details_read_at=at if whole else None,
        whole=whole,
        details_of=(shown, updated_at) if whole else None,
    )


async def _caught(call: Awaitable[T]) -> T | TalkdeskError:
    """The result, or the error as a value: one refused call must not cancel the others."""
    try:
        return await call
    except TalkdeskError as error:
        return error


def _raised(result: T | TalkdeskError) -> T:
    if isinstance(result, TalkdeskError):
        raise result
    return result


def _optional(result: T | TalkdeskError) -> T | None:
    """None where Talkdesk does not give it to us (no such thing, no right to it); other errors are errors."""
    if isinstance(result, NotFound | Forbidden):
        return None
    return _raised(result)


def _account(account: Account | None) -> AccountFacts | None:
    if account is None:
        return None
    return AccountFacts(
        name=account.name,
        company_name=account.company_name,
        email=account.email,
        timezone=account.timezone,
    )


def _plan(subscription: Subscription | None) -> str | None:
    if subscription is None or not subscription.name:
        return None
    return subscription.name[:_MAX_PLAN]


def _trial(trial: Trial | None) -> TrialFacts | None:
    if trial is None:
        return None

    def stamp(moment: datetime | None) -> str | None:
        return stamp_time(moment) if moment is not None else None

    return TrialFacts(
        state=trial.state,
        started_at=stamp(trial.started_at),
        expires_at=stamp(trial.expires_at),
        ended_at=stamp(trial.ended_at),
        ended_reason=trial.ended_reason,
        subscription_name=trial.subscription_name,
    )
