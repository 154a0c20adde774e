"""``talkdesk-operator sandbox --app``: the sandbox with a partner's own app, and applying it again."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, NoReturn

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
from talkdesk_sandbox.problems import in_words
from talkdesk_sandbox.story.neighbours import NEIGHBOURS
from talkdesk_sandbox.story.observe import NotObserved
from talkdesk_sandbox.timeline import Timeline
from talkdesk_sandbox.whereabouts import Whereabouts, found, told

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from talkdesk_crds.app import TalkdeskApp
    from talkdesk_sandbox.node.images import Image

#: How soon it is seen that a part of the sandbox has ended.
_WAIT_SECONDS = 1


def sandbox_with(manifest: Path, *, images: Mapping[str, Image], switches: Mapping[str, str]) -> int:
    """Until Ctrl-C: the sandbox with the TalkdeskApp in ``manifest``. The exit code."""
    configure_logging(level="warning", format="text")
    timeline = Timeline(Console())
    end_on_sigterm()
    if up := found():
        return _second(timeline, up)
    try:
        declared, app = _read(manifest)
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
            with told(environment.whereabouts(place)) as first:
                if not first:  # it has come up meanwhile
                    return _second(timeline, found())
                _how_to_go_on(environment, timeline, manifest)
                show(environment.stand_in.console)
                listen(environment, timeline)
    except KeyboardInterrupt:
        timeline.say("\nstopped; nothing is left running")
        return 0
    except _PROBLEMS as problem:
        timeline.say(f"talkdesk-operator sandbox: {manifest.name}: {in_words(problem)}")
    except (*NOT_UP, OSError, httpx.HTTPError) as problem:
        timeline.say(f"talkdesk-operator sandbox: {in_words(problem)}")
    return 1


#: What is wrong with a TalkdeskApp, whoever says so.
_PROBLEMS = (ValueError, KubeError, NotAccepted, NotObserved)


def _second(timeline: Timeline, up: Whereabouts | None) -> int:
    """Other commands act on the first sandbox, which is ``up``: the exit code of a second one."""
    where = f" (console: {up.console})" if up else ""
    timeline.say(f"talkdesk-operator sandbox: another one is up{where}: end it first")
    return 1


def _read(manifest: Path) -> tuple[dict[str, Any], TalkdeskApp]:
    """The TalkdeskApp in ``manifest`` as it is written, and as it is read. Raises ValueError."""
    try:
        return app_in(manifest)
    except OSError as problem:
        raise ValueError(problem.strerror or str(problem)) from None


def apply(manifest: Path, *, say: Callable[[str], None]) -> int:
    """Apply the TalkdeskApp in ``manifest`` in the sandbox that is up. The exit code."""
    configure_logging(level="warning", format="text")
    try:
        declared, app = _read(manifest)
        number, lacking = asyncio.run(apply_again(up_now(), declared, app))
    except _PROBLEMS as problem:
        say(f"talkdesk-operator sandbox: {manifest.name}: {in_words(problem)}")
        return 1
    except (OSError, httpx.HTTPError) as problem:
        say(f"talkdesk-operator sandbox: {in_words(problem)}")
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


def listen(environment: Environment, timeline: Timeline) -> NoReturn:
    """Tell what is in the stand-in's ledger from now on.

    Raises one of `NOT_UP` as soon as a part of the sandbox has ended by itself.
    """
    since = environment.stand_in.get("/control/ledger", since=0)["next"]
    while True:
        environment.check()
        page = environment.stand_in.get("/control/ledger", since=since, wait=_WAIT_SECONDS)
        for entry in page["entries"]:
            timeline.ledger(entry)
        since = page["next"]
