"""Each effect is taken away in turn, from outside the product, and the story fails at the right step.

RBAC is narrowed in the live roles, proxies drop or refuse what passes, the demo's image is broken. A third of
the stories has its turn with each commit; ``make stories-all`` plays every one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import pytest
from aiohttp import web

from talkdesk_sandbox.interceptor import Cut, Exchange, passing
from talkdesk_sandbox.rights import Right, Taken, take
from talkdesk_sandbox.story.script import FAILURES, Story, play
from talkdesk_sandbox.story.step import NOT_REACHED
from turns import in_turn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.sandbox]

#: How much longer than in an undisturbed story the effect may take that is to be missed: long enough for what
#: works on a machine that is busier by then, short enough for what does not.
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
        await self._scale(sandbox, sandbox.environment.release.values["gateway"]["replicas"])

    async def _scale(self, sandbox: Any, replicas: int) -> None:
        plane, release = sandbox.environment.control_plane, sandbox.environment.release
        which = (f"deployment/{release.name}-gateway", "--namespace", release.namespace)
        await asyncio.to_thread(plane.kubectl, "scale", *which, f"--replicas={replicas}")
        await asyncio.to_thread(plane.kubectl, "rollout", "status", *which, "--timeout=60s")
        if not replicas:  # those that end decide to the last
            pods = ("pod", "--selector", "app.kubernetes.io/component=gateway", *which[1:])
            await asyncio.to_thread(plane.kubectl, "wait", "--for=delete", *pods, "--timeout=60s")


@dataclass
class Case:
    """What is damaged, before which step, and the step that must fail, the first of all.

    What is ``mended`` once the damage is undone is seen then by that step, and the story goes on; it goes on
    as well where the effect is ``lost`` for good, and else ``ends``.
    """

    damage: Damage
    at: str
    fails: str
    then: Literal["mended", "lost", "ends"] = "mended"


@dataclass
class DamagedStory(Story):
    """Meets ``cases``, one after another; it waits ``seconds`` for an effect to be missed.

    ``undo`` holds what is to be undone at the latest in the end, ``failed`` the steps that failed as due.
    """

    sandbox: Any = None
    cases: tuple[Case, ...] = ()
    seconds: Callable[[str], float] = lambda _: LEAST
    undo: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)
    failed: list[str] = field(default_factory=list)

    def steps(self) -> list[tuple[str, Callable[[], Awaitable[str]]]]:
        return [(name, self._damaged(name, step)) for name, step in super().steps()]

    def _damaged(self, name: str, step: Callable[[], Awaitable[str]]) -> Callable[[], Awaitable[str]]:
        async def run() -> str:
            for case in self.cases:
                if case.at == name:
                    self.undo.push_async_callback(case.damage.undo, self.sandbox)
                    await case.damage.do(self.sandbox, self)
            due = next((case for case in self.cases if case.fails == name), None)
            return await (step() if due is None else self._fails(due, step))

        return run

    async def _fails(self, case: Case, step: Callable[[], Awaitable[str]]) -> str:
        patience, self.patience = self.patience, self.seconds(case.fails)
        try:
            await step()
        except FAILURES as problem:
            self.failed.append(case.fails)
            if case.then == "ends":
                raise
            missed = str(problem)
        else:
            raise AssertionError(f"{case.fails}: passes, although {case.damage} took its effect away")
        self.patience = patience
        await self.undo.aclose()
        return await step() if case.then == "mended" else missed


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
INSTALLED, UPDATED = "install: event stored", "update: event stored"
UNINSTALLED, REINSTALLED = "uninstall: event stored", "reinstall: event stored"
DEPLOYMENTS = Right("tenant", "apps", "deployments", "patch")
SLICES = "talkdeskuserslices"
#: By story, in the order of its steps.
STORIES: tuple[tuple[Case, ...], ...] = (
    (Case(NoRight(Right("webhook", OURS, "talkdeskinstallations", "create")), FIRST, INSTALLED, "ends"),),
    (Case(NoRight(Right("webhook-credentials", "", "secrets", "create")), FIRST, INSTALLED, "ends"),),
    (Case(BrokenImage(), FIRST, "install: app answers", "ends"),),
    (
        Case(NoRight(Right("cluster", "", "namespaces", "create")), FIRST, "install: tenant made"),
        Case(Refused("GET", "/users/me"), "update: added user enters", "update: added user enters"),
        Case(Undelivered("app.uninstalled"), UNINSTALLED, UNINSTALLED, "ends"),
    ),
    (
        Case(NoRight(Right("tenant", "", "resourcequotas", "create")), FIRST, "install: tenant made"),
        Case(NoRight(Right("operator", OURS, SLICES, "patch")), UPDATED, "update: removed user is refused"),
        Case(NoRight(DEPLOYMENTS), UNINSTALLED, "uninstall: app suspended"),
        Case(NoRight(DEPLOYMENTS), REINSTALLED, "reinstall: same tenant resumed"),
        Case(
            Both(NoRight(Right("tenant", "", "services", "create")), "services"),
            "reinstall: app answers",
            "reinstall: app answers",
        ),
        Case(VolumeLost(), "reinstall: users enter again", "reinstall: users enter again", "ends"),
    ),
    (
        Case(NoRight(Right("tenant", "", "configmaps", "create")), FIRST, "install: account record written"),
        Case(Refused("POST", "/oauth/token"), ENTERED, ENTERED),
        Case(Unposted(), UPDATED, "update: the admin gets a mail", "lost"),
        Case(NoGateway(), "uninstall: nobody enters", "uninstall: nobody enters"),
        Case(TenantDeleted(), "uninstall: tenant kept", "uninstall: tenant kept", "ends"),
    ),
    (
        Case(NoRight(Right("operator", OURS, SLICES, "create")), FIRST, "install: users licensed"),
        Case(Refused("POST", "/state"), UPDATED, "update: approved"),
        Case(Refused("POST", "/state"), UNINSTALLED, "uninstall: approved"),
        Case(NoRight(Right("operator", OURS, SLICES, "create")), REINSTALLED, "reinstall: users licensed"),
    ),
    (
        Case(Refused("POST", "/state"), FIRST, "install: approved"),
        Case(Refused("POST", "/state"), REINSTALLED, "reinstall: approved"),
    ),
    (
        Case(Unposted(), FIRST, "install: the admin gets a mail", "lost"),
        Case(Unlisted(), UPDATED, "update: users changed", "ends"),
    ),
    (
        Case(Refused("GET", "/users/me"), FIRST, ENTERED),
        Case(Unposted(), UNINSTALLED, "uninstall: the admin gets a mail", "lost"),
        Case(Undelivered("app.installed"), REINSTALLED, REINSTALLED, "ends"),
    ),
    (
        Case(Undelivered("app.trial_started"), FIRST, "trial: start stored", "lost"),
        Case(Undelivered("app.updated"), UPDATED, UPDATED, "ends"),
    ),
)
#: By the steps that fail.
IN_TURN = in_turn({", ".join(case.fails for case in cases): cases for cases in STORIES}, parts=3)


def _seconds(undisturbed: Any, step: str) -> float:
    """How long the effect that ``step`` shows may take on this machine."""
    needed = next(result.seconds for result in undisturbed.results if result.name == step)
    return float(max(LEAST, TIMES * needed))


async def test_the_story_passes_through_the_interceptors_when_nothing_is_damaged(undisturbed: Any) -> None:
    assert all(result.ok for result in undisturbed.results)


@pytest.mark.parametrize("cases", IN_TURN.values(), ids=IN_TURN)
async def test_the_story_fails_where_its_effect_was_taken_away(
    sandbox: Any, whole_run: Any, undisturbed: Any, cases: tuple[Case, ...]
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        if any(isinstance(case.damage, NoRight | Both) for case in cases):
            stack.enter_context(whole_run.refusals_intended())
        plain = await stack.enter_async_context(sandbox.story())
        story = DamagedStory(
            **vars(plain), sandbox=sandbox, cases=cases, seconds=lambda step: _seconds(undisturbed, step)
        )
        async with story.undo:
            results = await play(story, tell=lambda _: None)
    failed = [result for result in results if not result.ok]
    assert [result.name for result in failed[:1]] == [case.fails for case in cases if case.then == "ends"]
    assert story.failed == [case.fails for case in cases]
    assert {result.detail for result in failed[1:]} <= {NOT_REACHED}
