"""docs/tutorial.md does what it says: every fenced block, in an empty folder, with an empty HOME."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reader.blocks import CTRL_C, SECOND, Block, blocks, comparable
from reader.terminal import Terminal
from talkdesk_sandbox.chromium import find_or_install
from talkdesk_sandbox.controlplane.recipe import cache_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial.md"
#: A block's time on a machine that is busy with other things (seconds).
PATIENCE = 240


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A newcomer's: nothing of this process's own but the programs of the control plane, built before."""
    home = tmp_path / "home"
    home.mkdir()
    browser = home / "browser"
    browser.write_text('#!/bin/sh\nprintf "%s\\n" "$*" >> "$HOME/opened"\n')
    browser.chmod(0o755)
    kept = ("KUBEBUILDER_ASSETS", "CHROMIUM", "LANG")
    # Not below tmp_path: Chromium makes sockets there, whose paths have to be short.
    with tempfile.TemporaryDirectory(prefix="td-") as temporary:
        yield {
            "HOME": str(home),
            "TMPDIR": temporary,
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "XDG_CACHE_HOME": str(cache_folder().parents[1]),
            "TALKDESK_OPERATOR": str(ROOT),
            "DISPLAY": ":0",
            "BROWSER": f"{browser} %s",
            **{name: os.environ[name] for name in kept if name in os.environ},
        }


@pytest.mark.sandbox
def test_every_block_of_the_tutorial_does_what_it_says(tmp_path: Path, environment: dict[str, str]) -> None:
    find_or_install()
    folder = tmp_path / "greeter"
    folder.mkdir()
    found = blocks(PAGE.read_text())
    with (
        Terminal(sys.executable, folder=folder, environment=environment, output=tmp_path / "first") as first,
        Terminal(
            sys.executable, folder=folder, environment=environment, output=tmp_path / "second"
        ) as second,
    ):
        for number, block in enumerate(found):
            after = found[number + 1] if number + 1 < len(found) else None
            output = after if after is not None and after.language == "text" else None
            if block.language == "diff":
                block.change(folder)
            elif block.language in ("python", "yaml"):
                name, text = block.file()
                (folder / name).write_text(text)
            elif block.language == "sh":
                _typed(block, output, first, second)
            else:
                before = found[number - 1].language if number else ""
                assert (before, block.language) == ("sh", "text"), (
                    f"line {block.line}: a {block.language!r} block that nobody runs or compares"
                )
    console = re.search(r"http://console\.localhost:\d+/", (tmp_path / "second").read_text())
    assert console is not None
    opened = (Path(environment["HOME"]) / "opened").read_text()
    assert opened.splitlines() == [console[0]], "whoever sits at a display sees the console, once"


def _typed(block: Block, output: Block | None, first: Terminal, second: Terminal) -> None:
    """Type the block, and compare what it prints with ``output``."""
    lines = block.body.splitlines()
    if lines[0] not in (SECOND, CTRL_C):
        code, printed = first.run(block.body, within=PATIENCE)
        assert code == 0, f"line {block.line}: exit code {code}\n{printed}"
        assert output is None or comparable(printed) == comparable(output.body), f"line {block.line}"
        return
    assert output is not None, f"line {block.line}: what it prints has to be shown"
    if lines[0] == SECOND:
        second.start(block.body)
    else:
        assert len(lines) == 1, f"line {block.line}: nothing else is typed with Ctrl-C"
        second.taken(second.until(lambda _: True, within=1, what="read"))
        second.interrupt()
    _told(second, output)


def _told(terminal: Terminal, expected: Block) -> None:
    """What goes on for long has printed ``expected``, and nothing else."""
    wanted = comparable(expected.body)
    text = terminal.until(
        lambda text: len(comparable(text)) >= len(wanted),
        within=PATIENCE,
        what=f"printed (line {expected.line})",
    )
    assert comparable(text) == wanted, f"line {expected.line}"
    terminal.taken(text)
