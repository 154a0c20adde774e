"""Invariants that hold at every moment: at an approval, and at each change of who may enter."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from talkdesk_crds import names
from talkdesk_kube import NotFound, resources
from turmoil.eyes import History, is_usable, plan_of
from turmoil.violation import Invariant, Violation

if TYPE_CHECKING:
    from turmoil.arena import Arena
    from turmoil.round import Round

#: How long the product may take, on a busy machine and after a kill, from the answer to an event that takes
#: access away until it is away.
BOUND = 20.0


@dataclass
class Removal:
    """A user whom an event takes out (or signs out, if ``epoch`` says from which session)."""

    installation: str
    user: str
    event_id: str
    epoch: str | None = None
    #: The user could enter when it was asked for, or since. Who could not yet (a list that lets them in is
    #: still on its way) has not been taken out by it.
    inside: bool = False
    #: The user was inside, and was seen to be out since.
    out: bool = False


@dataclass
class Judge:
    """Collects violations; :meth:`check` raises the first."""

    arena: Arena
    removals: list[Removal] = field(default_factory=list)
    logouts: list[Removal] = field(default_factory=list)
    uninstalls: dict[str, str] = field(default_factory=dict)
    found: list[Violation] = field(default_factory=list)
    _round: Round | None = None
    #: When the newest request of an installation was made (monotonic).
    _asked: dict[str, float] = field(default_factory=dict)

    def begun(self, made: Round) -> None:
        """The round it judges."""
        self._round = made

    def asked(self, installation: str, _kind: str) -> None:
        """A customer is about to ask for something that will wait for an answer."""
        self._asked[installation] = time.monotonic()

    def added(self, installation: str, users: list[str]) -> None:
        """Users are about to be licensed (again): their removals are over."""
        self.removals = [
            one for one in self.removals if not (one.installation == installation and one.user in users)
        ]

    def withdrawn(self, installation: str) -> list[Removal]:
        """A request may take the place of what waits for an answer: what that one takes out is over, too."""
        over = [one for one in self.removals if one.installation == installation]
        self.removals = [one for one in self.removals if one not in over]
        return over

    def _broken(self, invariant: Invariant, message: str) -> None:
        self.found.append(Violation(invariant, message))

    async def answer(self, installation: str, verdict: str) -> None:
        """Before Talkdesk hears ``verdict``."""
        if self._round is None or installation not in (truth := await self._round.truth()):
            return
        said = truth[installation]
        pending = said["pending"]
        if pending is None:
            return
        since = self._asked.get(installation, 0.0)
        about = f"{pending['kind']} of {installation}"
        if verdict == "reject":
            self._broken(Invariant.NEVER_REJECTED, about)
        elif pending["kind"] == "uninstall":
            await self._refused(installation, about, since)
        elif (
            said["subscription"]["plan"]["type"] == "trial"
            and pending["previous_state"] == "suspended"
            and (pending["subscription"] or said["subscription"])["plan"]["type"] == "trial"
        ):
            return  # its trial is over, and nothing is paid for: there is nothing to use
        else:
            plan = (pending["subscription"] or said["subscription"])["plan"]["name"]
            await self._usable(said, about, since, plan)

    async def _refused(self, installation: str, about: str, since: float) -> None:
        name = names.installation_name(installation)
        try:
            stored = await self.arena.kube.get(
                resources.INSTALLATIONS, name, namespace=self.arena.release.namespace
            )
        except NotFound:
            return
        access = ((stored.get("status") or {}).get("access") or {}).get("state")
        seen = self.arena.eyes.access.get(name, History()).since(since)
        if access != "Refused" and "Refused" not in seen:
            self._broken(Invariant.REFUSED_FIRST, f"{about}: access is {access}")

    async def _usable(self, said: dict[str, Any], about: str, since: float, plan: str) -> None:
        eyes, kube = self.arena.eyes, self.arena.kube
        tenants = eyes.tenants(said["app_id"], said["account_id"])
        now: list[str] = []
        for tenant in tenants:
            try:
                deployment = await kube.get(resources.DEPLOYMENTS, "demo", namespace=tenant)
            except NotFound:
                now.append(f"{tenant}: no Deployment")
                continue
            usable = is_usable(deployment) and plan_of(deployment) == plan
            # Somebody may have broken it since the operator looked: then it was usable in between.
            if usable or plan in eyes.usable.get(tenant, History()).since(since):
                break
            now.append(f"{tenant}: {deployment.get('status')}, plan {plan_of(deployment)}")
        else:
            self._broken(Invariant.USABLE, f"{about} on {plan}: {now or 'no tenant'}")
            return
        try:
            record = await kube.get(resources.CONFIG_MAPS, "talkdesk-account", namespace=tenant)
        except NotFound:
            record = {}
        told = (record.get("data") or {}).get("installation.id")
        if told not in {said["id"], None}:
            self._broken(Invariant.TOLD, f"{about}: {tenant} is told {told}")

    def _overdue(self, event_id: str) -> bool:
        """What the event takes away has to be away by now."""
        at = self.arena.deliveries.acknowledged.get(event_id)
        return at is not None and at < time.monotonic() - BOUND

    def users(self, name: str) -> None:
        """The licensed users of an installation object changed: whoever was out must not be in again."""
        licensed = self.arena.eyes.licensed(name)
        if licensed is None:
            return
        for one in self.removals:
            if names.installation_name(one.installation) != name:
                continue
            if one.user not in licensed:
                one.out = one.out or (one.inside and one.event_id in self.arena.deliveries.acknowledged)
                continue
            one.inside = True
            if one.out or self._overdue(one.event_id):
                self._broken(Invariant.STAYS_OUT, f"{one.user} is back in {name} after the removal")
                one.out = False

    def check(self) -> None:
        """What must be so by now. Raises Violation."""
        if self.found:
            raise self.found[0]
        eyes = self.arena.eyes
        for one in self.removals:
            licensed = eyes.licensed(names.installation_name(one.installation)) or {}
            if self._overdue(one.event_id) and one.user in licensed:
                raise Violation(Invariant.STAYS_OUT, f"{one.user} is still in {one.installation}")
        for one in self.logouts:
            licensed = eyes.licensed(names.installation_name(one.installation)) or {}
            entry = licensed.get(one.user)
            if self._overdue(one.event_id) and entry and entry["epoch"] == one.epoch:
                raise Violation(Invariant.SIGNED_OUT, f"{one.user} of {one.installation} kept the epoch")
        for installation, event_id in self.uninstalls.items():
            stored = eyes.installation(names.installation_name(installation)) or {}
            access = ((stored.get("status") or {}).get("access") or {}).get("state")
            if self._overdue(event_id) and access == "Allowed":
                raise Violation(Invariant.STAYS_OUT, f"{installation} is uninstalled and accessible")
        assert self._round is not None
        for slot in self._round.slots:
            tenants = eyes.tenants(slot.app_id, slot.account_id)
            if len(tenants) > 1:
                raise Violation(Invariant.ONE_TENANT, f"{slot}: {tenants}")
