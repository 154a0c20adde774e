"""The wide story: a visited one whose app needs, on its way, every right that the chart grants."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import yaml

from talkdesk_crds.key_ring import parse, render
from talkdesk_crds.names import (
    ACCOUNT_LABEL,
    APP_LABEL,
    identity_keys_name,
    label_value,
    session_keys_name,
)
from talkdesk_crds.template import TEMPLATE_KINDS
from talkdesk_kube import resources as kinds
from talkdesk_sandbox.story.eventful import ROUNDS
from talkdesk_sandbox.story.meddling import (
    Place,
    all_gone,
    all_there,
    change_and_see_mended,
    delete_and_see_made_again,
)
from talkdesk_sandbox.story.observe import NotYet, eventually
from talkdesk_sandbox.story.visited import VisitedStory

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from talkdesk_kube import Obj


#: The Secret that tenants get a copy of; the sandbox must be told that the operator may read it.
SOURCE = "wide-source"


@dataclass
class WideStory(VisitedStory):
    """The story with the objects of wide.yaml in the template: one of every kind that may be there."""

    def steps(self) -> list[tuple[str, Callable[[], Awaitable[str]]]]:
        """The visited story's, with those of the template's objects in between."""
        steps: list[tuple[str, Callable[[], Awaitable[str]]]] = []
        for name, step in super().steps():
            if name == "a customer appears":
                steps.append(("every kind is declared", self.declare))
            if name == "install: account record written":
                steps.append(("every kind is made", self.everything_made))
            steps.append((name, step))
        return [
            *steps,
            ("the end: uninstalled, and nothing is to be kept", self.leave),
            ("the end: nothing is left of the customer", self.nothing_left),
        ]

    def events(self) -> list[tuple[str, Callable[[], Awaitable[str]]]]:
        """Objects are changed, deleted, and leave the template."""
        meddled = [
            ("what is changed is mended", self.mended),
            ("what is deleted is made again", self.made_again),
            ("what leaves the template is deleted", self.pruned),
            ("revisions that nobody needs are deleted", self.revisions_pruned),
            ("a deleted revision is made again", self.revision_made_again),
            ("keys that are deleted or lost are made again", self.keys_made_again),
        ]
        told, others = super().events()[:2], super().events()[2:]
        return [*told, *meddled, *others]

    async def declare(self) -> str:
        """The template gets one object of every kind."""
        app = await self._kube.get(kinds.APPS, self.app, namespace=self._own)
        wide = yaml.safe_load(files("talkdesk_sandbox").joinpath("story/wide.yaml").read_text())
        if lacking := set(TEMPLATE_KINDS) - {item["kind"] for item in wide}:
            raise LookupError(f"wide.yaml has no {', '.join(sorted(lacking))}")
        source = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": SOURCE, "namespace": self._own},
            "stringData": {"key": "value"},
        }
        await self._kube.apply(source, field_manager="talkdesk-sandbox")
        copies = [{"kind": "Secret", "name": SOURCE}]
        await self._change_app({"template": [*app["spec"]["template"], *wide], "copies": copies})
        return f"{len(wide)} kinds, and a Secret to copy"

    async def everything_made(self) -> str:
        """Every object of wide.yaml is in the tenant."""
        places = [*self._wide(*TEMPLATE_KINDS), Place(kinds.SECRETS, SOURCE, self._tenant_name)]
        await all_there(self._kube, places, within=self.patience)
        return f"{len(places)} kinds"

    async def mended(self) -> str:
        """A label of ours is changed on an object of each kind that is watched, several times."""
        places = [
            *self._wide(*(set(TEMPLATE_KINDS) - {"Secret"})),
            *self._protection(),
            Place(kinds.ROLE_BINDINGS, "talkdesk-operator", self._tenant_name),
            Place(kinds.NAMESPACES, self._tenant_name),
        ]
        for _ in range(ROUNDS):
            await change_and_see_mended(self._kube, places, within=self.prompt)
        return f"{len(places)} kinds, {ROUNDS} times"

    async def made_again(self) -> str:
        """Objects are deleted; the RoleBinding for itself, for without it nothing else can be made."""
        binding = Place(kinds.ROLE_BINDINGS, "talkdesk-operator", self._tenant_name)
        # A Secret is not watched, a PersistentVolumeClaim goes when its volume lets go of it.
        others = self._wide(*(set(TEMPLATE_KINDS) - {"Secret", "PersistentVolumeClaim"}))
        for places in ([binding], [*others, *self._protection()]):
            await delete_and_see_made_again(self._kube, places, within=self.prompt)
        return f"{len(others) + 3} kinds"

    async def pruned(self) -> str:
        """The template is the demo's again: all else goes, but for what holds a customer's data."""
        app = await self._kube.get(kinds.APPS, self.app, namespace=self._own)
        left = [item for item in app["spec"]["template"] if item["metadata"]["name"] != "wide"]
        await self._change_app({"template": left})
        going = self._wide(*(set(TEMPLATE_KINDS) - {"PersistentVolumeClaim"}))
        await all_gone(self._kube, going, within=self.patience)
        await all_there(self._kube, self._wide("PersistentVolumeClaim"), within=0)
        return f"{len(going)} kinds, not the PersistentVolumeClaim"

    async def leave(self) -> str:
        """The customer goes once more, from an app that keeps nobody for long."""
        await self._change_app({"retention": {"seconds": 1}})
        return await self.uninstall()

    async def nothing_left(self) -> str:
        """Objects, credentials, inventory and tenant of this customer are deleted, of both installations."""
        mine = f"{ACCOUNT_LABEL}={label_value(self.account['id'])}"
        credentials = self._environment.release.credentials_namespace
        places = [
            Place(kinds.CONFIG_MAPS, f"inventory-{self._tenant_name}", self._own),
            Place(kinds.NAMESPACES, self._tenant_name),
        ]

        async def check() -> str:
            installations = await self._kube.list(kinds.INSTALLATIONS, namespace=self._own, labels=mine)
            secrets = await self._kube.list(kinds.SECRETS, namespace=credentials, labels=mine)
            if left := [
                f"{one['kind']} {one['metadata']['name']}" for one in (*installations.items, *secrets.items)
            ]:
                raise NotYet(f"still there: {', '.join(left)}")
            return "nothing"

        await all_gone(self._kube, places, within=self.patience)
        return await self._see(check)

    async def revisions_pruned(self) -> str:
        """Of all that the app was, only the revision is left that its tenant has."""

        async def check() -> str:
            app = await self._kube.get(kinds.APPS, self.app, namespace=self._own)
            wanted: str = app["status"]["rollout"]["revision"]
            found = await self._kube.list(
                kinds.CONTROLLER_REVISIONS,
                namespace=self._own,
                labels=f"{APP_LABEL}={label_value(self.app_id)}",
            )
            left = {item["metadata"]["name"] for item in found.items}
            if left != {wanted}:
                raise NotYet(f"revisions {', '.join(sorted(left))} are there, {wanted} is wanted")
            return wanted

        return await self._see(check)

    async def revision_made_again(self) -> str:
        """The revision that the tenant has is deleted, several times."""
        app = await self._kube.get(kinds.APPS, self.app, namespace=self._own)
        place = Place(kinds.CONTROLLER_REVISIONS, app["status"]["rollout"]["revision"], self._own)
        for _ in range(ROUNDS):
            await delete_and_see_made_again(self._kube, [place], within=self.prompt)
        return f"{ROUNDS} times"

    async def keys_made_again(self) -> str:
        """The gateway's keys are deleted, and then overwritten with nothing; everybody is signed out."""
        release = self._environment.release.name
        names = (session_keys_name(release), identity_keys_name(release))
        places = [Place(kinds.SECRETS, name, self._own) for name in names]
        await delete_and_see_made_again(self._kube, places, within=self.prompt)
        for name in names:
            stored = await self._kube.get(kinds.SECRETS, name, namespace=self._own)
            nothing = render(())
            await self._kube.merge_patch(kinds.SECRETS, name, {"data": nothing}, namespace=self._own)

            async def check(name: str = name, before: Obj = stored) -> str:
                keys = parse(await self._kube.get(kinds.SECRETS, name, namespace=self._own))
                if len(keys) != 1 or keys == parse(before):
                    raise NotYet(f"{name} has {len(keys)} keys")
                return name

            await eventually(check, within=self.prompt)
        return ", ".join(names)

    def _wide(self, *names: str) -> list[Place]:
        """The objects of wide.yaml of these kinds."""
        wanted = [kinds.resource_for(TEMPLATE_KINDS[name], name) for name in sorted(names)]
        return [Place(kind, "wide", self._tenant_name) for kind in wanted]

    def _protection(self) -> list[Place]:
        return [
            Place(kind, "tenant", self._tenant_name) for kind in (kinds.RESOURCE_QUOTAS, kinds.LIMIT_RANGES)
        ]
