"""Each effect is taken away in turn, from outside the product, and the story fails at the right step.

RBAC is narrowed in the live roles, proxies drop or refuse what passes, the demo's image is broken.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from aiohttp import web

from talkdesk_sandbox.interceptor import Cut, Exchange, passing
from talkdesk_sandbox.rights import Right, Taken, take
from talkdesk_sandbox.story.script import Story, play
from talkdesk_sandbox.story.step import NOT_REACHED, StepResult

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.sandbox]

#: How much longer than in an undamaged story an effect may take: long enough for what works on a machine
#: that is busier by then, short enough for what does not.
TIMES = 3.0
#: And so many seconds in any case.
LEAST = 3.0


class Damage(Protocol):
    """Something that takes an effect away; ``undo`` brings it back."""

    async def do(self, sandbox: Any, story: Story) -> None: ...

    async def undo(self, sandbox: Any) -> None: ...


@dataclass
class NoRight:
    """A right is gone from a live role of the release."""

    right: Right
    _taken: Taken | None = None

    async def do(self, sandbox: Any, story: Story) -> None:  # noqa: ARG002 - the same for every damage
        self._taken = await asyncio.to_thread(take, sandbox.environment.release, self.right)

    async def undo(self, sandbox: Any) -> None:  # noqa: ARG002 - the same for every damage
        assert self._taken is not None
        await asyncio.to_thread(self._taken.give_back)


OURS = "talkdesk-operator.io"


@dataclass
class Undelivered:
    """Events of ``type`` do not reach the webhook."""

    type: str

    async def do(self, sandbox: Any, story: Story) -> None:  # noqa: ARG002 - the same for every damage
        async def rule(exchange: Exchange) -> web.StreamResponse:
            if json.loads(exchange.body).get("type") == self.type:
                raise Cut
            return await exchange.forward()

        sandbox.deliveries.rule = rule

    async def undo(self, sandbox: Any) -> None:
        sandbox.deliveries.rule = passing


@dataclass
class Refused:
    """Talkdesk seems to answer ``status`` to requests whose path ends so."""

    method: str
    ending: str
    status: int = 503

    async def do(self, sandbox: Any, story: Story) -> None:  # noqa: ARG002 - the same for every damage
        async def rule(exchange: Exchange) -> web.StreamResponse:
            if exchange.method == self.method and exchange.path.endswith(self.ending):
                return web.json_response({"error": "unavailable"}, status=self.status)
            return await exchange.forward()

        sandbox.talkdesk.rule = rule

    async def undo(self, sandbox: Any) -> None:
        sandbox.talkdesk.rule = passing


@dataclass
class BrokenImage:
    """The template names an image that cannot be run."""

    image: str = "talkdesk-nowhere:1"

    async def do(self, sandbox: Any, story: Story) -> None:
        def replace() -> None:
            plane, namespace = sandbox.environment.control_plane, sandbox.environment.release.namespace
            apps = json.loads(plane.kubectl("get", "tda", "-n", namespace, "-o", "json"))["items"]
            app = next(each for each in apps if each["spec"]["appId"] == story.app_id)
            name = app["metadata"]["name"]
            pods = app["spec"]["template"][0]["spec"]["template"]["spec"]
            pods["containers"][0]["image"] = self.image
            patch = json.dumps({"spec": {"template": app["spec"]["template"]}})
            plane.kubectl("patch", "tda", name, "-n", namespace, "--type", "merge", "--patch", patch)

        await asyncio.to_thread(replace)

    async def undo(self, sandbox: Any) -> None:
        """The next story declares the app anew."""


@dataclass
class TenantDeleted:
    """Somebody deletes the tenant's namespace."""

    async def do(self, sandbox: Any, story: Story) -> None:
        name = story.tenant["metadata"]["name"]
        await asyncio.to_thread(
            sandbox.environment.control_plane.kubectl, "delete", "namespace", name, "--wait=false"
        )

    async def undo(self, sandbox: Any) -> None:
        """The account of the story is not used again."""


@dataclass
class Both:
    """A right that is gone, and the object that it would bring back, deleted."""

    right: NoRight
    kind: str

    async def do(self, sandbox: Any, story: Story) -> None:
        await self.right.do(sandbox, story)
        name = story.tenant["metadata"]["name"]
        await asyncio.to_thread(
            sandbox.environment.control_plane.kubectl, "delete", self.kind, "--all", "--namespace", name
        )

    async def undo(self, sandbox: Any) -> None:
        await self.right.undo(sandbox)


