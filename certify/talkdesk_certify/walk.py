"""Making an item's checks, one after another: what each needs, what it saw, its picture and its time."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from playwright.async_api import Error as BrowserError

from talkdesk_certify.check import Failed, NotReached
from talkdesk_certify.result import CheckResult, ItemResult

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from talkdesk_certify.check import Check
    from talkdesk_certify.result import Status
    from talkdesk_certify.scene import Scene

#: Where pictures are, in the report's folder.
SHOTS = "screenshots"
_SHOT_MILLISECONDS = 10_000


@dataclass(frozen=True)
class Walker:
    """``folder`` is the report's; ``tell`` hears every result at once."""

    folder: Path
    tell: Callable[[CheckResult], None]

    async def walk(
        self,
        scene: Scene,
        *,
        id: str,  # noqa: A002 - an item's
        title: str,
        checks: Sequence[Check],
        prepare: Callable[[Scene], Awaitable[None]] | None,
        simulator: bool = True,
    ) -> ItemResult:
        """Make the checks. Without ``simulator`` those that need one are left out.

        In a sandbox nothing is: where what they start from does not come about, they are given up.
        """
        began = time.perf_counter()
        scene.page = None
        missing = await _prepared(scene, prepare)
        if missing and simulator:
            failed = await self.given_up(scene, id=id, title=title, checks=checks, why=missing)
            return replace(failed, seconds=round(time.perf_counter() - began, 1))
        results: list[CheckResult] = []
        for check in checks:
            if check.simulator and not simulator:
                result = _skipped(check, "left out: it needs the sandbox, where accounts may be changed")
            elif missing:
                result = _skipped(check, missing)
            else:
                result = await self._made(check, scene, results)
            results.append(result)
            self.tell(result)
        return ItemResult(
            id=id, title=title, checks=tuple(results), seconds=round(time.perf_counter() - began, 1)
        )

    async def given_up(
        self,
        scene: Scene,
        *,
        id: str,  # noqa: A002 - an item's
        title: str,
        checks: Sequence[Check],
        why: str,
    ) -> ItemResult:
        """The first of the checks fails for ``why``, beside the scene's page; the others hang on it."""
        first, *others = checks
        failed = replace(_skipped(first, why), status="fail", screenshot=await self._picture(first.id, scene))
        results = (failed, *(_skipped(one, _hanging_on(failed)) for one in others))
        for result in results:
            self.tell(result)
        return ItemResult(id=id, title=title, checks=results)

    async def _made(self, check: Check, scene: Scene, before: Sequence[CheckResult]) -> CheckResult:
        lacking = [one for one in before if one.id in check.needs and one.status != "pass"]
        if lacking:
            return _skipped(check, _hanging_on(lacking[0]))
        began = time.perf_counter()
        scene.page = None
        status, detail = await _looked(check, scene)
        seconds = round(time.perf_counter() - began, 2)
        return CheckResult(
            id=check.id,
            title=check.title,
            status=status,
            detail=detail,
            how=check.how,
            fix=check.fix,
            seconds=seconds,
            screenshot=await self._picture(check.id, scene) if status != "skipped" else None,
        )

    async def _picture(self, name: str, scene: Scene) -> str | None:
        if scene.page is None or scene.page.is_closed():
            return None
        path = f"{SHOTS}/{name}.jpeg"
        try:
            await scene.page.screenshot(
                path=self.folder / path,
                type="jpeg",
                quality=75,
                animations="disabled",
                timeout=_SHOT_MILLISECONDS,
            )
        except BrowserError:
            return None
        return path


async def _prepared(scene: Scene, prepare: Callable[[Scene], Awaitable[None]] | None) -> str | None:
    """Bring about what an item starts from; why not, where that fails."""
    try:
        await scene.customer.tidies_up()
        if prepare is not None:
            await prepare(scene)
    except (Failed, NotReached) as problem:
        return str(problem)
    except BrowserError as problem:
        return f"what it starts from did not come about: {first_line(problem)}"
    return None


async def _looked(check: Check, scene: Scene) -> tuple[Status, str]:
    try:
        return "pass", await check.look(scene)
    except Failed as failed:
        return "fail", str(failed)
    except NotReached as problem:
        return "skipped", str(problem)
    except BrowserError as problem:
        return "fail", f"the page did not do what was waited for: {first_line(problem)}"


def _hanging_on(other: CheckResult) -> str:
    return f"not looked at, because {other.id} did not pass"


def _skipped(check: Check, why: str) -> CheckResult:
    return CheckResult(
        id=check.id, title=check.title, status="skipped", detail=why, how=check.how, fix=check.fix
    )


def first_line(problem: BrowserError) -> str:
    """What a browser's failure is about, without its log."""
    lines = [line.strip() for line in problem.message.splitlines() if line.strip()]
    return " ".join(lines[:1] + [line for line in lines[1:] if "waiting for" in line][:1])
