"""An account with the app: what its admin and Talkdesk do to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from chain.people import Person
from talkdesk_crds.names import installation_name
from talkdesk_kube import resources as kinds
from talkdesk_sandbox.story.observe import NotYet, eventually
from talkdesk_sandbox.story.opening import PLAN, REGION
from talkdesk_sandbox.talkdesk import StandInError

if TYPE_CHECKING:
    from chain.world import World
    from talkdesk_kube import Obj

PATIENCE = 30.0


@dataclass
class Customer:
    """An account with the app; ``users`` by first name."""

    world: World
    account: dict[str, Any]
    users: dict[str, dict[str, Any]]
    installation_id: str = ""
    host: str = ""
    tenant: str = ""
    app: str = ""

    @property
    def name(self) -> str:
        """Of the TalkdeskInstallation."""
        return installation_name(self.installation_id)

    @property
    def origin(self) -> str:
        """As browsers write it."""
        return self.world.environment.edge.origin(self.host)

    @property
    def identity(self) -> str:
        """The account's identity host, for browsers."""
        return self.world.environment.stand_in.sign_on_host(self.account["name"], REGION)

    def launch_url(self, user: str, *, to: str | None = None) -> str:
        """What the icon opens."""
        query = {"talkdesk_installation_id": self.installation_id, "talkdesk_user_id": user}
        if to is not None:
            query["to"] = to
        return str(httpx.URL(self.world.environment.edge.launch_url(self.app), params=query))

    async def install(self, *who: str) -> None:
        """These users get the app; the rest goes its way."""
        users = [self.users[name]["id"] for name in who]
        body = {"app_id": self.world.app_id, "account_id": self.account["id"], "plan": PLAN}
        body |= {"users": users, "created_by": users[0]}
        answer = await self.world.marketplace.post("/control/install", body)
        self.installation_id = answer["installation_id"]

    async def served(self) -> None:
        """Until it is installed, approved and served."""

        async def check() -> None:
            try:
                found = await self.object()
            except LookupError as missing:
                raise NotYet(str(missing)) from None
            status = found.get("status") or {}
            if (status.get("access") or {}).get("state") != "Allowed" or not status.get("host"):
                raise NotYet(f"access is {status.get('access')}")
            self.host, self.tenant = status["host"], status["tenant"]

        await eventually(check, within=PATIENCE)
        await eventually(lambda: self.world.marketplace.approved(self.installation_id), within=PATIENCE)

    async def object(self) -> Obj:
        """The TalkdeskInstallation. LookupError while there is none."""
        found = (await self.world.kube.list(kinds.INSTALLATIONS, namespace=self.world.namespace)).items
        mine = [one for one in found if one["metadata"]["name"] == self.name]
        if not mine:
            raise LookupError("not stored yet")
        return mine[0]

    def person(self, name: str) -> Person:
        """A user with a fresh browser; closed when the test ends."""
        transport, http = self.world.browser()
        return Person(self, self.users[name], transport, http)

    async def here(self, name: str) -> Person:
        """A user who is in the app."""
        person = await self.person(name).at_talkdesk()
        return await person.enters()

    async def changes(self, *, adding: tuple[str, ...] = (), removing: tuple[str, ...] = ()) -> None:
        """The admin chooses other users; Talkdesk lets them once the change before was approved."""
        chosen = {"adding": adding, "removing": removing}
        body = {how: [self.users[name]["id"] for name in people] for how, people in chosen.items()}

        async def accepted() -> None:
            try:
                await self.control("update", body)
            except StandInError as refused:
                raise NotYet(str(refused)) from None

        await eventually(accepted, within=PATIENCE)

    async def control(self, what: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Something happens to the installation at Talkdesk."""
        path = f"/control/installations/{self.installation_id}/{what}"
        return await self.world.marketplace.post(path, body or {})
