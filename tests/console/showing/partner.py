"""An app's own server at the stand-in: real requests, with the credentials that the events brought."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from talkdesk_client.assertion import ASSERTION_TYPE, client_assertion
from talkdesk_client.credentials import Credentials

if TYPE_CHECKING:
    from collections.abc import Iterable

    import httpx


@dataclass
class Partner:
    """``installed`` is the event that told of the installation, ``credentials`` what the newest one brought.

    ``http`` leads to Talkdesk's hosts by the stand-in's proxy.
    """

    http: httpx.AsyncClient
    installed: dict[str, Any]
    credentials: Credentials

    @classmethod
    def of(cls, http: httpx.AsyncClient, bodies: Iterable[bytes], installation_id: str) -> Partner:
        """From the events ``bodies``, oldest first."""
        mine = [
            event
            for event in map(json.loads, bodies)
            if event["data"].get("installation_id") == installation_id and "private_key" in event["data"]
        ]
        assert mine, f"no event brought credentials of {installation_id}"
        return cls(http, mine[0], Credentials.model_validate(mine[-1]["data"]))

    @property
    def root(self) -> str:
        """Base URL of the region's Apps API."""
        return str(self.installed["_links"]["root"]["href"])

    @property
    def token_url(self) -> str:
        """The account's token endpoint."""
        account, region = self.installed["data"]["account_name"], self.root.split(".")[1]
        return f"https://{account}.id.{region}.talkdesk.localhost/oauth/token"

    @property
    def url(self) -> str:
        """Of the installation."""
        id_ = self.installed["data"]["installation_id"]
        return f"{self.root}/apps/{self.installed['app_id']}/installations/{id_}"

    def assertion(self) -> str:
        """A fresh client assertion."""
        signed = client_assertion(self.credentials, audience=self.token_url, now=time.time())
        return signed.get_secret_value()

    async def ask(self, **fields: str) -> httpx.Response:
        """POST to the token endpoint; ``fields`` over those of ``client_credentials``."""
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self.assertion(),
        }
        return await self.http.post(self.token_url, data=form | fields)

    async def token(self) -> str:
        """An access token."""
        answer = await self.ask()
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    async def call(self, path: str = "", *, token: str, body: Any = None) -> httpx.Response:
        """GET, or with a ``body`` POST, below the installation."""
        headers = {"Authorization": f"Bearer {token}"}
        if body is None:
            return await self.http.get(f"{self.url}{path}", headers=headers)
        return await self.http.post(f"{self.url}{path}", headers=headers, json=body)
