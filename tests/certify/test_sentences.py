"""docs/certification.md leaves out no sentence of Talkdesk's, and names every check there is."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import pytest

from sentences import PAGES
from talkdesk_certify.checks import every_check

_MANUAL = Path(__file__).parents[2] / "docs" / "certification.md"
_ROW = re.compile(r"^\| ([A-Z][A-Za-z]+ \d[\d.]*) \| (.+) \| (.+) \|$", re.MULTILINE)
_CHECK = re.compile(r"`((?:\d\.)?\d\.[a-z-]+|8\.\*|8\.\d\.\*)`")
_NOTHING = "nothing of the app's to look at"


def _rows() -> dict[str, str]:
    """Who looks at a sentence, by its name, in the manual's order."""
    return {name: by for name, _, by in _ROW.findall(_MANUAL.read_text())}


def test_every_sentence_of_both_pages_has_one_row_in_its_order() -> None:
    found = [name for name, _, _ in _ROW.findall(_MANUAL.read_text())]
    assert found == [name for page in PAGES.values() for name in page]


def test_each_row_says_who_looks_or_why_nobody_does_or_that_it_is_not_met() -> None:
    for name, by in _rows().items():
        said = [
            _CHECK.search(by),
            "a person" in by,
            "*not met yet*" in by,
            _NOTHING in by,
            by == "all checks",
        ]
        assert any(said), f"{name}: {by}"


def test_every_check_that_is_named_exists_and_every_check_that_exists_is_named() -> None:
    text = _MANUAL.read_text()
    named, existing = set(_CHECK.findall(text)), {check.id for check in every_check()}
    assert len(existing) == len(every_check())
    patterns = {one for one in named if one.endswith("*")}
    assert named - patterns <= existing
    # Those of item 8 are items 1 to 6 once more, and named as such.
    assert patterns >= {"8.*"}
    assert {one for one in existing if not one.startswith("8.")} <= named


def test_what_rests_on_something_rests_on_a_check_before_it() -> None:
    before: set[str] = set()
    for check in every_check():
        # Of the two checks of a kind of account the other one may be what is missing here.
        assert set(check.needs) <= before, f"{check.id} needs {set(check.needs) - before}"
        before.add(check.id)


@pytest.mark.skipif("TALKDESK_PAGES" not in os.environ, reason="Talkdesk's pages are not in this repository")
@pytest.mark.parametrize("file", PAGES)
def test_the_names_are_those_of_the_sentences_on_the_pages(file: str) -> None:
    letters = _letters((Path(os.environ["TALKDESK_PAGES"]) / file).read_text())
    at = 0
    for name, digest in PAGES[file].items():
        at = next(
            end
            for begin in range(at, len(letters))
            for end in range(begin + 10, min(begin + 400, len(letters)) + 1)
            if hashlib.sha256(letters[begin:end].encode()).hexdigest()[:8] == digest
        )
        assert at, name


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
