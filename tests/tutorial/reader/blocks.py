"""The tutorial as a list of fenced blocks, and what each of them asks for.

There is no marker to leave one out: a block that is none of these kinds is an error.

* ``sh``: typed into the reader's terminal; must end with exit code 0. With ``# In a second terminal`` as its
  first line, into another one that stays. ``# In the second terminal, press Ctrl-C`` is that key.
* ``text``: what the block before it printed, whole.
* ``python``, ``yaml`` with ``# <file name>`` as its first line: a file of that content.
* ``diff``: a change to the file that it names, each of its hunks being there exactly once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SECOND = "# In a second terminal"
CTRL_C = "# In the second terminal, press Ctrl-C"
_FENCE = re.compile(r"^```(?P<language>[^\n]*)\n(?P<body>.*?)^```[ ]*$", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"# (?P<name>[a-z][a-z0-9.-]*\.[a-z]+)\n")
#: What differs from run to run, and what stands in its place. In this order.
RULES = (
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "ID"),
    (re.compile(r"\b[0-9a-f]{16,32}\b"), "ID"),
    (re.compile(r"(?<=localhost:)\d+"), "PORT"),
    (re.compile(r"\b(\d+m)?\d+(\.\d+)? ?s\b"), "TIME"),
)


@dataclass(frozen=True)
class Block:
    """``line`` is where it begins in the tutorial."""

    line: int
    language: str
    body: str

    def file(self) -> tuple[str, str]:
        """The file's name and its content. Raises ValueError: it names none."""
        found = _NAMED.match(self.body)
        if found is None:
            raise ValueError(f"line {self.line}: a {self.language} block begins with '# <file name>'")
        return found["name"], self.body

    def change(self, folder: Path) -> None:
        """Make the change. Raises ValueError: it does not fit."""
        lines = self.body.splitlines()
        if not lines or not lines[0].startswith("+++ "):
            raise ValueError(f"line {self.line}: a diff begins with '+++ <file name>'")
        path = folder / lines[0].removeprefix("+++ ")
        text = path.read_text()
        for hunk in "\n".join(lines[1:]).split("@@\n"):
            if not hunk.strip():
                continue
            parts = hunk.rstrip("\n").split("\n")
            before = "".join(f"{one[1:]}\n" for one in parts if one[:1] in " -")
            after = "".join(f"{one[1:]}\n" for one in parts if one[:1] in " +")
            if before == after or text.count(before) != 1:
                raise ValueError(f"line {self.line}: this is not there once in {path.name}:\n{before}")
            text = text.replace(before, after)
        path.write_text(text)


def blocks(page: str) -> list[Block]:
    """Every fenced block. Raises ValueError for a fence that is not closed, or not at a line's beginning."""
    found = [
        Block(page.count("\n", 0, one.start()) + 1, one["language"].strip(), one["body"])
        for one in _FENCE.finditer(page)
    ]
    rest = _FENCE.sub("", page)
    if re.search(r"^\s*(```|~~~)", rest, re.MULTILINE):
        raise ValueError("a fenced block is not closed, or not written with ``` at a line's beginning")
    return found


def comparable(output: str) -> list[str]:
    """The lines of ``output``, with what differs from run to run replaced by :data:`RULES`."""
    lines = []
    for line in output.strip("\n").splitlines():
        for pattern, stands in RULES:
            line = pattern.sub(stands, line)  # noqa: PLW2901 - step by step
        lines.append(" ".join(line.split()))
    return lines
