"""One act of a customer each, told in lines as it goes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx

from talkdesk_crds.names import installation_name
from talkdesk_kube import NotFound
from talkdesk_kube import resources as kinds
from talkdesk_kube.client import Kube
from talkdesk_kube.connection import KubeSettings
from talkdesk_sandbox.customer.reading import words
from talkdesk_sandbox.environment import NAMESPACE
from talkdesk_sandbox.story.marketplace import Marketplace
from talkdesk_sandbox.story.observe import NotYet, eventually
from talkdesk_sandbox.story.visitor import Visitor
from talkdesk_sandbox.talkdesk.hosts import sign_on_root

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from talkdesk_sandbox.whereabouts import Whereabouts

#: How long the app may take to answer an admin's request (seconds).
_PATIENCE = 120.0
_SECONDS = 30
#: States in which the app cannot be installed once more.
_LIVE = frozenset({"installing", "updating", "completed", "suspended"})


class NotThere(Exception):  # noqa: N818 - what is said to a person
    """No such account, person or installation in the sandbox; says what there is."""


class Customer:
    """The account ``name`` in the sandbox that is ``up``; ``say`` hears each line."""

    def __init__(
        self, up: Whereabouts, http: httpx.AsyncClient, name: str, say: Callable[[str], None]
    ) -> None:
        self._up = up
        self._name = name
        self._say = say
        self._marketplace = Marketplace(http=http)

    async def install(self, *, plan: str | None, people: Sequence[str]) -> bool:
        """The first of ``people`` (all of the account, where none is named) installs the app for them.

        True: the app's server approved. Raises NotThere, StandInError, NotObserved.
        """
        state = await self._marketplace.state()
        account, app = self._account(state), state["apps"][-1]
        mine = [one for one in state["installations"] if one["account_id"] == account["id"]]
        if any(one["state"] in _LIVE for one in mine):
            raise NotThere(f"{self._name} has {app['name']} installed already")
        everybody = _users(state, account)
        chosen = [_person(everybody, one) for one in people] or everybody
        plan = plan or str(app["plans"][0]["name"])
        names = _listed([user["name"] for user in chosen])
        self._say(f"{self._name} installs {app['name']}, plan {plan}, for {names}")
        began = time.monotonic()
        answer = await self._marketplace.post(
            "/control/install",
            {
                "app_id": app["id"],
                "account_id": account["id"],
                "plan": plan,
                "users": [user["id"] for user in chosen],
                "created_by": chosen[0]["id"],
            },
        )
        answered = await eventually(lambda: self._answered(answer["event_id"]), within=_PATIENCE)
        verdict = str(answered["detail"]["answer"])
        self._say(f"Talkdesk was answered {verdict} after {time.monotonic() - began:.1f} s")
        return verdict == "approve"

    async def open(self, *, who: str | None) -> int:
        """Somebody signs in to Talkdesk and clicks the app's icon; the status of the page that they get.

        Without ``who`` it is the one who installed the app. Raises NotThere, httpx.HTTPError.
        """
        state = await self._marketplace.state()
        account, installation = self._account(state), self._installation(state)
        everybody = _users(state, account)
        user = _person(everybody, who) if who else _installer(everybody, installation)
        port = httpx.URL(self._up.browser).port
        visitor = Visitor(sign_on_root(account["region"], account["name"], port=port), user)
        try:
            await visitor.sign_in()
            url = await self._marketplace.launch_url(installation["id"], user_id=user["id"])
            answer = await visitor.http.get(url)
        finally:
            await visitor.close()
        app = next(one for one in state["apps"] if one["id"] == installation["app_id"])
        self._say(
            f"{user['name']} of {self._name} clicks the icon of {app['name']}: {len(answer.history)} "
            f"redirects, then {answer.status_code} from {answer.url.copy_with(path='/', query=None)}"
        )
        for line in words(answer.text):
            self._say(f"  | {line}")
        return answer.status_code

    async def end_trial(self) -> None:
        """Talkdesk ends the trial; waits until the app's gateway is told so.

        Raises NotThere, StandInError, NotObserved.
        """
        installation = self._installation(await self._marketplace.state())
        sent = await self._marketplace.post(f"/control/installations/{installation['id']}/trial/end", {})
        await eventually(lambda: self._marketplace.stored(sent["event_id"]), within=_SECONDS)
        self._say(f"Talkdesk ended the trial of {self._name}")
        settings = KubeSettings(kubeconfig=self._up.kubeconfig)
        async with await Kube.connect(settings, user_agent="talkdesk-sandbox") as kube:
            refused = await eventually(lambda: _refused(kube, installation["id"]), within=_SECONDS)
        self._say(f"access is refused: {refused}")

    async def _answered(self, event_id: str) -> dict[str, Any]:
        for entry in await self._marketplace.read():
            detail = entry["detail"] if entry["kind"] == "transition" else {}
            if entry.get("event_id") == event_id and detail.get("effective") and detail.get("answer"):
                return entry
        raise NotYet("Talkdesk has no answer; kubectl describe tdi says what is missing")

    def _account(self, state: dict[str, Any]) -> dict[str, Any]:
        found = [one for one in state["accounts"] if one["name"] == self._name]
        if not found:
            there = ", ".join(one["name"] for one in state["accounts"]) or "none"
            raise NotThere(f"there is no account {self._name}; there are: {there}")
        return dict(found[0])

    def _installation(self, state: dict[str, Any]) -> dict[str, Any]:
        account = self._account(state)
        mine = [one for one in state["installations"] if one["account_id"] == account["id"]]
        if not mine:
            raise NotThere(f"{self._name} has not installed anything yet: sandbox install {self._name}")
        return dict(mine[-1])


def _users(state: dict[str, Any], account: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in state["users"] if one["account_id"] == account["id"] and one["active"]]


def _person(users: Sequence[dict[str, Any]], said: str) -> dict[str, Any]:
    """Whom ``said`` means: an e-mail address, a name, or the beginning of one name alone."""
    wanted = said.casefold()
    exact = [one for one in users if wanted in (one["name"].casefold(), one["email"].casefold())]
    found = exact or [one for one in users if one["name"].casefold().startswith(wanted)]
    if len(found) != 1:
        there = ", ".join(one["name"] for one in users) or "nobody"
        raise NotThere(f"{said!r} is {'nobody' if not found else 'several people'}; there are: {there}")
    return found[0]


def _installer(users: Sequence[dict[str, Any]], installation: dict[str, Any]) -> dict[str, Any]:
    """Who installed it, of the active ``users`` of the account."""
    for user in users:
        if user["id"] == installation["created_by"]:
            return user
    there = ", ".join(one["name"] for one in users) or "nobody"
    raise NotThere(f"who installed it is no active user any more: name one by --user; there are: {there}")


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


async def _refused(kube: Kube, installation_id: str) -> str:
    try:
        found = await kube.get(kinds.INSTALLATIONS, installation_name(installation_id), namespace=NAMESPACE)
    except NotFound:
        raise NotYet("there is no TalkdeskInstallation") from None
    access = (found.get("status") or {}).get("access") or {}
    if access.get("state") != "Refused":
        raise NotYet(f"access is {access.get('state', 'not decided')}")
    return str(access["reason"])
