"""Every right is needed: a story that passes with all of them fails where one is taken away.

CI takes a seeded sample; ``RIGHTS=all`` takes every one, any other ``RIGHTS`` those that match it.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from talkdesk_sandbox.rights import COMPONENTS, Right, granted, missing, take
from talkdesk_sandbox.story.observe import NotObserved, NotYet, eventually
from talkdesk_sandbox.story.script import play

if TYPE_CHECKING:
    from talkdesk_sandbox.environment import Environment
    from talkdesk_sandbox.release import Release

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.sandbox]

SEED = 20261122
SAMPLE = 3
#: Seconds an effect may take here: long enough for what works, short enough for what does not.
PATIENCE = 10.0
#: And for what a watch shows at once.
PROMPT = 4.0
#: These matter when a process starts; the Lease's, when it is taken anew.
AT_START = frozenset({"list", "watch"})


def chosen(rights: list[Right]) -> list[Right]:
    """The rights that this run takes away."""
    wanted = os.environ.get("RIGHTS", "")
    if wanted == "all":
        return rights
    if wanted:
        return [right for right in rights if re.search(wanted, str(right))]
    return sorted(random.Random(SEED).sample(rights, SAMPLE))


def component(right: Right) -> str:
    """Whose right it is."""
    first = right.where.partition("-")[0]
    return first if first in COMPONENTS else "operator"


def restart(release: Release, name: str, *, ready: bool) -> None:
    """New pods instead of those of component ``name``; they are waited for where ``ready``."""
    plane, where = release.control_plane, ("--namespace", release.namespace)
    labels = f"app.kubernetes.io/instance={release.name},app.kubernetes.io/component={name}"
    plane.kubectl("delete", "pods", "--selector", labels, *where)
    if ready:
        plane.kubectl("rollout", "status", f"deployment/{release.name}-{name}", "--timeout=120s", *where)


async def led(environment: Environment) -> None:
    """One of the operator's pods holds the Lease."""
    plane, release = environment.control_plane, environment.release
    root = "/api/v1" + (own := f"/namespaces/{release.namespace}")
    lease = f"/apis/coordination.k8s.io/v1{own}/leases/{release.name}-operator"

    async def check() -> None:
        pods = await asyncio.to_thread(plane.request, "GET", f"{root}/pods")
        held = await asyncio.to_thread(plane.request, "GET", lease)
        holder = held["spec"].get("holderIdentity")
        if holder not in {pod["metadata"]["name"] for pod in pods["items"]}:
            raise NotYet(f"the Lease is held by {holder or 'nobody'}")

    await eventually(check, within=60)


async def refused(environment: Environment, right: Right, *, since: int) -> None:
    """The API server refused a request for want of ``right``."""

    async def check() -> None:
        entries = environment.control_plane.audit(since=since)
        if not any(missing(entry) == right for entry in entries):
            raise NotYet(f"nothing was refused for want of {right}")

    await eventually(check, within=PATIENCE)


async def fails_without(wide_story: Any, sandbox: Any, right: Right) -> tuple[str, str]:
    """The step at which the story fails for want of ``right``, and what it said; else "" and the problem."""
    release: Release = sandbox.environment.release
    at_start = right.verb in AT_START
    since = sandbox.environment.control_plane.audit_position()
    taken = await asyncio.to_thread(take, release, right)
    try:
        if at_start:
            await asyncio.to_thread(restart, release, component(right), ready=right.verb == "watch")
        async with wide_story(sandbox, patience=PATIENCE, prompt=PROMPT) as story:
            results = await play(story, tell=lambda _: None)
        failed = next((result for result in results if not result.ok), None)
        if failed is None:
            return "", "the story passes without it"
        try:
            await refused(sandbox.environment, right, since=since)
        except NotObserved as problem:
            return "", f"fails at: {failed.name} ({failed.detail}), but {problem}"
        return failed.name, failed.detail
    finally:
        await asyncio.to_thread(taken.give_back)
        if at_start or right.resource == "leases":
            await asyncio.to_thread(restart, release, component(right), ready=True)
            await led(sandbox.environment)


async def test_the_wide_story_passes(
    sandbox: Any, wide_story: Any, whole_run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    async with wide_story(sandbox) as story:
        results = await play(story, tell=lambda _: None)
    with capsys.disabled():
        print(f"\n  the wide story in {time.monotonic() - began:.1f} s")
        if "RIGHTS" in os.environ:
            print("\n".join(f"{result.seconds:6.2f}s  {result.name}: {result.detail}" for result in results))
    assert all(result.ok for result in results), next(result for result in results if not result.ok)
    whole_run.wide_story = True


async def test_the_story_fails_without_any_of_the_rights(
    sandbox: Any, wide_story: Any, whole_run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    rights = chosen(granted(sandbox.environment.release))
    problems = []
    with whole_run.refusals_intended():
        for number, right in enumerate(rights, 1):
            began = time.monotonic()
            step, detail = await fails_without(wide_story, sandbox, right)
            told = f"fails at: {step} ({detail})" if step else f"NO: {detail}"
            with capsys.disabled():
                print(f"  {number:3}/{len(rights)} {time.monotonic() - began:5.1f}s  {right}: {told}"[:230])
            if not step:
                problems.append(f"{right}: {detail}")
    assert rights
    assert not problems, "\n".join(problems)