@dataclass
class VolumeLost:
    """What the app has written into its volume is gone."""

    async def do(self, sandbox: Any, story: Story) -> None:  # noqa: ARG002 - the same for every damage
        for folder in (sandbox.environment.node.directory / "claims").glob("*/visits"):
            await asyncio.to_thread(shutil.rmtree, folder)

    async def undo(self, sandbox: Any) -> None:
        """The account of the story is not used again."""


@dataclass
class NoGateway:
    """Nobody decides: all replicas of the gateway are gone."""

    async def do(self, sandbox: Any, story: Story) -> None:  # noqa: ARG002 - the same for every damage
        await self._scale(sandbox, 0)

    async def undo(self, sandbox: Any) -> None:
        await self._scale(sandbox, 2)

    async def _scale(self, sandbox: Any, replicas: int) -> None:
        plane, release = sandbox.environment.control_plane, sandbox.environment.release
        which = (f"deployment/{release.name}-gateway", "--namespace", release.namespace)
        await asyncio.to_thread(plane.kubectl, "scale", *which, f"--replicas={replicas}")
        await asyncio.to_thread(plane.kubectl, "rollout", "status", *which, "--timeout=60s")
        if not replicas:  # those that end decide to the last
            pods = ("pod", "--selector", "app.kubernetes.io/component=gateway", *which[1:])
            await asyncio.to_thread(plane.kubectl, "wait", "--for=delete", *pods, "--timeout=60s")


@dataclass
class DamagedStory(Story):
    """Does the damage right before the step ``at``."""

    sandbox: Any = None
    damage: Damage = field(default_factory=Damage)
    at: str = ""
    met: bool = False

    def steps(self) -> list[tuple[str, Callable[[], Awaitable[str]]]]:
        return [(name, self._damaged(name, step)) for name, step in super().steps()]

    def _damaged(self, name: str, step: Callable[[], Awaitable[str]]) -> Callable[[], Awaitable[str]]:
        async def run() -> str:
            if name == self.at:
                self.met = True
                await self.damage.do(self.sandbox, self)
            return await step()

        return run


@dataclass
class Unlisted:
    """Talkdesk's list of the installation's users lacks the one whom the update adds."""

    async def do(self, sandbox: Any, story: Story) -> None:
        added = story.users[3]

        async def rule(exchange: Exchange) -> web.StreamResponse:
            answer = await exchange.forward()
            if exchange.method == "GET" and exchange.path.endswith("/users") and answer.status == 200:
                assert isinstance(answer, web.Response)
                page = json.loads(answer.text or "")
                listed = page["_embedded"]["users"]
                page["_embedded"]["users"] = [user for user in listed if user["id"] != added]
                page["total"] -= len(listed) - len(page["_embedded"]["users"])
                return web.json_response(page)
            return answer

        sandbox.talkdesk.rule = rule

    async def undo(self, sandbox: Any) -> None:
        sandbox.talkdesk.rule = passing


@dataclass
class Unposted:
    """Mails are taken on their way, and lost."""

    async def do(self, sandbox: Any, story: Story) -> None:  # noqa: ARG002 - the same for every damage
        sandbox.post.others = "loses"

    async def undo(self, sandbox: Any) -> None:
        sandbox.post.others = None


