"""docs/certification.md leaves out no sentence of Talkdesk's, and names every check there is."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import pytest

from sentences import END, HEADINGS, PAGES
from talkdesk_certify.checks import every_check
from talkdesk_certify.questions import QUESTIONS

_MANUAL = Path(__file__).parents[2] / "docs" / "certification.md"
_ROW = re.compile(r"^\| ([A-Z][A-Za-z]+ \d[\d.]*) \| (.+) \| (.+) \|$", re.MULTILINE)
_CHECK = re.compile(r"`((?:\d\.)?\d\.[a-z-]+|8\.\*|8\.\d\.\*)`")
_ASK = re.compile(r"`(ask\.[a-z]+)`")
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


def test_whatever_is_left_to_a_person_is_asked_by_the_report_and_nothing_else_is() -> None:
    rows = _rows()
    assert {name for name, by in rows.items() if "a person" in by} == {
        name for name, by in rows.items() if _ASK.search(by)
    }
    assert {name: set(_ASK.findall(by)) for name, by in rows.items() if _ASK.search(by)} == {
        name: {one.id for one in QUESTIONS if name in one.sentences}
        for name in (name for one in QUESTIONS for name in one.sentences)
    }
    assert len({one.id for one in QUESTIONS}) == len(QUESTIONS)


def test_a_question_is_shown_by_checks_that_exist_and_asked_beside_those_of_a_reseller_too() -> None:
    existing = {check.id for check in every_check()}
    for one in QUESTIONS:
        assert set(one.checks) <= {name for name in existing if one.is_about(name)}, one.id
        assert not one.checks or one.is_about(f"8.{one.checks[0]}")
        assert not one.is_about("8")


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


_WITH_PAGES = pytest.mark.skipif(
    "TALKDESK_PAGES" not in os.environ, reason="Talkdesk's pages are not in this repository"
)


@_WITH_PAGES
@pytest.mark.parametrize("file", PAGES)
def test_sentences_with_a_name_and_headings_are_all_there_is_on_the_pages(file: str) -> None:
    text = (Path(os.environ["TALKDESK_PAGES"]) / file).read_text()
    letters = [number for number, one in enumerate(text) if _counts(one)]
    for begin, end in _headings(file, "".join(text[at].lower() for at in letters)):
        # A heading is whole lines, none of which ends as a sentence or the beginning of one does.
        before = text[: letters[begin]].rpartition("\n")[2]
        heading = text[letters[begin] :] if end == len(letters) else text[letters[begin] : letters[end]]
        lines = heading.rstrip("- \n").splitlines()
        assert not before.strip("- "), f"{before!r} stands before {lines[0]!r}"
        assert "\n" in heading or end == len(letters), f"{heading!r} goes on as a sentence"
        assert not any(line.rstrip().endswith((".", ":", ";", "?", "!")) for line in lines), lines


def _headings(file: str, letters: str) -> list[tuple[int, int]]:
    """Where headings begin and end. Fails where a letter belongs to no heading and no sentence."""
    headings, found, at = HEADINGS[file], [], 0
    for name, digest in PAGES[file].items():
        if name in headings:
            begin, at = at, _end(letters, at, headings[name], f"the heading before {name}")
            found.append((begin, at))
        at = _end(letters, at, digest, name)
    assert _digest(letters[at:]) == headings[END], f"{len(letters) - at} letters follow the last sentence"
    return [*found, (at, len(letters))]


def _end(letters: str, begin: int, digest: str, name: str) -> int:
    """Where the words with that digest end, which begin at ``begin`` and nowhere else."""
    ends = range(begin + 5, min(begin + 400, len(letters)) + 1)
    end = next((end for end in ends if _digest(letters[begin:end]) == digest), None)
    assert end, f"{name} does not follow what is before it: something was changed, or has no name"
    return end


def _digest(letters: str) -> str:
    return hashlib.sha256(letters.encode()).hexdigest()[:8]


def _counts(one: str) -> bool:
    return re.fullmatch("[a-z0-9]", one.lower()) is not None
