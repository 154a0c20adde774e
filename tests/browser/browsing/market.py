"""Customers of the demo app in a running sandbox: what they do at Talkdesk, by the stand-in's control API."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from talkdesk_crds.names import installation_name
from talkdesk_kube import resources as kinds
from talkdesk_sandbox.story.observe import NotYet, eventually
from talkdesk_sandbox.talkdesk import StandInError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from talkdesk_sandbox.environment import Environment
    from talkdesk_sandbox.story.script import Story

#: Seconds that an effect may take; a pod that starts on two busy cores is the slowest.
PATIENCE = 30.0
EVERYBODY = ("Ada Lovelace", "Ben Novak", "Cleo Marsh")


@dataclass
class Market:
    """One app of the sandbox; ``name`` is its TalkdeskApp's."""

    environment: Environment
    story: Story
    name: str

    @contextlib.asynccontextmanager
    async def customer(
        self,
        name: str,
        *,
        people: Sequence[str] = EVERYBODY,
        email: str = "",
        licensed: int = 2,
        region: str = "eu",
        reseller: bool = False,
        approved: bool = True,
        installed: bool = True,
    ) -> AsyncIterator[Customer]:
        """The account ``name``, which no other test has; its first ``licensed`` users get the app.

        The first of them installs it.

        :param email: everybody's address; by default each has one of their own.
        :param approved: wait until Talkdesk has the approval.
        :param installed: False: nothing is installed; the test does it.
        """
        account = await self.story.marketplace.post(
            "/control/accounts", {"name": name, "region": region, "reseller": reseller}
        )
        customer = Customer(self, account, region)
        for person in people:
            address = email or f"{person.split()[0].lower()}@{name}.example"
            customer.users[person.split()[0]] = await self.story.marketplace.post(
                f"/control/accounts/{account['id']}/users", {"email": address, "name": person}
            )
        if reseller:
            await self.patch_app({"resellers": [account["id"]]})
        try:
            if installed:
                await customer.install(licensed)
            if installed and approved:
                await customer.approved()
            yield customer
        finally:
            with contextlib.suppress(StandInError):  # it may be uninstalled already
                await customer.uninstall_all()

    async def patch_app(self, spec: Mapping[str, Any]) -> None:
        """Change the app's declaration, as its platform engineer would."""
        cluster = self.story.cluster
        await cluster.kube.merge_patch(
            kinds.APPS, self.name, {"spec": dict(spec)}, namespace=cluster.namespace
        )

    async def schedules(self, pods: bool) -> None:
        """Whether the node takes new pods: while it does not, no tenant gets ready."""
        await self.story.cluster.kube.merge_patch(
            kinds.NODES, "sandbox", {"spec": {"unschedulable": not pods}}
        )


@dataclass
class Customer:
    """An account at Talkdesk; ``users`` by first name, as the stand-in has them."""

    market: Market
    account: dict[str, Any]
    region: str
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    installation_id: str = ""
    approvals: int = 0

    @property
    def name(self) -> str:
        """The account's name."""
        return str(self.account["name"])

    @property
    def talkdesk(self) -> str:
        """Base URL of the account's identity host, for browsers."""
        return self.market.environment.stand_in.sign_on_host(self.name, self.region)

    async def install(self, licensed: int) -> None:
        """The first user installs the app on the free plan, for the first ``licensed``."""
        ids = [user["id"] for user in self.users.values()]
        body = {
            "app_id": self.market.story.app_id,
            "account_id": self.account["id"],
            "plan": self.market.story.plan,
            "users": ids[:licensed],
            "created_by": ids[0],
        }
        answer = await self.market.story.marketplace.post("/control/install", body)
        self.installation_id, self.approvals = answer["installation_id"], 0

    async def approved(self) -> None:
        """Wait until Talkdesk has the approval that is due, and what it lets in is stored.

        That comes a moment later; until then a launch meets a page that waits.
        """
        self.approvals += 1
        market = self.market.story.marketplace
        await eventually(
            lambda: market.approved(self.installation_id, number=self.approvals), within=PATIENCE
        )
        await eventually(self._settled, within=PATIENCE)

    async def _settled(self) -> None:
        cluster = self.market.story.cluster
        installation = await cluster.kube.get(
            kinds.INSTALLATIONS, installation_name(self.installation_id), namespace=cluster.namespace
        )
        access = (installation.get("status") or {}).get("access") or {}
        leaving = "uninstalled" in (installation["spec"].get("talkdesk") or {})
        if access.get("state") != ("Refused" if leaving else "Allowed"):
            raise NotYet(f"access is {access}")

    async def update(
        self, *, adding: Sequence[str] = (), removing: Sequence[str] = (), plan: str = ""
    ) -> None:
        """Manage the app: give it to users and take it from others, or change the plan. Does not wait."""
        body: dict[str, Any] = {
            "adding": [self.users[one]["id"] for one in adding],
            "removing": [self.users[one]["id"] for one in removing],
        }
        await self._act("update", body | ({"plan": plan} if plan else {}))

    async def uninstall(self) -> None:
        """The account's administrator uninstalls the app. Does not wait."""
        await self._act("uninstall", {})

    async def uninstall_all(self) -> None:
        """Nothing of theirs stays, however it was installed."""
        for one in (await self.market.story.marketplace.state())["installations"]:
            if one["account_id"] == self.account["id"] and one["state"] in {"completed", "suspended"}:
                self.installation_id = one["id"]
                await self.uninstall()

    async def trial_ends(self) -> None:
        """Talkdesk ends the trial; it begins by itself after the approval. Does not wait."""

        async def ended() -> None:
            try:
                await self._act("trial/end", {})
            except StandInError as refused:
                raise NotYet(str(refused)) from None

        await eventually(ended, within=PATIENCE)

    async def _act(self, what: str, body: Mapping[str, Any]) -> None:
        path = f"/control/installations/{self.installation_id}/{what}"
        await self.market.story.marketplace.post(path, dict(body))

    async def icon(self, user: str) -> str:
        """What the app's icon leads to, for ``user``."""
        market = self.market.story.marketplace
        return await market.launch_url(self.installation_id, user_id=self.users[user]["id"])

    async def sign_ons(self, user: str) -> int:
        """How often Talkdesk has confirmed, so far, that it is ``user``."""
        return sum(
            entry["kind"] == "authorize"
            and entry["detail"].get("outcome") == "code"
            and entry["detail"].get("user_id") == self.users[user]["id"]
            for entry in await self.market.story.marketplace.read()
        )
