"""The story itself: install on a trial with three users, update, uninstall, reinstall.

Each step acts at most once (as a customer would, through Talkdesk) and then waits until its effect is seen.
The first step whose effect is not seen ends the story.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import httpx

from talkdesk_kube.errors import KubeError
from talkdesk_sandbox.story.observe import NotObserved, NotYet, eventually
from talkdesk_sandbox.story.step import NOT_REACHED, StepResult
from talkdesk_sandbox.story.visitor import Visitor
from talkdesk_sandbox.talkdesk import StandInError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from talkdesk_sandbox.story.cluster import Cluster
    from talkdesk_sandbox.story.marketplace import Marketplace

T = TypeVar("T")

#: How long an effect may take to be seen (seconds); a pod that starts on two busy cores is the slowest.
PATIENCE = 30.0
#: What a step raises that fails.
FAILURES = (NotObserved, KubeError, StandInError, httpx.HTTPError)


@dataclass
class Story:
    """One customer of one app; ``app_id``, ``plan`` and ``region`` are the stand-in's."""

    marketplace: Marketplace
    cluster: Cluster
    app_id: str
    plan: str
    region: str
    patience: float = PATIENCE
    #: Base URL of an account's identity host for browsers, by the account's name and region.
    sign_on: Callable[[str, str], str] | None = None
    account: dict[str, Any] = field(default_factory=dict)
    users: list[str] = field(default_factory=list)
    installation_id: str = ""
    event_id: str = ""
    tenant: dict[str, Any] = field(default_factory=dict)
    visitors: dict[int, Visitor] = field(default_factory=dict)

    def steps(self) -> list[tuple[str, Callable[[], Awaitable[str]]]]:
        """The steps in their order: a name, and what acts, waits and says what was seen."""
        everyone, changed = (0, 1, 2), (0, 2, 3)
        return [
            ("a customer appears", self.customer),
            ("install: event stored", self.install),
            ("install: tenant made", self.tenant_made),
            ("install: account record written", self.account_record),
            ("install: users licensed", lambda: self.licensed(everyone)),
            ("install: app answers", self.app_answers),
            ("install: approved", lambda: self.approved(1)),
            ("install: the admin gets a mail", lambda: self.mailed("is ready for")),
            ("install: one click, and users are in", lambda: self.users_enter(0, 1)),
            ("trial: start stored", self.trial_started),
            ("update: event stored", self.update),
            ("update: removed user is refused", self.removed_user_refused),
            ("update: users changed", lambda: self.licensed(changed)),
            ("update: approved", lambda: self.approved(2)),
            ("update: the admin gets a mail", lambda: self.mailed("are in effect")),
            ("update: added user enters", lambda: self.users_enter(3)),
            ("uninstall: event stored", self.uninstall),
            ("uninstall: nobody enters", self.nobody_enters),
            ("uninstall: app suspended", self.suspended),
            ("uninstall: approved", lambda: self.approved(3)),
            ("uninstall: the admin gets a mail", lambda: self.mailed("was uninstalled for")),
            ("uninstall: tenant kept", self.kept),
            ("reinstall: event stored", self.install),
            ("reinstall: same tenant resumed", self.resumed),
            ("reinstall: users licensed", lambda: self.licensed(everyone)),
            ("reinstall: app answers", self.app_answers),
            ("reinstall: approved", lambda: self.approved(1)),
            ("reinstall: users enter again", lambda: self.users_enter(0, 2)),
        ]

    async def customer(self) -> str:
        """An account with four users, three of whom will get the app."""
        name = f"acme-{self.app_id[:6]}"
        self.account = await self.marketplace.post("/control/accounts", {"name": name, "region": self.region})
        for person in ("ada", "ben", "cleo", "dan"):
            user = await self.marketplace.post(
                f"/control/accounts/{self.account['id']}/users",
                {"email": f"{person}@{name}.example", "name": person.title()},
            )
            self.users.append(user["id"])
        return f"account {name} in region {self.region}, {len(self.users)} users"

    async def install(self) -> str:
        """The admin chooses plan and users; the event arrives and is stored with its credentials."""
        answer = await self.marketplace.post(
            "/control/install",
            {
                "app_id": self.app_id,
                "account_id": self.account["id"],
                "plan": self.plan,
                "users": self.users[0:3],
                "created_by": self.users[0],
            },
        )
        self.installation_id, self.event_id = answer["installation_id"], answer["event_id"]
        detail = await self._stored("installed")
        secret = await self._see(lambda: self.cluster.credentials_of(self.installation_id))
        return f"{detail}, credentials in Secret {secret['metadata']['name']}"

    async def tenant_made(self) -> str:
        """The tenant's namespace and its protection are there."""
        self.tenant = await self._see(self._tenant)
        protection = await self._see(lambda: self.cluster.protected(self._tenant_name))
        return f"{self._tenant_name}: {protection}"

    async def account_record(self) -> str:
        """The app is told who its customer is."""
        return await self._see(lambda: self.cluster.account_record(self._tenant_name, account=self.account))

    async def licensed(self, who: tuple[int, ...]) -> str:
        """Exactly these users may enter."""
        return await self._see(
            lambda: self.cluster.licensed(self.installation_id, users=[self.users[each] for each in who])
        )

    async def app_answers(self) -> str:
        """The tenant's pod runs and answers for this customer."""
        await self._see(lambda: self.cluster.workload(self._tenant_name, running=True))
        return await self._see(lambda: self.cluster.answers(self._tenant_name, contains=self.account["name"]))

    async def approved(self, number: int) -> str:
        """Talkdesk accepted the approval, once; an approved install or update is usable at that moment."""
        entry = await self._see(lambda: self.marketplace.approved(self.installation_id, number=number))
        return f"{entry['detail'].get('from')} → {entry['detail'].get('to')}, effective once"

    async def mailed(self, subject: str) -> str:
        """Whoever installed the app is told how it ended, in one mail with both bodies."""
        admin = await self.marketplace.user(self.users[0])
        mail = await self._see(lambda: self.marketplace.mail(to=admin["email"], subject=subject))
        if not mail["text"] or not mail["html"]:
            raise NotObserved(f"the mail {mail['subject']!r} lacks a body")
        return f"to {admin['email']}: {mail['subject']}"

    async def users_enter(self, *who: int) -> str:
        """They click the app's icon in Talkdesk and are in, as themselves, in their own account."""
        greeted = [await self._enters(each) for each in who]
        host = urlsplit(self.visitors[who[0]].at).hostname
        return f"{host} greets {', '.join(greeted)}"

    async def _enters(self, who: int) -> str:
        visitor = await self._visitor(who)
        url = await self.marketplace.launch_url(self.installation_id, user_id=visitor.user["id"])
        return await self._see(lambda: visitor.enters(url, contains=self.account["name"]))

    async def _goes_on(self, visitor: Visitor) -> str:
        """They are in on the app's page, where they have been before, once more."""
        return await visitor.enters(visitor.at, contains=self.account["name"])

    async def removed_user_refused(self) -> str:
        """By the page that was open, by the icon's link: refused, where the others go on working."""
        refused = await self._refused(1)
        other = self.visitors[0]
        await self._see(lambda: self._goes_on(other))
        return f"{refused}; {other.user['name']} goes on"

    async def nobody_enters(self) -> str:
        """Whoever was signed in is not any more, and cannot come back."""
        return ", ".join([await self._refused(each) for each in sorted(self.visitors)])

    async def _refused(self, who: int) -> str:
        visitor = self.visitors[who]
        url = await self.marketplace.launch_url(self.installation_id, user_id=visitor.user["id"])
        await self._see(lambda: visitor.refused(visitor.at))
        return await self._see(lambda: visitor.refused(url))

    async def _visitor(self, who: int) -> Visitor:
        if who not in self.visitors:
            if self.sign_on is None:
                raise NotObserved("nobody can sign in: the story does not know Talkdesk's identity hosts")
            talkdesk = self.sign_on(self.account["name"], self.region)
            user = await self.marketplace.user(self.users[who])
            self.visitors[who] = Visitor(talkdesk, user)
            await self.visitors[who].sign_in()
        return self.visitors[who]

    async def close(self) -> None:
        """Close the visitors' browsers."""
        for visitor in self.visitors.values():
            await visitor.close()

    async def trial_started(self) -> str:
        """The trial starts after the approval; what Talkdesk says of it is stored."""
        started = await self._see(self._trial_event)
        self.event_id = started["event_id"]
        register = await self._see(
            lambda: self.cluster.register(self.installation_id, "trial", self.event_id)
        )
        return f"until {register.get('expiresAt', 'unknown')}"

    async def update(self) -> str:
        """The second user loses the app, the fourth gets it; the installing admin cannot remove themself."""
        answer = await self.marketplace.post(
            f"/control/installations/{self.installation_id}/update",
            {"adding": [self.users[3]], "removing": [self.users[1]]},
        )
        self.event_id = answer["event_id"]
        return await self._stored("updated")

    async def uninstall(self) -> str:
        """The customer goes."""
        answer = await self.marketplace.post(
            f"/control/installations/{self.installation_id}/uninstall", {"reason": "the story goes on"}
        )
        self.event_id = answer["event_id"]
        return await self._stored("uninstalled")

    async def suspended(self) -> str:
        """Nothing runs, nothing answers."""
        await self._see(lambda: self.cluster.workload(self._tenant_name, replicas=0, running=False))
        refused = await self._see(lambda: self.cluster.silent(self._tenant_name))
        return f"scaled to zero; {refused}"

    async def kept(self) -> str:
        """Everything the customer had is still there."""
        now = await self._see(self._tenant)
        if now["metadata"]["uid"] != self.tenant["metadata"]["uid"]:
            raise NotObserved("the tenant namespace was made anew")
        if now["metadata"].get("deletionTimestamp"):
            raise NotObserved("the tenant namespace is being deleted")
        await self._see(lambda: self.cluster.workload(self._tenant_name, replicas=0, running=False))
        return f"{self._tenant_name} with its objects"

    async def resumed(self) -> str:
        """A new installation id, the same tenant."""
        before = self.tenant["metadata"]["uid"]
        detail = await self.tenant_made()
        if self.tenant["metadata"]["uid"] != before:
            raise NotObserved("the tenant namespace was made anew")
        await self._see(lambda: self.cluster.workload(self._tenant_name, running=True))
        return detail

    @property
    def _tenant_name(self) -> str:
        name: str = self.tenant["metadata"]["name"]
        return name

    async def _tenant(self) -> dict[str, Any]:
        return await self.cluster.tenant(app_id=self.app_id, account_id=self.account["id"])

    async def _stored(self, register: str) -> str:
        entry = await self._see(lambda: self.marketplace.stored(self.event_id))
        await self._see(lambda: self.cluster.register(self.installation_id, register, self.event_id))
        return f"answered {entry['status']} in {entry['seconds'] * 1000:.0f} ms"

    async def _trial_event(self) -> dict[str, Any]:
        for entry in await self.marketplace.read():
            if (
                entry["kind"] == "delivery"
                and entry.get("event_type") == "app.trial_started"
                and entry.get("installation_id") == self.installation_id
                and 200 <= (entry.get("status") or 0) < 300
            ):
                return entry
        raise NotYet("app.trial_started was not accepted")

    async def _see(self, check: Callable[[], Awaitable[T]]) -> T:
        return await eventually(check, within=self.patience)


async def play(story: Story, *, tell: Callable[[StepResult], None]) -> list[StepResult]:
    """Play ``story`` to its end or to the first step that fails; each result is told as it comes."""
    results: list[StepResult] = []
    failed = False
    for name, step in story.steps():
        if failed:
            results.append(StepResult(name=name, ok=False, seconds=0.0, detail=NOT_REACHED))
            continue
        began = time.monotonic()
        try:
            detail, ok = await step(), True
        except FAILURES as problem:
            detail, ok = str(problem), False
            failed = True
        results.append(StepResult(name=name, ok=ok, seconds=time.monotonic() - began, detail=detail))
        tell(results[-1])
    return results
