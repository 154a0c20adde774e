"""A page's words, and finding the sandbox."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from talkdesk_sandbox.customer.reading import words
from talkdesk_sandbox.partner.fitted import Place
from talkdesk_sandbox.whereabouts import Whereabouts, found, told

if TYPE_CHECKING:
    from pathlib import Path

UP = Whereabouts(console="http://c", control="http://d", browser="http://b", kubeconfig="/k", programs="/p")
PLACE = Place(
    app="a",
    namespace="n",
    app_id="i",
    regions={"eu": {"api": "x"}},
    bar="b",
    keys="k",
    website="w",
    resellers=["r"],
)


def test_a_pages_words_are_told_by_block_without_what_nobody_sees() -> None:
    page = """<!doctype html><title>No</title><style>no</style><h1>Hello,
      <b>Ada</b>!</h1><script>no()</script><p>One<br>two &amp; <a href="/">three</a></p><ul><li>x<li>y</ul>"""
    assert words(page) == ["Hello, Ada!", "One", "two & three", "x", "y"]


def test_a_sandbox_is_found_with_its_app_while_it_is_up_and_the_first_one_counts(tmp_path: Path) -> None:
    file = tmp_path / "file"
    assert found(file=file) is None
    with told(replace(UP, place=PLACE), file=file) as first:
        assert first
        assert found(file=file) == replace(UP, place=PLACE)
        with told(UP, file=file) as second:
            assert not second
            assert found(file=file) == replace(UP, place=PLACE)
    assert found(file=file) is None
    with told(UP, file=file):
        assert found(file=file) == UP