FIRST = "a customer appears"
ENTERED = "install: one click, and users are in"
#: What is damaged, before which step, and the step that must fail.
CASES: list[tuple[Damage, str, str]] = [
    (NoRight(Right("webhook", OURS, "talkdeskinstallations", "create")), FIRST, "install: event stored"),
    (NoRight(Right("webhook-credentials", "", "secrets", "create")), FIRST, "install: event stored"),
    (NoRight(Right("cluster", "", "namespaces", "create")), FIRST, "install: tenant made"),
    (NoRight(Right("tenant", "", "resourcequotas", "create")), FIRST, "install: tenant made"),
    (NoRight(Right("tenant", "", "configmaps", "create")), FIRST, "install: account record written"),
    (NoRight(Right("operator", OURS, "talkdeskuserslices", "create")), FIRST, "install: users licensed"),
    (BrokenImage(), FIRST, "install: app answers"),
    (Refused("POST", "/state"), FIRST, "install: approved"),
    (Unposted(), FIRST, "install: the admin gets a mail"),
    (Refused("GET", "/users/me"), FIRST, ENTERED),
    (Refused("POST", "/oauth/token"), ENTERED, ENTERED),
    (Undelivered("app.trial_started"), FIRST, "trial: start stored"),
    (Undelivered("app.updated"), FIRST, "update: event stored"),
    (
        NoRight(Right("operator", OURS, "talkdeskuserslices", "patch")),
        "update: event stored",
        "update: removed user is refused",
    ),
    (Unlisted(), "update: event stored", "update: users changed"),
    (Refused("GET", "/users/me"), "update: added user enters", "update: added user enters"),
    (Refused("POST", "/state"), "update: event stored", "update: approved"),
    (Unposted(), "update: event stored", "update: the admin gets a mail"),
    (Unposted(), "uninstall: event stored", "uninstall: the admin gets a mail"),
    (Undelivered("app.uninstalled"), FIRST, "uninstall: event stored"),
    (
        NoRight(Right("tenant", "apps", "deployments", "patch")),
        "uninstall: event stored",
        "uninstall: app suspended",
    ),
    (NoGateway(), "uninstall: nobody enters", "uninstall: nobody enters"),
    (Refused("POST", "/state"), "uninstall: event stored", "uninstall: approved"),
    (TenantDeleted(), "uninstall: tenant kept", "uninstall: tenant kept"),
    (Undelivered("app.installed"), "reinstall: event stored", "reinstall: event stored"),
    (
        NoRight(Right("tenant", "apps", "deployments", "patch")),
        "reinstall: event stored",
        "reinstall: same tenant resumed",
    ),
    (
        NoRight(Right("operator", OURS, "talkdeskuserslices", "create")),
        "reinstall: event stored",
        "reinstall: users licensed",
    ),
    (
        Both(NoRight(Right("tenant", "", "services", "create")), "services"),
        "reinstall: app answers",
        "reinstall: app answers",
    ),
    (Refused("POST", "/state"), "reinstall: event stored", "reinstall: approved"),
    (VolumeLost(), "reinstall: users enter again", "reinstall: users enter again"),
]


@dataclass
class Undamaged:
    """The story without any damage, played once, before all others."""

    results: list[StepResult] = field(default_factory=list)

    async def played(self, sandbox: Any) -> list[StepResult]:
        """Its results."""
        if not self.results:
            async with sandbox.story() as story:
                self.results += await play(story, tell=lambda _: None)
        return self.results

    async def patience(self, sandbox: Any) -> float:
        """Seconds that an effect may take on this machine."""
        return max(LEAST, TIMES * max(result.seconds for result in await self.played(sandbox)))


@pytest.fixture(scope="module")
def undamaged() -> Undamaged:
    """Played by the first test that asks for it."""
    return Undamaged()


async def test_the_story_passes_through_the_interceptors_when_nothing_is_damaged(
    sandbox: Any, undamaged: Undamaged, capsys: pytest.CaptureFixture[str]
) -> None:
    results = await undamaged.played(sandbox)
    assert all(result.ok for result in results), [result for result in results if not result.ok]
    with capsys.disabled():
        print(f"\n  an effect may take {await undamaged.patience(sandbox):.1f} s")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[2]} - {str(case[0])[:60]}")
async def test_the_story_fails_where_its_effect_was_taken_away(
    sandbox: Any, whole_run: Any, undamaged: Undamaged, case: tuple[Damage, str, str]
) -> None:
    damage, at, fails = case
    by_rights, patience = isinstance(damage, NoRight | Both), await undamaged.patience(sandbox)
    async with contextlib.AsyncExitStack() as stack:
        if by_rights:
            stack.enter_context(whole_run.refusals_intended())
        plain = await stack.enter_async_context(sandbox.story(patience=patience))
        story = DamagedStory(**vars(plain), sandbox=sandbox, damage=damage, at=at)
        try:
            results = await play(story, tell=lambda _: None)
        finally:
            if story.met:
                await damage.undo(sandbox)
    failed = [result for result in results if not result.ok]
    assert failed, "the story passed although an effect was missing"
    assert failed[0].name == fails, failed[0]
    assert {result.detail for result in failed[1:]} <= {NOT_REACHED}
