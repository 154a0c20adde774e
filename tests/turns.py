"""Whose turn it is: of tests that are many, alike and long, a run tries a part, drawn by the commit.

A commit's CI says the same twice, and each test has its turn within a few commits. ``TURNS=all`` tries every
one, any other ``TURNS`` those whose names match it.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

_Member = TypeVar("_Member")


def in_turn(members: Mapping[str, _Member], *, parts: int) -> dict[str, _Member]:
    """Those of ``members``, by name, that are tried in this run: one of ``parts``, in their order."""
    return chosen(members, parts=parts, wanted=os.environ.get("TURNS", ""), commit=_commit())


def chosen(members: Mapping[str, _Member], *, parts: int, wanted: str, commit: str) -> dict[str, _Member]:
    """The same, for what ``TURNS`` says and the commit. Pure.

    They are dealt to the parts to and fro: where they are in the order of how long they take, each part takes
    about as long as the others.
    """
    if wanted == "all":
        return dict(members)
    if wanted:
        return {name: one for name, one in members.items() if re.search(wanted, name)}
    mine = random.Random(commit).randrange(parts)
    turns = (mine, parts - 1 - mine)
    return {
        name: one
        for place, (name, one) in enumerate(members.items())
        if place % parts == turns[place // parts % 2]
    }


@cache
def _commit() -> str:
    """What this checkout stands at; empty where it is none."""
    try:
        asked = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""
