"""The Talkdesk stand-in as the story uses it: its control API, and its ledger."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from talkdesk_sandbox.story.observe import NotYet
from talkdesk_sandbox.talkdesk import StandInError

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

Entry = dict[str, Any]


@dataclass
class Marketplace:
    """``http`` has the control API's base URL; ``tell`` hears every new ledger entry once, in order."""

    http: httpx.AsyncClient
    tell: Callable[[Entry], None] = lambda _: None
    entries: list[Entry] = field(default_factory=list)
    #: ``seq`` of the last entry.
    _last: int = 0

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST to the control API. StandInError, with the stand-in's words, where it refuses."""
        response = await self.http.post(path, json=body)
        if response.is_error:
            raise StandInError(f"POST {path}: {response.status_code} {response.text}")
        answer: dict[str, Any] = response.json()
        return answer

    async def state(self) -> dict[str, Any]:
        """The whole marketplace as the stand-in sees it."""
        response = await self.http.get("/control/state")
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer

    async def people(self, account_id: str, numbers: range, *, domain: str) -> list[str]:
        """New users of an account, ``User <number>`` with an address at ``domain`` each; their ids."""
        users = [{"email": f"user{number}@{domain}", "name": f"User {number}"} for number in numbers]
        answer = await self.post(f"/control/accounts/{account_id}/users/bulk", {"users": users})
        return list(answer["ids"])

    async def launch_url(self, installation_id: str, *, user_id: str) -> str:
        """What the app's icon opens for a user."""
        response = await self.http.get(
            "/control/launch", params={"installation_id": installation_id, "user_id": user_id}
        )
        if response.is_error:
            raise StandInError(f"GET /control/launch: {response.status_code} {response.text}")
        url: str = response.json()["url"]
        return url

    async def user(self, user_id: str) -> dict[str, Any]:
        """A user, as Talkdesk has them."""
        users = (await self.state())["users"]
        return dict(next(user for user in users if user["id"] == user_id))

    async def mail(self, *, to: str, subject: str) -> dict[str, Any]:
        """The one mail to ``to`` whose subject has ``subject`` in it."""
        response = await self.http.get("/control/mails")
        response.raise_for_status()
        mine = [one for one in response.json()["mails"] if to in one["to"]]
        found = [one for one in mine if subject in one["subject"]]
        if len(found) != 1:
            had = "; ".join(one["subject"] for one in mine) or "none"
            raise NotYet(f"{len(found)} mails about {subject!r} to {to}; there: {had}")
        return dict(found[0])

    async def read(self) -> list[Entry]:
        """All of the ledger so far; new entries are told."""
        response = await self.http.get("/control/ledger", params={"since": self._last})
        response.raise_for_status()
        page = response.json()
        for entry in page["entries"]:
            if entry["seq"] > self._last:  # else another reader, who asked at the same time, had it first
                self._last = entry["seq"]
                self.entries.append(entry)
                self.tell(entry)
        return self.entries

    async def stored(self, event_id: str) -> Entry:
        """The delivery of ``event_id`` that was answered 2xx."""
        mine = [e for e in await self.read() if e["kind"] == "delivery" and e.get("event_id") == event_id]
        for entry in mine:
            if 200 <= (entry.get("status") or 0) < 300:
                return entry
        raise NotYet(
            f"event {event_id} was not accepted"
            + (
                f" (last answer: {mine[-1].get('status') or mine[-1]['detail']})"
                if mine
                else " (not delivered)"
            )
        )

    async def approved(self, installation_id: str, *, number: int = 1) -> Entry:
        """The installation's effective approval; it must be number ``number``, and no reject among them."""
        effective = [
            e
            for e in await self.read()
            if e["kind"] == "transition"
            and e.get("installation_id") == installation_id
            and e["detail"].get("effective")
            and e["detail"].get("answer")
        ]
        rejected = [e for e in effective if e["detail"]["answer"] != "approve"]
        if rejected:
            raise NotYet(f"Talkdesk was answered {rejected[-1]['detail']['answer']}")
        if len(effective) > number:
            raise NotYet(f"{len(effective)} effective approvals where {number} were due")
        if len(effective) < number:
            raise NotYet("Talkdesk has no approval of it")
        return effective[-1]
