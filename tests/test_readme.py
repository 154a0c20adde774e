"""The README is true: every command in it is run by a test, named here. Pictures are shown, and are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent

#: Command in README.md → the test (file::name) that runs it, or what CI itself runs.
RUN_BY = {
    "make sandbox": (
        "tests/sandbox/test_story.py::test_the_sandbox_stays_up_and_leaves_no_process_and_no_port"
    ),
    "make certify": (
        "tests/certify/test_all_of_it.py::"
        "test_the_product_passes_every_check_of_all_nine_items_within_four_minutes"
    ),
    "make test": ".ci/run",
    ".venv/bin/talkdesk-operator sandbox --once --report report.json": (
        "tests/sandbox/test_story.py::test_once_observes_the_story_reports_it_and_times_ten_installs"
    ),
}


def _commands() -> list[str]:
    text = (ROOT / "README.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def test_every_command_of_the_readme_is_run_by_a_test() -> None:
    assert set(_commands()) == set(RUN_BY)
    for command, place in RUN_BY.items():
        file, _, name = place.partition("::")
        text = (ROOT / file).read_text()
        assert name in text
        words = command.replace(".venv/bin/talkdesk-operator ", "").split()
        assert all(word in text for word in words if word != "report.json"), (command, place)


def test_every_file_that_the_readme_points_to_exists() -> None:
    text = (ROOT / "README.md").read_text()
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    assert links
    for link in links:
        assert (ROOT / link).exists(), link


def _pictures() -> list[tuple[Path, Path, str]]:
    """Each picture that a page shows: the page, the file, and what is read instead of it."""
    found = []
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))):
        text = page.read_text()
        shown = re.findall(r"!\[([^\]]*)\]\(([^)\s]+)[^)]*\)", text)
        for tag in re.findall(r"<img\b[^>]*>", text):
            attributes = dict(re.findall(r'(\w+)="([^"]*)"', tag))
            shown.append((attributes.get("alt", ""), attributes["src"]))
        found += [(page, (page.parent / source).resolve(), alt) for alt, source in shown]
    return found


def test_every_picture_is_on_a_page_and_every_picture_of_a_page_is_there_and_has_its_text() -> None:
    shown = _pictures()
    for page, picture, alt in shown:
        assert picture.is_file(), f"{page}: {picture}"
        assert alt.strip(), f"{page}: {picture.name} has no alternative text"
    made = {one.resolve() for one in (ROOT / "docs" / "images").iterdir()}
    assert made <= {picture for _, picture, _ in shown}
