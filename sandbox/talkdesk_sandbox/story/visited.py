"""A visited story: a customer's users are in the app while objects that the gateway follows change.

Whatever changes counts for the next request, not for the one after the next list.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import httpx

from talkdesk_crds.names import session_keys_name
from talkdesk_kube import resources as kinds
from talkdesk_sandbox.story.eventful import ROUNDS, EventfulStory
from talkdesk_sandbox.story.meddling import Place, delete_and_see_made_again
from talkdesk_sandbox.story.observe import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class VisitedStory(EventfulStory):
    """The eventful story; before its update the contact, the keys and the Service change under a visitor."""

    def events(self) -> list[tuple[str, Callable[[], Awaitable[str]]]]:
        """The eventful story's, and then these."""
        return [
            *super().events(),
            ("a new contact is on the gateway's pages", self.contact_changed),
            ("deleted keys sign everybody out", self.keys_deleted),
            ("the tenant's Service moves, and users go on", self.service_moved),
        ]

    async def contact_changed(self) -> str:
        """Whom to write to is changed, several times; a page that refuses tells it."""
        visitor = self.visitors[0]
        icon = await self.marketplace.launch_url(self.installation_id, user_id=visitor.user["id"])
        # No sign-in began with this: the page is of no tenancy, and of the app whose host was asked.
        page = str(httpx.URL(icon).copy_with(path="/_td/callback", query=None))
        for _ in range(ROUNDS):
            contact = f"{secrets.token_hex(4)}@demo.example"
            await self._change_app({"contact": contact})

            async def told(contact: str = contact) -> str:
                return await visitor.reads(page, contains=contact)

            await eventually(told, within=self.prompt)
        return f"{ROUNDS} times"

    async def keys_deleted(self) -> str:
        """Somebody deletes the session keys, several times: nobody is in, one click opens another session."""
        visitor = self.visitors[0]
        keys = Place(kinds.SECRETS, session_keys_name(self._environment.release.name), self._own)
        for _ in range(ROUNDS):
            await delete_and_see_made_again(self._kube, [keys], within=self.prompt)
            await eventually(visitor.is_out, within=self.prompt)
            await eventually(lambda: self._goes_on(visitor), within=self.prompt)
        return f"{ROUNDS} times"

    async def service_moved(self) -> str:
        """Somebody deletes the tenant's Service, several times; the next one has another address."""
        visitor = self.visitors[0]
        app = await self._kube.get(kinds.APPS, self.app, namespace=self._own)
        service = Place(kinds.SERVICES, app["spec"]["service"]["name"], self._tenant_name)
        for _ in range(ROUNDS):
            await delete_and_see_made_again(self._kube, [service], within=self.prompt)
            await eventually(lambda: self._goes_on(visitor), within=self.prompt)
        return f"{ROUNDS} times"
