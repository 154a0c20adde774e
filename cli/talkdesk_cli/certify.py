"""``talkdesk-operator certify``: finds or starts a sandbox, opens a browser, tells a person how it goes."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from playwright.async_api import Error as BrowserError
from rich.console import Console as Terminal
from rich.markup import escape

from talkdesk_certify.check import NotReached
from talkdesk_certify.report import write
from talkdesk_certify.run import certify as run
from talkdesk_certify.target import Deployment, Sandbox
from talkdesk_kube.pod import configure_logging
from talkdesk_sandbox.chromium import ChromiumMissing, chromium
from talkdesk_sandbox.environment import NOT_UP, running
from talkdesk_sandbox.story.neighbours import move_in
from talkdesk_sandbox.story.opening import open_story
from talkdesk_sandbox.whereabouts import found

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from playwright.async_api import Browser

    from talkdesk_certify.result import Certification, CheckResult
    from talkdesk_certify.target import Target

_MARKS = {"pass": "[green]pass[/]", "fail": "[red]FAIL[/]", "skipped": "[dim]skip[/]"}


def certify(
    target: Target | None, *, report: Path, items: Sequence[str], headed: bool, quiet: bool = False
) -> int:
    """Certify ``target``, or the sandbox that is up, or one of its own. The exit code: 1 on any failure.

    ``quiet``: of the checks, tell only those that did not pass.
    """
    configure_logging(level="warning", format="text")
    terminal = Terminal(highlight=False, soft_wrap=True)
    try:
        done = asyncio.run(_certify(terminal, target, report, items, headed=headed, quiet=quiet))
    except KeyboardInterrupt:
        terminal.print("stopped; nothing is left running")
        return 130
    except BrowserError as problem:
        terminal.print(
            f"talkdesk-operator certify: the browser failed: {escape(problem.message.splitlines()[0])}"
        )
        return 1
    except (ChromiumMissing, *NOT_UP, NotReached, OSError) as problem:
        terminal.print(f"talkdesk-operator certify: {escape(str(problem))}")
        return 1
    write(done, report)
    _tell_end(terminal, done, report)
    return 0 if done.passed else 1


async def _certify(
    terminal: Terminal,
    target: Target | None,
    report: Path,
    items: Sequence[str],
    *,
    headed: bool,
    quiet: bool,
) -> Certification:
    real = isinstance(target, Deployment)
    async with chromium(headless=not headed, anywhere=real) as browser, _target(terminal, target) as chosen:
        terminal.print(f"\nCertifying {escape(chosen.app)} at {escape(chosen.name)}")
        return await _run(terminal, chosen, browser, report, items, quiet=quiet)


async def _run(
    terminal: Terminal, target: Target, browser: Browser, report: Path, items: Sequence[str], *, quiet: bool
) -> Certification:
    def tell(result: CheckResult) -> None:
        if quiet and result.status == "pass":
            return
        took = f"{result.seconds:5.1f}s" if result.status != "skipped" else "      "
        terminal.print(f"  {took}  {_MARKS[result.status]}  [bold]{result.id:<25}[/] {escape(result.title)}")
        if result.status != "pass":
            terminal.print(f"                {escape(result.detail)}", style="dim")

    return await run(target, browser, folder=report, items=items, tell=tell)


@contextlib.asynccontextmanager
async def _target(terminal: Terminal, target: Target | None) -> AsyncIterator[Target]:
    """What was named; else the sandbox that is up; else one that is up while the block runs."""
    if isinstance(target, Deployment):
        yield target
        return
    wanted = target or Sandbox(console="")
    if wanted.console:
        yield wanted
        return
    if up := found():
        terminal.print(f"the sandbox at {up.console} is up")
        yield replace(wanted, console=up.console)
        return
    terminal.print("no sandbox is up: starting one")
    async with contextlib.AsyncExitStack() as stack:
        starting = running(
            tell=lambda what, seconds: terminal.print(f"  {seconds:5.1f}s  up    {escape(what)}")
        )
        environment = await asyncio.to_thread(starting.__enter__)
        stack.push_async_callback(asyncio.to_thread, starting.__exit__, None, None, None)
        story = await stack.enter_async_context(open_story(environment))
        await move_in(story)
        yield replace(wanted, console=environment.stand_in.console)


def _tell_end(terminal: Terminal, done: Certification, report: Path) -> None:
    verdict = "[green]passed[/]" if done.passed else "[red]failed[/]"
    terminal.print(
        f"\n{verdict}: {done.count('pass')} checks passed, {done.count('fail')} failed, "
        f"{done.count('skipped')} not made, in {done.seconds:.0f} s"
    )
    terminal.print(f"{len(done.questions)} questions are left to a person: the report asks them")
    terminal.print(f"report: {escape(str(report / 'index.html'))}")
