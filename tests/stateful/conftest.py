"""The arena that the tests of this folder share."""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from talkdesk_sandbox.release import WITHOUT_PODS, Release
from talkdesk_sandbox.talkdesk import StandIn
from turmoil.arena import Arena, opened
from turmoil.loop import LoopThread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from talkdesk_sandbox.controlplane import ControlPlane

#: Times with milliseconds: two requests of one customer within a second are the machine's haste, not a
#: customer's, and the order of two events of the same second is nobody's knowledge.
_SWITCHES = {"event_time": "offset"}


@dataclass
class Ground:
    """An arena, and the loop that everything in it runs in."""

    loop: LoopThread
    arena: Arena


@pytest.fixture(scope="module")
def ground(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """A release with a webhook, an operator and a stand-in, for the tests of a module."""
    name = f"turmoil-{secrets.token_hex(4)}"
    release = Release(control_plane, name)
    release.install(WITHOUT_PODS)
    folder = tmp_path_factory.mktemp("turmoil")
    with StandIn.start(folder / "talkdesk", switches=_SWITCHES) as stand_in, LoopThread() as loop:
        context = opened(control_plane, release, stand_in, folder)
        arena = loop.run(context.__aenter__())
        try:
            yield Ground(loop, arena)
        finally:
            with contextlib.suppress(TimeoutError):
                loop.run(context.__aexit__(None, None, None), within=60)
    release.uninstall()
    release.forget()
