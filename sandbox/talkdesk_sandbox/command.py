"""``talkdesk-operator sandbox``: bring everything up, play the story, stay (or report and end)."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING, Any, NoReturn

from rich.console import Console

from talkdesk_kube.pod import configure_logging
from talkdesk_sandbox.browser import show
from talkdesk_sandbox.environment import NAMESPACE, NOT_UP, Environment, running
from talkdesk_sandbox.measure import summary, time_installs
from talkdesk_sandbox.story.neighbours import move_in
from talkdesk_sandbox.story.opening import open_story
from talkdesk_sandbox.story.script import play
from talkdesk_sandbox.story.step import StepResult, write_report
from talkdesk_sandbox.timeline import Timeline
from talkdesk_sandbox.whereabouts import told

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import FrameType

#: How soon it is seen that a part of the sandbox has ended.
_LOOK_SECONDS = 1.0


def sandbox(
    *, once: bool, report: Path | None, switches: Mapping[str, str], patience: float, installs: int
) -> int:
    """The exit code: 0 when every step was observed. See ``talkdesk-operator sandbox --help``."""
    configure_logging(level="warning", format="text")
    timeline = Timeline(Console())
    end_on_sigterm()
    results: list[StepResult] = []
    try:
        with running(tell=timeline.up, switches=switches, cluster_in_console=not once) as environment:
            performed = _perform(environment, timeline, patience=patience, installs=installs, once=once)
            results = asyncio.run(performed)
            if report is not None:
                write_report(report, results)
            if not once:
                with told(environment.whereabouts()):
                    _how_to_use(environment, timeline)
                    stay(environment)
    except KeyboardInterrupt:
        timeline.say("\nstopped; nothing is left running")
        return 0 if not once else 130
    except NOT_UP as problem:
        timeline.say(f"talkdesk-operator sandbox: {problem}")
        if report is not None and not results:
            write_report(report, [StepResult("sandbox comes up", ok=False, seconds=0.0, detail=str(problem))])
        return 1
    return 0 if all(result.ok for result in results) else 1


async def _perform(
    environment: Environment, timeline: Timeline, *, patience: float, installs: int, once: bool
) -> list[StepResult]:
    async with open_story(environment, tell=timeline.ledger, patience=patience) as story:
        timeline.heading("A customer's life: install on a trial, update, uninstall, reinstall")
        results = await play(story, tell=timeline.step)
        if installs and all(result.ok for result in results):
            timeline.heading(f"{installs} more installs, one after another")
            story.marketplace.tell = lambda _: None
            timeline.say(summary([one async for one in time_installs(story, number=installs)]))
        if not once:
            await move_in(story)
        return results


def _how_to_use(environment: Environment, timeline: Timeline) -> None:
    control_plane, stand_in = environment.control_plane, environment.stand_in
    timeline.heading("It stays up until Ctrl-C")
    timeline.say(f"\n  The console, in a browser: {stand_in.console}")
    timeline.say("  # accounts, marketplace, My Apps, mails, a live timeline, Kubernetes, clock and faults\n")
    timeline.say(f"  export KUBECONFIG={control_plane.kubeconfig}")
    timeline.say(f"  export PATH={control_plane.bin('kubectl').parent}:$PATH")
    timeline.say(f"  kubectl --namespace {NAMESPACE} get tdi          # the installations")
    timeline.say(f"  kubectl --namespace {NAMESPACE} get events       # what happened to them")
    timeline.say("  kubectl get namespaces --selector talkdesk-operator.io/tenant   # the tenants")
    timeline.say(f"\n  The Talkdesk stand-in answers at {stand_in.control} :")
    timeline.say(f"  curl {stand_in.control}/control/state            # accounts, users, installations")
    state = stand_in.get("/control/state")
    newest = state["installations"][-1]
    _how_to_enter(environment, timeline, state, newest)
    timeline.say("\n  # another event: the customer of the story uninstalls")
    timeline.say(f"  curl -d '{{}}' {stand_in.control}/control/installations/{newest['id']}/uninstall")
    timeline.say(f"  curl {stand_in.control}/control/mails            # what admins were told by mail")
    timeline.say(f"  curl '{stand_in.control}/control/ledger?since=0'  # everything said, both ways\n")
    show(stand_in.console)


def _how_to_enter(
    environment: Environment, timeline: Timeline, state: dict[str, Any], newest: dict[str, Any]
) -> None:
    """The icon in Talkdesk, for a browser of this machine: of the installation ``newest``."""
    stand_in = environment.stand_in
    account = next(one for one in state["accounts"] if one["id"] == newest["account_id"])
    user = next(one for one in state["users"] if one["id"] == newest["created_by"])
    launch = stand_in.get("/control/launch", installation_id=newest["id"], user_id=user["id"])["url"]
    timeline.say("\n  In a browser, as a user: sign in to Talkdesk, then open the app's icon")
    timeline.say(f"  {stand_in.sign_on_host(account['name'], account['region'])}/login   # as {user['name']}")
    timeline.say(f"  {launch}")


def stay(environment: Environment) -> NoReturn:
    """Until Ctrl-C. Raises one of `NOT_UP` as soon as a part of the sandbox has ended by itself."""
    while True:
        environment.check()
        time.sleep(_LOOK_SECONDS)


def end_on_sigterm() -> None:
    """SIGTERM and a closed terminal are Ctrl-C from here on, once: nothing may cut the cleaning up short.

    Under ``nohup`` a closed terminal stays nothing.
    """
    endings = [signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        endings.append(signal.SIGHUP)

    def end(_signal: int, _frame: FrameType | None) -> NoReturn:
        for each in endings:  # a closed terminal's shell says so once more
            signal.signal(each, lambda *_: None)
        raise KeyboardInterrupt

    for each in endings:
        signal.signal(each, end)
