"""``talkdesk-operator sandbox --app``: the sandbox with a partner's own app, and applying it again."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import TYPE_CHECKING

import httpx
from rich.console import Console

from talkdesk_crds.manifest import app_in
from talkdesk_kube.errors import KubeError
from talkdesk_kube.pod import configure_logging
from talkdesk_sandbox.browser import show
from talkdesk_sandbox.command import end_on_sigterm
from talkdesk_sandbox.environment import IMAGES, NOT_UP, Environment, running
from talkdesk_sandbox.partner.applied import NotAccepted
from talkdesk_sandbox.partner.images import missing
from talkdesk_sandbox.partner.opening import apply_again, open_app
from talkdesk_sandbox.partner.website import stand_in_website
from talkdesk_sandbox.story.neighbours import NEIGHBOURS
from talkdesk_sandbox.story.observe import NotObserved
from talkdesk_sandbox.timeline import Timeline
from talkdesk_sandbox.whereabouts import Whereabouts, found, told

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_WAIT_SECONDS = 20


def sandbox_with(manifest: Path, *, images: Mapping[str, Sequence[str]], switches: Mapping[str, str]) -> int:
    """Until Ctrl-C: the sandbox with the TalkdeskApp in ``manifest``. The exit code.

    :param images: image name → words on the node.
    """
    configure_logging(level="warning", format="text")
    timeline = Timeline(Console())
    end_on_sigterm()
    if up := found():
        timeline.say(f"talkdesk-operator sandbox: another one is up (console: {up.console}): end it first")
        return 1
    try:
        declared, app = app_in(manifest)
        if unknown := missing(declared["spec"], {*IMAGES, *images}):
            raise ValueError(f"no command stands for image {unknown[0]}: --image {unknown[0]}=COMMAND")
        with (
            running(
                tell=timeline.up, switches=switches, images=images, cluster_in_console=True
            ) as environment,
            stand_in_website() as website,
        ):
            began = time.monotonic()
            place = asyncio.run(open_app(environment, declared, app, website=website))
            timeline.up(
                f"{app.metadata.name}: the TalkdeskApp of {manifest.name} is accepted",
                time.monotonic() - began,
            )
            with told(environment.whereabouts(place)):
                _how_to_go_on(environment, timeline, manifest)
                show(environment.stand_in.console)
                _listen(environment, timeline)
    except KeyboardInterrupt:
        timeline.say("\nstopped; nothing is left running")
        return 0
    except _PROBLEMS as problem:
        timeline.say(f"talkdesk-operator sandbox: {manifest.name}: {_in_words(problem)}")
    except NOT_UP as problem:
        timeline.say(f"talkdesk-operator sandbox: {problem}")
    return 1


#: What is wrong with a TalkdeskApp, whoever says so.
_PROBLEMS = (OSError, ValueError, KubeError, NotAccepted, NotObserved)


def apply(manifest: Path, *, say: Callable[[str], None]) -> int:
    """Apply the TalkdeskApp in ``manifest`` in the sandbox that is up. The exit code."""
    configure_logging(level="warning", format="text")
    try:
        declared, app = app_in(manifest)
        number, lacking = asyncio.run(apply_again(up_now(), declared, app))
    except (*_PROBLEMS, httpx.HTTPError) as problem:
        say(f"talkdesk-operator sandbox: {manifest.name}: {_in_words(problem)}")
        return 1
    tenants = f"{number} tenant{'' if number == 1 else 's'}"
    say(f"{app.metadata.name} is accepted, and rolled out to {tenants}")
    for account, scopes in lacking.items():
        say(f"{account} installed it without {', '.join(scopes)}: uninstall it there, and install it again")
    return 0


def up_now() -> Whereabouts:
    """The sandbox that is up. Raises ValueError: there is none."""
    if (up := found()) is None:
        raise ValueError("no sandbox is up: start one in another terminal with talkdesk-operator sandbox")
    return up


def _in_words(problem: Exception) -> str:
    return getattr(problem, "strerror", None) or str(problem)


def _how_to_go_on(environment: Environment, timeline: Timeline, manifest: Path) -> None:
    accounts = ", ".join(
        f"{name} ({region}{', a reseller' if reseller else ''})" for name, region, reseller in NEIGHBOURS
    )
    timeline.heading("It stays up until Ctrl-C")
    timeline.say(f"  the console, in a browser: {environment.stand_in.console}")
    timeline.say(f"  accounts: {accounts}")
    timeline.say("  in another terminal:")
    timeline.say(f"    talkdesk-operator sandbox install {NEIGHBOURS[0][0]}")
    timeline.say(f"    talkdesk-operator sandbox open {NEIGHBOURS[0][0]}")
    timeline.say(f"    talkdesk-operator sandbox apply {manifest.name}   # after you changed it")
    timeline.say("    talkdesk-operator sandbox --help")
    timeline.heading("What Talkdesk and your app say to each other")


def _listen(environment: Environment, timeline: Timeline) -> None:
    """Tell what is in the stand-in's ledger from now on, for good."""
    since = environment.stand_in.get("/control/ledger", since=0)["next"]
    for _ in itertools.count():
        page = environment.stand_in.get("/control/ledger", since=since, wait=_WAIT_SECONDS)
        for entry in page["entries"]:
            timeline.ledger(entry)
        since = page["next"]
