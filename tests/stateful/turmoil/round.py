"""One example: two apps, four accounts, and what is known of what was asked for."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from talkdesk_crds import names
from talkdesk_kube import KubeError, NotFound, Obj, resources
from talkdesk_sandbox.environment import demo_app
from talkdesk_sandbox.story.marketplace import Marketplace
from turmoil.eyes import PLAN_VARIABLE
from turmoil.judge import Judge

if TYPE_CHECKING:
    from collections.abc import Callable

    from turmoil.arena import Arena
    from turmoil.ledger import Entry

#: (name, type): the first is a trial.
PLANS = (("Trial", "trial"), ("Small", "paid"), ("Large", "paid"))
SCOPES = ["openid", "account:read", "users:read", "apps:read", "apps:write"]
#: Users of each account; a new installation licenses the first few.
PEOPLE = 6
LICENSED = 3
#: How long a customer waits for an earlier request to be settled before asking for the next thing.
PATIENCE = 20.0
#: So often that wait makes minutes of Talkdesk's time pass.
ATTEMPT_AGAIN = 2.0

#: How long everything may take to come right in the end, on a busy machine.
CALM_WITHIN = 90.0

Talkdesk = dict[str, Any]


@dataclass(frozen=True)
class Slot:
    """An app in an account: at most one installation is live in it."""

    app_id: str
    account_id: str


@dataclass
class Round:
    """Made by :func:`begin`."""

    arena: Arena
    judge: Judge
    apps: dict[str, str] = field(default_factory=dict)
    accounts: list[str] = field(default_factory=list)
    people: dict[str, list[str]] = field(default_factory=dict)
    #: Of events that were posted here, in order; type by id.
    events: dict[str, str] = field(default_factory=dict)
    #: Installations that asked for something, in order.
    installed: dict[str, Slot] = field(default_factory=dict)
    #: Objects that were deleted by hand: (resource, namespace, name, uid).
    deleted: list[tuple[Any, str, str, str]] = field(default_factory=list)
    tokens: int = 0
    #: Seconds that each thing which must become so in the end may take.
    calm_within: float = CALM_WITHIN
    #: Talkdesk's switches that were changed, as they were.
    switched: dict[str, Any] = field(default_factory=dict)

    @property
    def slots(self) -> list[Slot]:
        """All of them."""
        return [Slot(app, account) for app in self.apps for account in self.accounts]

    async def truth(self) -> dict[str, Talkdesk]:
        """This round's installations as Talkdesk has them, by id."""
        state = (await self.arena.control.get("/control/state")).json()
        return {one["id"]: one for one in state["installations"] if one["app_id"] in self.apps}

    async def post(self, path: str, body: dict[str, Any] | None = None, *, kind: str = "") -> str | None:
        """A control call that sends an event: its id, or None where Talkdesk says that it is not possible."""
        answer = await self.arena.post(path, body)
        if answer is None:
            return None
        event_id = str(answer["event_id"])
        if kind:
            self.events[event_id] = kind
        return event_id

    async def install(self, slot: Slot, *, plan: int = 0) -> str | None:
        """Somebody installs: the installation's id, once the webhook has it from Talkdesk, or None."""
        people = self.people[slot.account_id][:LICENSED]
        answer = await self.arena.post(
            "/control/install",
            {
                "app_id": slot.app_id,
                "account_id": slot.account_id,
                "plan": PLANS[plan][0],
                "users": people,
                "created_by": people[0],
            },
        )
        if answer is None:
            return None
        installation, event = str(answer["installation_id"]), str(answer["event_id"])
        self.installed[installation] = slot
        self.judge.asked(installation, "install")
        self.events[event] = "app.installed"
        return installation

    async def settled(
        self, choice: int, *, fits: Callable[[Talkdesk], bool] = lambda _: True
    ) -> Talkdesk | None:
        """One of the installations that wait for nothing; one is made where there is none."""
        began = time.monotonic()
        attempt_again = began + ATTEMPT_AGAIN
        while True:
            truth = await self.truth()
            live = [one for one in truth.values() if is_live(one)]
            ready = [one for one in live if one["pending"] is None and fits(one)]
            if ready:
                return ready[choice % len(ready)]
            waiting = [one for one in live if one["pending"] is not None]
            if not waiting:
                free = self.free(truth)
                if not free:
                    return None
                await self.install(free[choice % len(free)])
            if time.monotonic() - began > PATIENCE:
                return None
            await self.something_happens()
            if waiting and time.monotonic() > attempt_again:
                # As time passes Talkdesk attempts again what the webhook did not take.
                await self.advance(301)
                attempt_again = time.monotonic() + ATTEMPT_AGAIN

    def free(self, truth: dict[str, Talkdesk], *, used: bool | None = None) -> list[Slot]:
        """Slots without a live installation; only those that ever had one, or never."""
        taken = {(one["app_id"], one["account_id"]) for one in truth.values() if is_live(one)}
        ever = {(one["app_id"], one["account_id"]) for one in truth.values()}
        return [
            slot
            for slot in self.slots
            if (slot.app_id, slot.account_id) not in taken
            and (used is None or ((slot.app_id, slot.account_id) in ever) == used)
        ]

    async def something_happens(self, *, within: float = 0.5) -> None:
        """Wait until an installation's state changes, a while at the most."""
        ledger = self.arena.ledger
        await ledger.until(_is_transition, since=ledger.position, within=within)

    async def all_settled(self, *, within: float) -> bool:
        """Wait until Talkdesk waits for no answer."""
        deadline = time.monotonic() + within
        while any(one["pending"] for one in (await self.truth()).values()):
            self.judge.check()
            if time.monotonic() > deadline:
                return False
            await self.something_happens()
        return True

    async def switches(self) -> dict[str, Any]:
        """What Talkdesk does not document, as it is now."""
        found: dict[str, Any] = (await self.arena.control.get("/control/switches")).json()
        return found

    async def switch(self, changes: dict[str, Any]) -> None:
        """Change what Talkdesk does not document, for this round."""
        before = await self.switches()
        self.switched = {name: before[name] for name in changes} | self.switched
        (await self.arena.control.patch("/control/switches", json=changes)).raise_for_status()

    async def poke(self, installation: str) -> bool:
        """Ask for a resync of an installation."""
        self.tokens += 1
        token = {names.RESYNC_ANNOTATION: f"turmoil-{self.arena.rounds}-{self.tokens}"}
        try:
            await self.arena.kube.merge_patch(
                resources.INSTALLATIONS,
                names.installation_name(installation),
                {"metadata": {"annotations": token}},
                namespace=self.arena.release.namespace,
            )
        except NotFound:
            return False
        return True

    async def advance(self, seconds: float) -> None:
        """Move Talkdesk's clock. A process that was killed is back long before minutes have passed."""
        await self.arena.webhook.ready(within=60)
        await self.arena.post("/control/clock", {"advance_seconds": seconds})

    @staticmethod
    def slots_used(objects: list[Obj]) -> set[Slot]:
        """Which slots TalkdeskInstallations belong to: each is looked at in one pass."""
        return {Slot(one["spec"]["appId"], one["spec"]["accountId"]) for one in objects}

    async def objects(self) -> list[Obj]:
        """This round's TalkdeskInstallations, as stored now."""
        found = await self.arena.kube.list(resources.INSTALLATIONS, namespace=self.arena.release.namespace)
        return [one for one in found.items if one["spec"]["appId"] in self.apps]


