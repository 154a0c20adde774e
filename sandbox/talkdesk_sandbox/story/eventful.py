"""An eventful story: what happens to a customer between two of Talkdesk's events.

People change and delete what is the product's, ask for a resync, sign out; the app gets popular.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from talkdesk_crds.names import RESYNC_ANNOTATION, installation_name
from talkdesk_kube import resources as kinds
from talkdesk_sandbox.story.meddling import Place, delete_and_see_made_again, find, seen
from talkdesk_sandbox.story.observe import NotYet
from talkdesk_sandbox.story.script import PATIENCE, Story
from talkdesk_sandbox.story.visitor import Visitor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from talkdesk_kube.client import Kube
    from talkdesk_kube.resources import Obj
    from talkdesk_sandbox.environment import Environment

#: A watch that is missing is made up for by listing again, after pauses that double: so many repetitions, and
#: the last pause is longer than a few seconds.
ROUNDS = 4
#: More users than one slice is meant for: the slices are made anew and the old ones deleted.
CROWD = 250

_WRITES = frozenset({"create", "update", "patch", "delete"})


@dataclass
class EventfulStory(Story):
    """The story, with much that happens between its approval and its update.

    :ivar environment: the sandbox that it is played in.
    :ivar prompt: how long what a watch shows may take (seconds).
    :ivar app: the name of the TalkdeskApp.
    """

    environment: Environment | None = None
    prompt: float = PATIENCE
    app: str = ""
    crowd: list[str] = field(default_factory=list)

    def steps(self) -> list[tuple[str, Callable[[], Awaitable[str]]]]:
        """The ordinary steps, with those of this story in between."""
        steps: list[tuple[str, Callable[[], Awaitable[str]]]] = [("the app is found", self.app_found)]
        for name, step in super().steps():
            if name == "update: event stored":
                steps += self.events()
            steps.append((name, step))
            if name == "update: users changed":
                steps.append(("update: slices of the old size are deleted", self.slices_replaced))
        return steps

    def events(self) -> list[tuple[str, Callable[[], Awaitable[str]]]]:
        """What happens between the approval and the update."""
        return [
            ("status is written", self.status_written),
            ("Events tell of the installation", self.told),
            ("a change of the app arrives", self.app_changed),
            ("a deleted slice is made again", self.slice_made_again),
            ("a resync that is asked for is done", self.resynced),
            ("a sign-out is applied and forgotten", self.signed_out),
            ("who signed out signs in again", self.back_again),
            ("sign-out of the app ends it everywhere", self.signed_out_of_the_app),
            ("an Event tells of an unusable delivery", self.unusable_told),
            ("nothing is written without a cause", self.quiet),
            ("a deleted Lease is made again and renewed", self.lease_made_again),
        ]

    async def app_found(self) -> str:
        """The TalkdeskApp that the story was opened with."""
        apps = (await self._kube.list(kinds.APPS, namespace=self._own)).items
        self.app = next(app["metadata"]["name"] for app in apps if app["spec"]["appId"] == self.app_id)
        return self.app

    async def licensed(self, who: tuple[int, ...]) -> str:
        """These users, and the crowd that the update brought."""
        users = [*(self.users[each] for each in who), *self.crowd]
        return await self._see(lambda: self.cluster.licensed(self.installation_id, users=users))

    async def status_written(self) -> str:
        """The app is judged, the installation is ready."""

        async def check() -> str:
            app = await self._kube.get(kinds.APPS, self.app, namespace=self._own)
            installation = await self.cluster.installation(self.installation_id)
            for obj, condition in ((app, "Accepted"), (installation, "Ready")):
                said = (obj.get("status") or {}).get("conditions") or []
                if not any(one["type"] == condition and one["status"] == "True" for one in said):
                    raise NotYet(f"{obj['kind']} is not {condition}")
            return "Accepted, Ready"

        return await self._see(check)

    async def told(self) -> str:
        """Kubernetes Events regarding the installation are there."""

        async def check() -> str:
            found = await self._events(f"regarding.name={self._installation}")
            if not found:
                raise NotYet("no Event regards the installation")
            return ", ".join(sorted({item["reason"] for item in found}))

        return await self._see(check)

    async def app_changed(self) -> str:
        """A link of the app is changed, several times; the tenant's record shows it."""
        record = Place(kinds.CONFIG_MAPS, "talkdesk-account", self._tenant_name)
        for _ in range(ROUNDS):
            link = f"https://www.demo.localhost/{secrets.token_hex(4)}"
            await self._change_app({"links": {"terms": link}})

            async def check(link: str = link) -> None:
                found = await find(self._kube, record)
                if found is None or found["data"].get("links.terms") != link:
                    raise NotYet("the record has the old link")

            await seen([check], within=self.prompt)
        return f"{ROUNDS} times"

    async def slice_made_again(self) -> str:
        """The installation's slice is deleted, several times; the users are listed anew."""
        for _ in range(ROUNDS):
            mine = await self._slices()
            places = [Place(kinds.USER_SLICES, one["metadata"]["name"], self._own) for one in mine]
            await delete_and_see_made_again(self._kube, places, within=self.prompt)
        return f"{ROUNDS} times"

    async def resynced(self) -> str:
        """Somebody asks for everything to be read again, several times."""
        for _ in range(ROUNDS):
            token = secrets.token_hex(4)
            asking = {"metadata": {"annotations": {RESYNC_ANNOTATION: token}}}
            name = self._installation
            await self._kube.merge_patch(kinds.INSTALLATIONS, name, asking, namespace=self._own)

            async def check(token: str = token) -> None:
                found = await self.cluster.installation(self.installation_id)
                if (found.get("status") or {}).get("observedResync") != token:
                    raise NotYet("the resync was not done")

            await seen([check], within=self.prompt)
        return f"{ROUNDS} times"

    async def signed_out(self) -> str:
        """A user logs out, several times: the revocation is marked and, when it is old, deleted."""
        causes: list[str] = []
        for _ in range(ROUNDS):
            answer = await self.marketplace.post(
                f"/control/installations/{self.installation_id}/logout", {"user_id": self.users[0]}
            )
            causes.append(answer["event_id"])
            await self._see(lambda: self.marketplace.stored(causes[-1]))

            async def applied() -> None:
                # One that is gone was applied: nothing else deletes it.
                for one in await self._revocations(causes[-1:]):
                    if not (one.get("status") or {}).get("appliedAt"):
                        raise NotYet("the revocation is not applied")

            await seen([applied], within=self.prompt)

        async def gone() -> str:
            if left := await self._revocations(causes):
                raise NotYet(f"{len(left)} applied revocations are still there")
            return f"{ROUNDS} times"

        return await self._see(gone)

    async def back_again(self) -> str:
        """The page that was open leads to Talkdesk's own sign-in, and from there back into the app."""
        visitor = self.visitors[0]
        await self._see(visitor.sent_to_sign_in)
        await visitor.sign_in()
        return await self._see(lambda: self._goes_on(visitor))

    async def signed_out_of_the_app(self) -> str:
        """A user with two browsers presses the app's own button in one; one click brings them back."""
        here = self.visitors[0]
        url = await self.marketplace.launch_url(self.installation_id, user_id=here.user["id"])
        elsewhere = Visitor(here.talkdesk, here.user, been=True)
        try:
            await elsewhere.sign_in()
            await self._see(lambda: elsewhere.enters(url, contains=self.account["name"]))
            await self._see(here.signs_out)
            seen = await self._see(elsewhere.is_out)
        finally:
            await elsewhere.close()
        await self._see(lambda: here.enters(url, contains=self.account["name"]))
        return seen

    async def unusable_told(self) -> str:
        """A signed event that names no installation is answered, and told in an Event."""
        event = {"id": f"unusable-{secrets.token_hex(8)}", "type": "app.strange"}
        sent = await self.marketplace.post("/control/events", {"app_id": self.app_id, "event": event})
        await self._see(lambda: self.marketplace.stored(sent["event_id"]))

        async def check() -> str:
            for item in await self._events("reason=UnusableEvent"):
                if event["id"] in item["note"]:
                    return str(item["note"])
            raise NotYet("no Event tells of the unusable delivery")

        return await self._see(check)

    async def quiet(self) -> str:
        """For a second nothing is written about this tenant."""
        plane, release = self._environment.control_plane, self._environment.release
        users = {release.user("webhook"), release.user("operator")}
        mine = {self._tenant_name, self._installation, self.app, f"inventory-{self._tenant_name}"}

        async def check() -> str:
            since = plane.audit_position()
            await asyncio.sleep(1)
            for entry in plane.audit(since=since):
                if entry["verb"] not in _WRITES or entry["user"]["username"] not in users:
                    continue
                where = entry.get("objectRef") or {}
                if mine & {where.get("name"), where.get("namespace")}:
                    raise NotYet(f"still written: {entry['verb']} {where.get('resource')}")
            return "a quiet second"

        return await self._see(check)

    async def lease_made_again(self) -> str:
        """Somebody deletes the operator's Lease: one of the replicas makes it again and keeps it."""
        place = Place(kinds.LEASES, f"{self._environment.release.name}-operator", self._own)
        before = await self._kube.get(place.kind, place.name, namespace=place.namespace)
        await self._kube.delete(place.kind, place.name, namespace=place.namespace)

        async def check() -> str:
            lease = await find(self._kube, place)
            if lease is None or lease["metadata"]["uid"] == before["metadata"]["uid"]:
                raise NotYet("the Lease was not made again")
            spec = lease["spec"]
            if spec["renewTime"] == spec["acquireTime"]:
                raise NotYet("the Lease was not renewed")
            return f"held by {spec['holderIdentity']}"

        return await self._see(check)

    async def update(self) -> str:
        """The ordinary update, and the app becomes popular."""
        domain = f"{self.account['name']}.example"
        self.crowd += await self.marketplace.people(self.account["id"], range(CROWD), domain=domain)
        answer = await self.marketplace.post(
            f"/control/installations/{self.installation_id}/update",
            {"adding": [self.users[3], *self.crowd], "removing": [self.users[1]]},
        )
        self.event_id = answer["event_id"]
        return await self._stored("updated")

    async def slices_replaced(self) -> str:
        """Only slices of one generation are left, and it is a larger one."""

        async def check() -> str:
            sizes = {one["spec"]["buckets"] for one in await self._slices()}
            if len(sizes) != 1 or sizes == {1}:
                raise NotYet(f"there are slices of generations {sorted(sizes)}")
            return f"{sizes.pop()} slices"

        return await self._see(check)

    async def install(self) -> str:
        """As ever; a reinstall is without the crowd."""
        self.crowd = []
        return await super().install()

    @property
    def _kube(self) -> Kube:
        return self.cluster.kube

    @property
    def _own(self) -> str:
        return self.cluster.namespace

    @property
    def _installation(self) -> str:
        return installation_name(self.installation_id)

    @property
    def _environment(self) -> Environment:
        if self.environment is None:
            raise LookupError("an eventful story needs its environment")
        return self.environment

    async def _change_app(self, spec: dict[str, Any]) -> None:
        await self._kube.merge_patch(kinds.APPS, self.app, {"spec": spec}, namespace=self._own)

    async def _events(self, fields: str) -> list[Obj]:
        return (await self._kube.list(kinds.EVENTS, namespace=self._own, fields=fields)).items

    async def _slices(self) -> list[Obj]:
        found = await self._kube.list(kinds.USER_SLICES, namespace=self._own)
        return [item for item in found.items if item["spec"]["installation"] == self._installation]

    async def _revocations(self, causes: list[str]) -> list[Obj]:
        found = await self._kube.list(kinds.REVOCATIONS, namespace=self._own)
        return [item for item in found.items if item["spec"]["cause"] in causes]
