"""The reader of the tutorial passes over nothing, and takes nothing for equal that is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reader.blocks import Block, blocks, comparable

if TYPE_CHECKING:
    from pathlib import Path


def test_every_block_is_found_with_its_line() -> None:
    page = "a\n```sh\nls\n```\n\n```text\n$ x\n```\n``no block``\n"
    assert blocks(page) == [Block(2, "sh", "ls\n"), Block(6, "text", "$ x\n")]


@pytest.mark.parametrize("page", ["```sh\nls\n", "* x\n  ```sh\n  ls\n  ```\n", "~~~\nls\n~~~\n"])
def test_a_block_that_would_be_passed_over_is_an_error(page: str) -> None:
    with pytest.raises(ValueError, match="fenced"):
        blocks(page)


def test_a_change_fits_exactly_once_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("a: 1\nb: 2\nc: 3\n")
    Block(1, "diff", "+++ a.yaml\n a: 1\n-b: 2\n+b: 3\n+d: 4\n").change(tmp_path)
    assert file.read_text() == "a: 1\nb: 3\nd: 4\nc: 3\n"
    with pytest.raises(ValueError, match="not there once"):
        Block(1, "diff", "+++ a.yaml\n-b: 2\n+b: 3\n").change(tmp_path)


def test_ids_ports_and_times_are_all_that_may_differ() -> None:
    one = "  1.2s ok 9debb5fe6e884ff29deb at http://a.localhost:4711/ in 3 s, 2m5s\n"
    two = " 12.3s  ok 0123456789abcdef0123 at http://a.localhost:99/ in 41 s, 11s\n\n"
    assert comparable(one) == comparable(two) == ["TIME ok ID at http://a.localhost:PORT/ in TIME, TIME"]
    for other in ("200", "3 users", "2 tenants", "northwind", "v1.2", "127.0.0.1"):
        assert comparable(other) == [other]