def _is_transition(entry: Entry) -> bool:
    return bool(entry["kind"] == "transition")


def is_live(installation: Talkdesk) -> bool:
    """It stands in the way of another installation of its app."""
    return installation["state"] in {"installing", "updating", "completed", "suspended"}


async def begin(arena: Arena, *, apps: int = 2, accounts: int = 4) -> Round:
    """New apps and accounts; e-mail addresses and names are the same in all accounts."""
    arena.rounds += 1
    made = Round(arena, Judge(arena))
    for number in range(apps):
        app = await arena.post(
            "/control/apps",
            {
                "name": f"Demo {number}",
                "events_url": arena.events_url,
                "launch_url": "https://launch.demo.localhost/",
                "redirect_uris": ["https://launch.demo.localhost/callback"],
                "scopes": SCOPES,
                "plans": [{"name": name, "type": kind, "license_type": "individual"} for name, kind in PLANS],
            },
        )
        assert app is not None
        name = f"t{arena.rounds}-{number}"
        made.apps[app["id"]] = name
        await arena.kube.apply(declaration(arena, app["id"], name), field_manager="test")
    for number in range(accounts):
        account = await arena.post(
            "/control/accounts",
            {"name": f"t{arena.rounds}-{number}", "region": ("eu", "us")[number % 2]},
        )
        assert account is not None
        made.accounts.append(account["id"])
        made.people[account["id"]] = await Marketplace(arena.control).people(
            account["id"], range(PEOPLE), domain="customer.example"
        )
    arena.calls.judge = made.judge.answer
    arena.eyes.on_users = made.judge.users
    made.judge.begun(made)
    return made


def declaration(arena: Arena, app_id: str, name: str) -> Obj:
    """The TalkdeskApp: the demo's, with its plan told to the workload."""
    declared = demo_app(app_id=app_id, regions=arena.stand_in.regions, name=name)
    declared["metadata"]["namespace"] = arena.release.namespace
    declared["spec"]["approval"] = {"gate": "WorkloadReady", "patienceSeconds": 604800}
    (container,) = declared["spec"]["template"][0]["spec"]["template"]["spec"]["containers"]
    container["env"].append({"name": PLAN_VARIABLE, "value": "${plan.name}"})
    return declared


async def end(made: Round) -> None:
    """Take everything away; nothing waits for the tenants to be gone."""
    arena = made.arena
    arena.calls.judge = arena.eyes.on_users = None
    (await arena.control.delete("/control/faults")).raise_for_status()
    (await arena.control.patch("/control/switches", json=made.switched)).raise_for_status()
    arena.deliveries.disarm()
    for line in arena.requests.values():
        line.heal()
    namespace = arena.release.namespace

    async def delete(resource: Any, name: str, where: str | None = None) -> None:
        with contextlib.suppress(NotFound):
            await arena.kube.delete(resource, name, namespace=where)

    for name in made.apps.values():
        await delete(resources.APPS, name, namespace)
    for one in await made.objects():
        await delete(resources.INSTALLATIONS, one["metadata"]["name"], namespace)
    for app_id in made.apps:
        for account in made.accounts:
            for tenant in arena.eyes.tenants(app_id, account):
                with contextlib.suppress(KubeError):
                    await delete(resources.CONFIG_MAPS, f"inventory-{tenant}", namespace)
                    await delete(resources.NAMESPACES, tenant)
    await asyncio.sleep(0)
