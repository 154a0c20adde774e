"""What a process imports when it starts is not looked at by the garbage collector."""

from __future__ import annotations

import gc

import pytest

from talkdesk_cli import imports


def test_the_collector_rests_meanwhile_and_leaves_what_came_alone() -> None:
    before = gc.get_freeze_count()
    with imports.kept():
        assert not gc.isenabled()
        came = [[] for _ in range(1000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() >= before + len(came)


def test_the_collector_works_again_after_an_import_that_failed() -> None:
    with pytest.raises(ImportError), imports.kept():
        raise ImportError("no such module")
    assert gc.isenabled()
